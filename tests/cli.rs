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

/// What docs/json.md says of a command's rows: a section, or a line of the last table.
fn documented(command: &str) -> &'static str {
    let page = include_str!("../docs/json.md");
    let section = page.split_once(&format!("### `{command}`\n"));
    let section = section.and_then(|(_, behind)| behind.split("\n#").next());
    let line = || page.lines().rfind(|line| line.starts_with(&format!("| `{command}` |")));
    section.or_else(line).unwrap_or_else(|| panic!("{command} is not documented"))
}

#[test]
fn json_rows_have_the_documented_keys() {
    let log = "../tests/data/logs/x64-io-rr-nondet.log.zst";
    for (command, args) in [
        ("v2p", &["0xffffffff81000000"][..]),
        ("p2v", &["0x1000000"]),
        ("find", &["0x1000"]),
        ("pt", &["--range", "0xffffffff81000000+1"]),
        ("roots", &[]),
        ("mtree", &[]),
        ("regs", &[]),
        ("state", &["../tests/data/streams/tinyv1-rr-snp.zst"]),
        ("log print", &[log]),
        ("log stat", &[log]),
        ("log regions", &["../tests/data/logs/tiny.rr2"]),
        ("log serial", &[log]),
        ("log packets", &[log]),
        ("log hash", &["--every", "1000000", log]),
    ] {
        let words: Vec<&str> = command.split(' ').chain(["--json"]).chain(args.to_vec()).collect();
        let row = stdout(&words).lines().next().expect("a row").to_owned();
        let row: serde_json::Value = serde_json::from_str(&row).expect("is JSON");
        for name in row.as_object().expect("an object").keys() {
            let word = |c: char| c.is_alphanumeric() || c == '_';
            let known = documented(command).split(|c| !word(c)).any(|part| part == name);
            assert!(known, "{command}: {name} is not documented");
        }
    }
}

/// 64 KB of RAM with 4-level tables: pages 0 to 15 all map 0x8000, page 16 maps
/// 0xa000.
fn repeated_pages() -> tempfile::NamedTempFile {
    let mut ram = vec![0; 0x10000];
    let mut put = |at: usize, bytes: &[u8]| ram[at..at + bytes.len()].copy_from_slice(bytes);
    for (at, entry) in [(0x1000, 0x2003u64), (0x2000, 0x3003), (0x3000, 0x4003), (0x4080, 0xa003)] {
        put(at, &entry.to_le_bytes());
    }
    for page in 0..16 {
        put(0x4000 + page * 8, &0x8003u64.to_le_bytes());
    }
    put(0x8ffd, b"STR");
    put(0x8000, b"RINGHEAD");
    put(0xa000, b"ADD");
    put(0x9000, b"SECRET");
    let mut file = tempfile::NamedTempFile::new().expect("a temporary folder");
    file.write_all(&ram).expect("writes");
    file
}

fn pt(image: &tempfile::NamedTempFile, args: &[&str]) -> Vec<String> {
    let path = image.path().to_str().expect("is text");
    let all = [&["pt", "--image", path, "--cr3", "0x1000"], args].concat();
    let output = rr_mem(&all).output().expect("runs");
    let text = String::from_utf8(output.stdout).expect("is text");
    text.lines().map(str::to_owned).collect()
}

#[test]
fn a_search_in_pages_that_repeat_finds_each_place_once() {
    let image = repeated_pages();
    // Found in each page: twice singly, then for all that follow.
    assert_eq!(
        pt(&image, &["--find-string", "HEAD"]),
        [
            "0x4 -> 0x8004",
            "0x1004 -> 0x8004",
            "0x2004 -> 0x8004  13 times, every 0x1000",
            "0xf004 -> 0x8004",
        ]
    );
    // Across the border of two of them, and out of the last one.
    assert_eq!(pt(&image, &["--find-string", "STRRING"]).len(), 3);
    assert_eq!(pt(&image, &["--find-string", "STRADD"]), ["0xfffd -> 0x8ffd"]);
    // Never what lies behind the page in physical memory.
    assert!(pt(&image, &["--find-string", "SECRET"]).is_empty());
    assert!(pt(&image, &["--range", "0x800-0x3fff", "--find-string", "SECRET"]).is_empty());
}

#[test]
fn a_part_of_pages_that_repeat_still_repeats() {
    let image = repeated_pages();
    assert_eq!(pt(&image, &["--range", "0x800-0x3fff", "--has", "0x8900"]).len(), 1);
    assert!(pt(&image, &["--range", "0x800-0x8ff", "--has", "0x8900"]).is_empty());
    let rows = pt(&image, &["--range", "0x800-0x1700", "--json"]);
    assert!(rows[0].contains(r#""gpa":"0x8800","gpa_step":"0x0""#), "{}", rows[0]);
}

/// 512 GB of large pages where no memory is: the search must not try each page.
#[test]
fn a_search_passes_over_what_is_no_memory_at_once() {
    let mut ram = vec![0; 0x3000];
    for i in 0..512 {
        ram[0x1000 + i * 8..][..8].copy_from_slice(&0x2003u64.to_le_bytes());
        let page = (0x1_0000_0000 + ((i as u64) << 30)) | 0x83;
        ram[0x2000 + i * 8..][..8].copy_from_slice(&page.to_le_bytes());
    }
    let mut file = tempfile::NamedTempFile::new().expect("a temporary folder");
    file.write_all(&ram).expect("writes");
    assert!(pt(&file, &["--find-string", "zz"]).is_empty());
}

#[test]
fn a_line_that_is_no_address_ends_the_answers_before_it_with_its_number() {
    let mut child = rr_mem(&["v2p", "-"]).spawn().expect("runs");
    let input = b"0xffffffff81000000\nbogus\n0x1000\n";
    child.stdin.take().expect("piped").write_all(input).expect("it reads");
    let output = child.wait_with_output().expect("ends");
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(String::from_utf8_lossy(&output.stdout).lines().count(), 1);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("line 2 of standard input is no address: \"bogus\""), "{said}");
}

#[test]
fn transcripts() {
    trycmd::TestCases::new().case(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/cli/*.trycmd"));
}
