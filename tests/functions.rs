//! Functions stay short: half of them have 8 lines or fewer, none has more than 60.

use std::{fs, path::Path};

/// What half of all functions have at most.
const HALF: usize = 8;
/// What every function has at most.
const MOST: usize = 60;

/// Name and lines of each function of a file, by the indentation that rustfmt gives.
fn functions(text: &str) -> Vec<(String, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (first, line) in lines.iter().enumerate() {
        let Some((before, name)) = line.split_once("fn ") else { continue };
        let words = before.split_whitespace();
        let known = ["pub", "pub(crate)", "pub(super)", "const", "unsafe"];
        if !words.clone().all(|word| known.contains(&word) || word.starts_with("pub(in")) {
            continue;
        }
        let indent = &before[..before.len() - before.trim_start().len()];
        let ends = |line: &&str| line.strip_prefix(indent).is_some_and(|rest| rest == "}");
        let one = line.ends_with('}') || line.ends_with(';');
        let more =
            if one { 0 } else { lines[first..].iter().take_while(|line| !ends(line)).count() };
        let name = name.split(['(', '<']).next().unwrap_or_default();
        found.push((name.to_owned(), more + 1));
    }
    found
}

fn read(folder: &Path, found: &mut Vec<(String, usize)>) {
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            read(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.extend(functions(&fs::read_to_string(&path).expect("is text")));
        }
    }
}

#[test]
fn half_of_the_functions_have_8_lines_and_none_has_more_than_60() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut all = Vec::new();
    for folder in ["rr-mem/src", "rr-mem-py/src"] {
        read(&root.join(folder), &mut all);
    }
    assert!(all.len() > 2500, "only {} functions were found", all.len());
    all.sort_by_key(|(_, lines)| *lines);
    let (_, median) = &all[all.len() / 2];
    assert!(*median <= HALF, "the median is {median} lines");
    let long: Vec<_> = all.iter().filter(|(_, lines)| *lines > MOST).collect();
    assert_eq!(long, Vec::<&(String, usize)>::new());
}

#[test]
fn lines_are_counted_from_the_first_to_the_last() {
    let text = "fn one() -> u8 { 1 }\n    pub const fn three(\n    ) {\n    }\n    fn none();\n}\n";
    let found =
        [("one", 1), ("three", 3), ("none", 1)].map(|(name, lines)| (name.to_owned(), lines));
    assert_eq!(functions(text), found);
}
