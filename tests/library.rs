//! The library as its users meet it: the examples answer, and README's block answers
//! rightly where nobody knows the base of the tables.

#[path = "../rr-mem/examples/log.rs"]
#[allow(dead_code)]
mod log;
#[path = "../rr-mem/examples/memory.rs"]
#[allow(dead_code)]
mod memory;
#[path = "../rr-mem/examples/translate.rs"]
#[allow(dead_code)]
mod translate;

use std::{fs, path::PathBuf};

use rr_mem::{Asked, Gpa, Gva, Missing, Query, Register, Source};

fn data(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// gABI, "ELF Header" and "Program Header": an AArch64 core with one block of memory
/// at 0. It has no registers, as cores of `dump-guest-memory` have no TTBR.
fn arm_core() -> Vec<u8> {
    const MEMORY: usize = 0x1000;
    let half = |value: u16| value.to_le_bytes();
    let word = |value: u32| value.to_le_bytes();
    let long = |value: u64| value.to_le_bytes();
    let mut core = b"\x7fELF\x02\x01\x01".to_vec();
    core.resize(16, 0);
    // e_type ET_CORE, e_machine EM_AARCH64, e_version, e_entry, e_phoff, e_shoff, e_flags.
    core.extend([half(4), half(183)].concat());
    core.extend(word(1));
    core.extend([long(0), long(64), long(0)].concat());
    core.extend(word(0));
    // e_ehsize, e_phentsize, e_phnum; no sections.
    core.extend([half(64), half(56), half(1), half(64), half(0), half(0)].concat());
    // p_type PT_LOAD, p_flags, p_offset, p_vaddr, p_paddr, p_filesz, p_memsz, p_align.
    core.extend([word(1), word(4)].concat());
    core.extend(
        [long(MEMORY as u64), long(0), long(0), long(0x4000), long(0x4000), long(1)].concat(),
    );
    core.resize(MEMORY + 0x4000, 0);
    // At 0x2000 the table of 4 KB granules and 39-bit halves: one block of 1 GB at 0.
    core[MEMORY + 0x2000..][..8].copy_from_slice(&long(0x401));
    core
}

fn written(bytes: &[u8]) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    fs::write(file.path(), bytes).expect("has room");
    file
}

#[test]
fn a_dump_whose_tables_nobody_knows_is_an_error_and_no_address() {
    let dump = written(&arm_core());
    let opened = rr_mem::open(Source::image(dump.path()), &Asked::default(), &mut |_| {});
    let opened = opened.expect("is a dump");
    let error = opened.guest.walk(Gva(0x10), Query::Presence).expect_err("no TTBR is known");
    assert_eq!(error.kind(), "no_registers");
    let example = translate::translate(dump.path(), Gva(0x10)).expect_err("no TTBR is known");
    assert_eq!(example.to_string(), error.to_string());
}

#[test]
fn a_table_that_is_given_translates_its_half_and_no_other() {
    let dump = written(&arm_core());
    let asked = Asked::default()
        .with_register(Register::Ttbr1, 0x2000)
        .with_register(Register::Tcr, 0x5_8019_0019);
    let opened = rr_mem::open(Source::image(dump.path()), &asked, &mut |_| {});
    let guest = opened.expect("is a dump").guest;
    let walk = guest.walk(Gva(0xffff_ff80_0000_0010), Query::Presence).expect("TTBR1 is known");
    assert_eq!(walk.result.map(|found| found.gpa), Ok(Gpa(0x10)));
    let other = guest.walk(Gva(0x10), Query::Presence).map(drop);
    assert_eq!(other, Err(Missing::Table(Register::Ttbr0)));
}

#[test]
fn the_example_of_a_dump_shows_every_entry_and_the_region() {
    let sample = data("data/sample.elf.zst");
    let text = translate::translate(&sample, Gva(0xffff_ffff_8100_0000)).expect("is mapped");
    let last = "0xffffffff81000000 -> 0x1000000  kernel r-x user ---  pc.ram+0x1000000";
    assert_eq!(text.lines().count(), 4);
    assert_eq!(text.lines().last(), Some(last));
    let text = translate::translate(&sample, Gva(0x10)).expect("is an answer");
    assert!(text.contains("0x10 is not mapped: not present"), "{text}");
}

#[test]
fn the_example_of_a_memory_walks_it() {
    assert_eq!(memory::translated().expect("is mapped"), Gpa(0x8000_0123));
}

#[test]
fn the_example_of_a_log_lists_entries_with_data() {
    let text =
        log::entries(&data("../tests/data/logs/x64-io-rr-nondet.log.zst")).expect("is a log");
    assert!(text.lines().count() > 0);
}
