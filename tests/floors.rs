//! The floors of the house: a file imports only from floors below its own, and
//! from its own folder. Every `use` and every path is read, in library, program
//! and Python module.

#[path = "floors/scan.rs"]
mod scan;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    slice,
};

use scan::{Names, names};

/// A crate's house.
struct House {
    /// Where its files are, from the folder of all.
    root: &'static str,
    /// The modules of each floor, from the lowest on.
    floors: &'static [&'static [&'static str]],
    /// Crates that it must never name.
    never: &'static [&'static str],
}

const LIBRARY: House = House {
    root: "rr-mem/src",
    floors: &[
        &["addr", "advice", "bits"],
        &["memory"],
        &["container", "machine", "region", "regs"],
        &["debuginfo", "host", "mmu"],
        &["guest", "image", "qemu", "replay"],
        &["sample"],
        &["source"],
        &["changes", "diverge", "save", "symbols", "watch", "write"],
        &["report"],
        &["lib"],
    ],
    never: &["anstream", "anstyle", "anyhow", "clap", "indicatif", "pyo3", "rr_mem"],
};

const PROGRAM: House = House {
    root: "rr-mem/src/bin/rr-mem",
    floors: &[&["number"], &["cli"], &["face"], &["output"], &["source"], &["cmd"], &["main"]],
    never: &["pyo3"],
};

const PYTHON: House = House {
    root: "rr-mem-py/src",
    floors: &[
        &["face", "rows"],
        &["error", "remark"],
        &["log", "reader"],
        &["source"],
        &["guest"],
        &["lib"],
    ],
    never: &["anyhow", "clap", "gimli", "object"],
};

/// A file of a house.
struct File {
    /// Its place: `["mmu", "walk"]`; none of the crate's first file.
    module: Vec<String>,
    names: Names,
}

impl File {
    /// The module of the house that it belongs to.
    fn own(&self, house: &House) -> &str {
        let first = if house.root.ends_with("bin/rr-mem") { "main" } else { "lib" };
        self.module.first().map_or(first, String::as_str)
    }

    /// What it names of its own crate, as paths from the crate's root on.
    fn inner(&self) -> impl Iterator<Item = Vec<String>> {
        self.names.paths.iter().filter_map(|path| {
            let up = path.iter().take_while(|word| *word == "super").count();
            match path[0].as_str() {
                "crate" => Some(path[1..].to_vec()),
                "super" => {
                    let kept = self.module.len().checked_sub(up)?;
                    Some([&self.module[..kept], &path[up..]].concat())
                }
                _ => None,
            }
        })
    }
}

/// What a file names that it must not.
fn wrongs(house: &House, file: &File) -> Vec<String> {
    let floor = |module: &str| house.floors.iter().position(|floor| floor.contains(&module));
    let own = file.own(house);
    let own_floor = floor(own).unwrap_or_else(|| panic!("{own} has no floor: add it here"));
    let inner = file.inner().filter_map(|path| match path.first()?.as_str() {
        name if name == own => None,
        name => match floor(name) {
            Some(floor) if floor < own_floor => None,
            Some(_) => Some(format!("{} names {}", file.module.join("::"), path.join("::"))),
            None => Some(format!("{} names {name}, which has no floor", file.module.join("::"))),
        },
    });
    let outer = file.names.paths.iter().map(|path| &path[0]);
    let outer = outer.filter(|name| house.never.contains(&name.as_str()));
    inner.chain(outer.map(|name| format!("{own} names the crate {name}"))).collect()
}

/// Reads every file of a house that is not for tests only.
fn files(house: &House) -> Vec<File> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(house.root);
    let mut paths = Vec::new();
    sources(&root, &mut paths);
    let mut files: Vec<File> = paths.iter().map(|path| file(&root, path)).collect();
    let for_tests: BTreeSet<Vec<String>> = files
        .iter()
        .flat_map(|file| {
            let below = |name: &String| [&file.module[..], slice::from_ref(name)].concat();
            file.names.test_modules.iter().map(below).collect::<Vec<_>>()
        })
        .collect();
    files.retain(|file| !for_tests.iter().any(|module| file.module.starts_with(module)));
    files
}

