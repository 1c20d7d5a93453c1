//! The texts for people: their console blocks are run from the repository's root,
//! as a reader runs them, and their links lead somewhere. `TRYCMD=overwrite cargo
//! test --test documents` writes the blocks anew.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

const TEXTS: [&str; 7] =
    [".", "docs", "gdb", "rr-mem-py", "tests/bench", "tests/fuzz", "tests/oracle"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn texts() -> Vec<PathBuf> {
    let files = |folder: &str| fs::read_dir(root().join(folder)).expect("a folder");
    let paths = TEXTS.iter().flat_map(|folder| files(folder).flatten().map(|entry| entry.path()));
    paths.filter(|path| path.extension().is_some_and(|ending| ending == "md")).collect()
}

#[test]
fn console_blocks_are_what_the_program_prints() {
    env::set_current_dir(root()).expect("the root is there");
    let cases = trycmd::TestCases::new();
    for text in texts() {
        cases.case(text);
    }
}

#[test]
fn readme_can_be_read_in_a_few_minutes() {
    let text = fs::read_to_string(root().join("README.md")).expect("is there");
    assert!(text.split_whitespace().count() <= 1200);
}

#[test]
fn links_lead_somewhere() {
    for path in texts() {
        let text = fs::read_to_string(&path).expect("is text");
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if !link.starts_with("http") {
                assert!(leads_somewhere(&path, link), "{}: {link}", path.display());
            }
        }
    }
}

/// Whether a file has what a link in `path` names.
fn leads_somewhere(path: &Path, link: &str) -> bool {
    let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
    let target = match file {
        "" => path.to_owned(),
        _ => path.parent().expect("a folder").join(file),
    };
    if anchor.is_empty() {
        return target.exists();
    }
    let text = fs::read_to_string(target).unwrap_or_default();
    text.lines().filter(|line| line.starts_with('#')).any(|line| anchor_of(line) == anchor)
}

/// The name that a heading can be linked by.
fn anchor_of(heading: &str) -> String {
    let words = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = words.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}
