//! Files that are not what they should be.

use std::{fs, path::Path};

use object::Architecture::X86_64;

use super::{
    DebugError, DebugSearch, Layout, MemberList, Program,
    synthetic::{build_id, compressed, dwarf, elf},
};
use crate::memory::MappedFile;

fn wanted() -> MemberList {
    [("A", "x")].into_iter().collect()
}

/// A debug file with struct A.
fn with_a(id: &[u8]) -> Vec<u8> {
    let mut sections = dwarf(5, |unit| {
        let (int, of) = (unit.int(), unit.structure("A"));
        unit.member(of, "x", int, 4);
    });
    sections.push(build_id(id));
    elf(X86_64, &sections, &[])
}

fn search(folder: &Path) -> DebugSearch {
    DebugSearch { debug_file: None, folders: vec![folder.into()], cache: None, unit: None }
}

fn layout(search: &DebugSearch, bytes: &[u8]) -> Result<Layout, DebugError> {
    let file = MappedFile::from_vec(bytes.to_vec());
    search.layout(Program { path: Path::new("/nowhere/program"), file: &file }, &wanted())
}

fn complaint(search: &DebugSearch, bytes: &[u8]) -> (&'static str, String) {
    let error = layout(search, bytes).expect_err("there is no layout");
    assert!(!error.advice().to_string().is_empty());
    (error.kind(), error.to_string())
}

#[test]
fn what_is_no_elf_file_is_damaged() {
    let nowhere = search(Path::new("/nowhere"));
    assert_eq!(complaint(&nowhere, b"").0, "damaged");
    assert_eq!(complaint(&nowhere, b"\x7fELF\x02\x01\x01").0, "damaged");
}

#[test]
fn damaged_dwarf_is_named() {
    let sections = [(".debug_info".to_owned(), vec![0xff; 100])];
    let (kind, text) = complaint(&search(Path::new("/nowhere")), &elf(X86_64, &sections, &[]));
    assert!(kind == "damaged" && text.contains("DWARF"), "{text}");
}

#[test]
fn sections_that_claim_to_unpack_to_anything_are_refused() {
    // Elf64_Chdr: zlib, a terabyte, aligned to one.
    let mut claim = vec![1, 0, 0, 0, 0, 0, 0, 0];
    claim.extend((1_u64 << 40).to_le_bytes());
    claim.extend(1_u64.to_le_bytes());
    claim.extend([0x78, 0x9c, 3, 0]);
    let bytes = compressed(".debug_info", &claim);
    let found = super::elf::Elf::parse(&bytes).expect("an ELF file").section(".debug_info");
    assert!(found.is_err_and(|error| error.contains("claims to unpack to 1099511627776")));
}

#[test]
fn debug_files_by_build_id_count_only_with_the_same_build_id() {
    let folder = tempfile::tempdir().expect("a folder");
    let below = folder.path().join(".build-id/ab");
    fs::create_dir_all(&below).expect("is made");
    let program = elf(X86_64, &[build_id(b"\xab\xcd\xef")], &[]);
    let path = below.join("cdef.debug");

    let (kind, text) = complaint(&search(folder.path()), &program);
    assert!(kind == "no_debug_info" && text.contains("cdef.debug"), "{text}");
    fs::write(&path, with_a(b"\xab\xcd\x00")).expect("is written");
    let (_, text) = complaint(&search(folder.path()), &program);
    assert!(text.contains("its build-id is abcd00"), "{text}");
    fs::write(&path, with_a(b"\xab\xcd\xef")).expect("is written");
    let found = layout(&search(folder.path()), &program).expect("the right one");
    assert_eq!(found.field("A", "x").map(|field| field.offset), Some(4));
    assert_eq!((found.emulator.as_str(), found.host.as_str()), ("program", "x86_64"));
}

#[test]
fn what_is_no_regular_file_is_never_opened() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::create_dir_all(folder.path().join(".build-id/ab/cdef.debug")).expect("is made");
    let program = elf(X86_64, &[build_id(b"\xab\xcd\xef")], &[]);
    let (_, text) = complaint(&search(folder.path()), &program);
    assert!(text.contains("not a regular file"), "{text}");
    let given = DebugSearch { debug_file: Some(folder.path().into()), ..search(folder.path()) };
    assert_eq!(complaint(&given, &program).0, "io");
}

#[test]
fn links_that_lead_through_folders_are_not_followed() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = with_a(b"id");
    fs::write(folder.path().join("a.debug"), &file).expect("is written");
    let mut crc = flate2::Crc::new();
    crc.update(&file);
    let link = |name: &str| {
        let mut link = name.as_bytes().to_vec();
        link.resize(link.len() / 4 * 4 + 4, 0);
        link.extend(crc.sum().to_le_bytes());
        elf(X86_64, &[(".gnu_debuglink".to_owned(), link)], &[])
    };
    let at = |path: &str, bytes: Vec<u8>| {
        let file = MappedFile::from_vec(bytes);
        let path = folder.path().join(path);
        search(Path::new("/nowhere")).layout(Program { path: &path, file: &file }, &wanted())
    };
    assert!(at("program", link("a.debug")).is_ok());
    assert!(at("below/program", link("../a.debug")).is_err());
    assert!(at("program", link(folder.path().join("a.debug").to_str().expect("text"))).is_err());
}

#[test]
fn a_given_debug_file_must_be_of_the_same_build() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("given");
    let given = DebugSearch { debug_file: Some(path.clone()), ..search(folder.path()) };
    let program =
        |id: Option<&[u8]>| elf(X86_64, &id.map(build_id).into_iter().collect::<Vec<_>>(), &[]);
    assert_eq!(complaint(&given, &program(None)).0, "io");
    fs::write(&path, with_a(b"one")).expect("is written");
    assert!(layout(&given, &program(Some(b"one"))).is_ok());
    let (kind, text) = complaint(&given, &program(Some(b"two")));
    assert!(kind == "build_id" && text.contains("6f6e65, not 74776f"), "{text}");
    let (_, text) = complaint(&given, &program(None));
    assert!(text.contains("6f6e65, not none"), "{text}");
    fs::write(&path, program(Some(b"one"))).expect("is written");
    assert_eq!(complaint(&given, &program(Some(b"one"))).0, "no_debug_info");
}

#[test]
fn programs_without_the_structs_say_so() {
    let sections = dwarf(5, |unit| {
        unit.structure("B");
    });
    let bytes = elf(X86_64, &sections, &[]);
    assert_eq!(complaint(&search(Path::new("/nowhere")), &bytes).0, "no_structs");
}

#[test]
fn symbols_come_from_the_debug_file_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let below = folder.path().join(".build-id/ab");
    fs::create_dir_all(&below).expect("is made");
    let id = build_id(b"\xab\xcd\xef");
    fs::write(below.join("cdef.debug"), elf(X86_64, std::slice::from_ref(&id), &["symbol"]))
        .expect("written");
    let file = MappedFile::from_vec(elf(X86_64, &[id], &[]));
    let program = Program { path: Path::new("/nowhere/program"), file: &file };
    let found = search(folder.path()).symbol_file(program).expect("is found");
    assert_eq!(super::symbols::find(found.bytes(), ["symbol"]), Ok([Some(0x1000)]));
    assert!(search(Path::new("/nowhere")).symbol_file(program).is_none());
}
