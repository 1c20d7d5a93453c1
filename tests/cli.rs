//! The program as users see it: the transcripts in `tests/cli`, each a command,
//! its output and its exit code. `TRYCMD=overwrite cargo test --test cli`
//! writes them anew.

use std::{
    io::{BufRead, BufReader, Read, Write},
    process::{Command, Stdio},
};

fn rr_mem(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rr-mem"));
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn stdout(args: &[&str]) -> String {
    let output = rr_mem(args).output().expect("runs");
    assert_eq!(output.status.code(), Some(0), "{args:?}");
    String::from_utf8(output.stdout).expect("is text")
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let mut child = rr_mem(&["pt", "--no-merge"]).spawn().expect("runs");
    let mut first = [0; 10];
    child.stdout.take().expect("piped").read_exact(&mut first).expect("there is a line");
    let output = child.wait_with_output().expect("ends");
    assert_eq!(output.status.code(), Some(0));
    let said = String::from_utf8(output.stderr).expect("is text");
    assert!(!said.contains("error"), "{said}");
}

#[test]
fn an_address_on_standard_input_is_answered_before_the_next_is_read() {
    let mut child = rr_mem(&["v2p", "-"]).spawn().expect("runs");
    let mut input = child.stdin.take().expect("piped");
    let mut answers = BufReader::new(child.stdout.take().expect("piped")).lines();
    for (address, answer) in [
        ("0xffffffff81000000", "-> 0x1000000"),
        ("0x1000", "not mapped"),
        ("", ""),
        ("4096", "not mapped"),
    ] {
        writeln!(input, "{address}").expect("it reads");
        if !address.is_empty() {
            let line = answers.next().expect("an answer").expect("is text");
            assert!(line.contains(answer), "{line}");
        }
    }
    drop(input);
    assert_eq!(child.wait().expect("ends").code(), Some(1));
}

#[test]
fn every_shell_gets_a_completion_script_with_every_command() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = stdout(&["completions", shell]);
        for command in ["v2p", "p2v", "find", "read", "pt", "roots", "mtree"] {
            assert!(script.contains(command), "{shell}: {command}");
        }
    }
}

#[test]
fn the_manual_page_has_every_command_and_its_examples() {
    let page = stdout(&["man"]);
    assert!(page.contains(".TH rr-mem 1"), "{}", &page[..200]);
    for word in ["RR-MEM V2P", "RR-MEM PT", "Exit codes", "dump.elf"] {
        assert!(page.contains(word), "{word}");
    }
}

/// The keys that README.md documents, in the order that it documents them.
#[test]
fn json_rows_have_the_documented_keys() {
    let readme = include_str!("../README.md");
    for (args, key) in [
        (&["v2p", "--json", "0xffffffff81000000"][..], "`v2p`"),
        (&["p2v", "--json", "0x1000000"], "`p2v`"),
        (&["find", "--json", "0x1000"], "`find`"),
        (&["pt", "--json", "--range", "0xffffffff81000000+1"], "`pt`"),
        (&["roots", "--json"], "`roots`"),
        (&["mtree", "--json"], "`mtree`"),
    ] {
        let row = stdout(args).lines().next().expect("a row").to_owned();
        let row: serde_json::Value = serde_json::from_str(&row).expect("is JSON");
        let mut documented = readme.lines().filter(|line| line.starts_with(&format!("| {key} |")));
        let documented = documented.next_back().expect("a line in the table");
        for name in row.as_object().expect("an object").keys() {
            let word = |c: char| c.is_alphanumeric() || c == '_';
            let known = documented.split(|c| !word(c)).any(|part| part == name);
            assert!(known, "{key}: {name} is not documented");
        }
    }
}

#[test]
fn transcripts() {
    trycmd::TestCases::new()
        .case(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/cli/*.trycmd"))
        .case(concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md"));
}
