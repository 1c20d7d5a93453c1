//! The floors of the house: a file imports only from floors below its own, and
//! from its own folder. Read off the `use` lines.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Floor of each module of the library.
const FLOORS: [(&str, u32); 21] = [
    ("addr", 0),
    ("bits", 0),
    ("memory", 1),
    ("container", 2),
    ("regs", 2),
    ("region", 2),
    ("machine", 2),
    ("mmu", 3),
    ("debuginfo", 3),
    ("host", 3),
    ("image", 4),
    ("qemu", 4),
    ("replay", 4),
    ("sample", 5),
    ("guest", 5),
    ("diverge", 6),
    ("report", 6),
    ("symbols", 6),
    ("write", 6),
    ("watch", 7),
    ("lib", 8),
];

fn floor(module: &str) -> Option<u32> {
    FLOORS.iter().find(|(name, _)| *name == module).map(|(_, floor)| *floor)
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() && path.file_name().is_some_and(|name| name != "bin") {
            sources(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
}

/// The library's modules that a file's `use crate::...` lines name.
fn imports(text: &str) -> Vec<String> {
    let mut modules = Vec::new();
    for statement in text.split("use crate::").skip(1) {
        let statement = statement.split(';').next().unwrap_or_default();
        let mut depth = 0;
        let mut word = String::new();
        let mut fresh = true;
        for c in statement.chars() {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth <= 1 => fresh = true,
                c if fresh && (c.is_alphanumeric() || c == '_') => word.push(c),
                _ if !word.is_empty() => {
                    modules.push(std::mem::take(&mut word));
                    fresh = false;
                }
                _ => {}
            }
            if !word.is_empty() && depth > 1 {
                word.clear();
            }
        }
        modules.extend((!word.is_empty()).then_some(word));
    }
    modules
}

#[test]
fn imports_are_read_off_every_form_of_a_use_line() {
    let text = "use crate::addr::Gpa;\nuse crate::{\n    memory::{Memory, ReadError},\n    mmu::x86,\n};\nuse crate::bits;";
    assert_eq!(imports(text), ["addr", "memory", "mmu", "bits"]);
}

#[test]
fn files_import_from_lower_floors_only() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    let mut checked = 0;
    for file in files.iter().filter(|file| !is_test(file)) {
        let path = file.strip_prefix(&root).expect("below src");
        let own = path.iter().next().and_then(|name| name.to_str()).expect("a name");
        let own = own.trim_end_matches(".rs");
        let own_floor = floor(own).unwrap_or_else(|| panic!("{own} has no floor: add it here"));
        let text = fs::read_to_string(file).expect("is text");
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        for module in imports(code).iter().filter(|module| *module != own) {
            let Some(floor) = floor(module) else { continue };
            checked += 1;
            assert!(floor < own_floor, "{} imports {module}", path.display());
        }
    }
    assert!(checked > 40, "only {checked} imports were found");
}

fn is_test(path: &Path) -> bool {
    path.iter().any(|part| part == "tests" || part == "tests.rs" || part == "sparse.rs")
}
