//! Which layouts are tried. The emulator is a fixture: a file with QEMU's
//! symbols, and a memory where nothing is mapped.

use std::{fs, path::PathBuf};

use object::Architecture;

use super::{Offsets, QemuError, read};
use crate::{
    addr::Hva,
    advice::Explain,
    debuginfo::{
        DebugSearch, Layout,
        synthetic::{build_id, dwarf, elf},
    },
    host::{Areas, Host, Module, Thread},
    memory::{MappedFile, Memory, ReadCause, ReadError},
};

const SYMBOLS: [&str; 4] = ["address_space_memory", "ram_list", "cpus", "arm_cpu_list"];

struct Nothing;

impl Memory<Hva> for Nothing {
    fn read(&self, addr: Hva, _: &mut [u8]) -> Result<(), ReadError> {
        Err(ReadError::new(addr, ReadCause::Hole))
    }
}

struct Fixture(Vec<Module>, Areas);

impl Fixture {
    fn new(file: Vec<u8>) -> Self {
        let file = Some(MappedFile::from_vec(file));
        Self(
            vec![Module { path: "/nowhere/qemu-system-arm".into(), bias: 0, file }],
            Areas::default(),
        )
    }
}

impl Host for Fixture {
    type Memory = Nothing;

    fn memory(&self) -> &Nothing {
        &Nothing
    }

    fn areas(&self) -> &Areas {
        &self.1
    }

    fn knows_all_areas(&self) -> bool {
        true
    }

    fn modules(&self) -> &[Module] {
        &self.0
    }

    fn may_change(&self) -> bool {
        false
    }

    fn threads(&self) -> &[Thread] {
        &[]
    }
}

fn search(debug_file: Option<PathBuf>) -> Offsets {
    Offsets::Found(DebugSearch { debug_file, folders: Vec::new(), cache: None, unit: None })
}

/// The names of the layouts that were tried, and all that is said in the end.
fn tried(file: Vec<u8>, offsets: &Offsets) -> (Vec<String>, String) {
    let error = read(&Fixture::new(file), offsets).expect_err("nothing can be read");
    let text = format!("{error}; {}; {}", error.details().join("; "), error.advice());
    match error {
        QemuError::NoLayout(misfits) => {
            (misfits.into_iter().map(|misfit| misfit.layout).collect(), text)
        }
        _ => (Vec::new(), text),
    }
}

/// QEMU with debug info.
fn with_dwarf(architecture: Architecture) -> Vec<u8> {
    let mut sections = dwarf(5, |unit| {
        let (int, of) = (unit.int(), unit.structure("AddressSpace"));
        unit.member(of, "name", int, 16);
    });
    sections.push(build_id(b"one"));
    elf(architecture, &sections, &SYMBOLS)
}

#[test]
fn without_debug_info_the_shipped_layouts_are_tried_newest_first() {
    let (names, text) = tried(elf(Architecture::X86_64, &[], &SYMBOLS), &search(None));
    assert_eq!(names[..3], ["its debug info", "qemu-10.0-debian", "qemu-10.0"]);
    assert_eq!(names.len(), 7);
    assert!(text.contains("has no debug info") && text.contains("a debug file"), "{text}");
}

#[test]
fn of_many_layouts_the_sentence_has_one_and_the_details_have_all() {
    let file = elf(Architecture::X86_64, &[], &SYMBOLS);
    let error = read(&Fixture::new(file), &search(None)).expect_err("nothing can be read");
    let (text, details) = (error.to_string(), error.details());
    assert!(text.contains("7 were tried, the first: its debug info ("), "{text}");
    assert!(!text.contains("qemu-10.0") && details[6].starts_with("panda-2.9 ("), "{text}");
    assert_eq!(details.len(), 7);
}

#[test]
fn its_own_debug_info_is_tried_first() {
    let (names, _) = tried(with_dwarf(Architecture::X86_64), &search(None));
    assert_eq!(names[..2], ["qemu-system-arm", "qemu-10.0-debian"]);
}

#[test]
fn a_layout_that_is_given_is_the_only_one() {
    let given = Layout { emulator: "mine".into(), ..Layout::default() };
    let (names, _) = tried(with_dwarf(Architecture::X86_64), &Offsets::Given(given));
    assert_eq!(names, ["mine"]);
}

#[test]
fn a_debug_file_that_is_given_is_the_only_one_and_must_fit_the_build() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("debug");
    fs::write(&path, with_dwarf(Architecture::X86_64)).expect("is written");
    let of = |id| elf(Architecture::X86_64, &[build_id(id)], &SYMBOLS);
    let (names, _) = tried(of(b"one"), &search(Some(path.clone())));
    assert_eq!(names, ["qemu-system-arm"]);
    let (names, text) = tried(of(b"two"), &search(Some(path)));
    assert!(names.is_empty() && text.contains("its build-id is 6f6e65, not 74776f"), "{text}");
    let stripped = elf(Architecture::X86_64, &[build_id(b"two")], &[]);
    let (_, text) = tried(stripped, &search(Some(folder.path().join("debug"))));
    assert!(text.contains("its build-id is 6f6e65, not 74776f"), "{text}");
}

#[test]
fn shipped_layouts_are_not_tried_on_other_hosts() {
    let (names, text) = tried(elf(Architecture::Aarch64, &[], &SYMBOLS), &search(None));
    assert_eq!(names, ["its debug info", "the shipped layouts"]);
    assert!(text.contains("for x86_64 hosts, and this is aarch64: debug info is needed"), "{text}");
    let (names, _) = tried(with_dwarf(Architecture::Aarch64), &search(None));
    assert_eq!(names, ["qemu-system-arm", "the shipped layouts"]);
}