fn file(root: &Path, path: &Path) -> File {
    let place = path.strip_prefix(root).expect("below the root").with_extension("");
    let mut module: Vec<String> =
        place.iter().map(|name| name.to_str().expect("a name").to_owned()).collect();
    module.pop_if(|name| ["mod", "lib", "main"].contains(&name.as_str()));
    File { module, names: names(&fs::read_to_string(path).expect("is text")) }
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

fn check(house: &House, at_least: usize) {
    let files = files(house);
    let read: usize = files.iter().map(|file| file.inner().count()).sum();
    assert!(read >= at_least, "only {read} paths were found in {}", house.root);
    let wrong: Vec<_> = files.iter().flat_map(|file| wrongs(house, file)).collect();
    assert!(wrong.is_empty(), "in {}:\n{}", house.root, wrong.join("\n"));
}

#[test]
fn files_of_the_library_import_from_lower_floors_only() {
    check(&LIBRARY, 500);
}

#[test]
fn files_of_the_program_import_from_lower_floors_only() {
    check(&PROGRAM, 100);
}

#[test]
fn files_of_the_python_module_import_from_lower_floors_only() {
    check(&PYTHON, 20);
}

#[test]
fn no_two_files_of_the_library_import_each_other() {
    let files = files(&LIBRARY);
    let modules: BTreeSet<_> = files.iter().map(|file| &file.module[..]).collect();
    let file_of = |path: &[String]| {
        (1..=path.len())
            .rev()
            .map(|len| &path[..len])
            .find(|path| modules.contains(path))
            .map(<[_]>::to_vec)
    };
    let imports: BTreeMap<_, BTreeSet<_>> = files
        .iter()
        .map(|file| (file.module.clone(), file.inner().filter_map(|path| file_of(&path)).collect()))
        .collect();
    for (one, named) in &imports {
        // A folder's head and its files are one thing.
        for other in named.iter().filter(|other| !one.starts_with(other) && !other.starts_with(one))
        {
            let back = imports[other].contains(one);
            assert!(!back, "{} and {} import each other", one.join("::"), other.join("::"));
        }
    }
}

#[test]
fn the_description_of_the_house_has_every_module_on_its_floor() {
    let page = include_str!("../ARCHITECTURE.md");
    for (number, modules) in LIBRARY.floors.iter().enumerate() {
        let lines = page.lines().filter(|line| line.starts_with(&format!("| {number} | ")));
        let floor: String = lines.filter_map(|line| line.split('|').nth(2)).collect();
        for module in modules.iter().filter(|module| **module != "lib") {
            assert!(floor.contains(&format!("`{module}`")), "{module} is not on floor {number}");
        }
    }
}

/// A file `module` of the library with this text.
fn planted(module: &str, text: &str) -> Vec<String> {
    let module = module.split("::").map(str::to_owned).collect();
    wrongs(&LIBRARY, &File { module, names: names(text) })
}

#[test]
fn an_import_from_above_is_found_wherever_it_stands() {
    for text in [
        "use crate::guest::Guest;",
        "use crate::{addr::{Gpa, Gva}, guest};",
        "pub(crate) use crate::guest::Guest as Other;",
        "use super::super::guest::Guest;",
        "mod inner { use super::super::super::guest::Guest; }",
        "fn f(x: &crate::guest::Guest) {}",
        "fn f() { let x = [crate::guest::new(1)]; }",
        "fn f() { println!(\"{}\", crate::guest::NAME); }",
        "#[cfg(test)] use crate::sample;\nuse crate::guest::Guest;",
        "#[cfg(test)] mod tests { fn f() {} }\nfn g() -> crate::guest::Guest {}",
        "#[derive(clap::Parser)] struct Args;",
        "use anyhow::Context;",
        "use crate::nowhere::Thing;",
    ] {
        assert_eq!(planted("mmu::walk", text).len(), 1, "{text}");
    }
}

#[test]
fn what_is_below_or_its_own_or_for_tests_is_free() {
    for text in [
        "use crate::{addr::Gpa, memory::{self, Memory}};",
        "use super::{answer::Fault, x86};",
        "/// As [`crate::guest::Guest`].\n// use crate::guest;\nfn f() { \"crate::guest::Guest\"; '\"'; }",
        "#[cfg(test)] use crate::guest::Guest;",
        "#[cfg(test)]\n#[allow(unused)]\nmod tests { use crate::guest::Guest; }",
        "#[cfg(test)] const N: [u8; { 1 }] = crate::guest::N;",
        "mod inner { use super::thing; }",
        "use std::fmt;",
    ] {
        assert_eq!(planted("mmu::walk", text), [""; 0], "{text}");
    }
}

#[test]
fn modules_for_tests_are_told() {
    let text = "#[cfg(test)]\nmod tests;\n#[cfg(test)]\npub(crate) mod synthetic;\nmod walk;";
    assert_eq!(names(text).test_modules, ["tests", "synthetic"]);
}
