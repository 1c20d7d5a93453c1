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

use rr_mem::{
    Asked, Gpa, Guest, Gva, Missing, Query, Register, Source,
    memory::SliceMemory,
    mmu::AccessKind,
    regs::{ArmRegs, ArmState, Cpu, Regs, X86Regs},
};

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

/// A first-level table at 0x4000 whose entry 0 is a section at 1 MB: domain 0, AP 0b11.
fn section() -> Vec<u8> {
    let mut bytes = vec![0; 0x8000];
    bytes[0x4000..0x4004].copy_from_slice(&0x0010_0c02_u32.to_le_bytes());
    bytes
}

fn short_descriptors() -> Cpu {
    let regs = ArmRegs { ttbr0: 0x4000, ..ArmRegs::new(ArmState::Aarch32) };
    Cpu::known(Regs::Arm(regs))
}

#[test]
fn without_dacr_an_address_is_answered_and_its_rights_are_unknown() {
    let bytes = section();
    for (cpu, unknown) in
        [(short_descriptors(), false), (short_descriptors().without(&[Register::Dacr]), true)]
    {
        let guest = Guest::new(Some(SliceMemory::new(Gpa(0), &bytes)), Some(cpu), None)
            .expect("no map to render");
        let walk = guest.walk(Gva(0x123), Query::Presence).expect("is asked");
        let found = walk.result.expect("is mapped");
        assert_eq!((found.gpa, found.rights.unknown), (Gpa(0x10_0123), unknown));
        let access = guest.walk(Gva(0x123), Query::access(AccessKind::Read, false));
        match unknown {
            false => assert!(access.expect("is asked").result.is_ok()),
            true => assert_eq!(access, Err(Missing::Undecided(Register::Dacr))),
        }
        assert_eq!(guest.knows_rights().is_err(), unknown);
    }
}

#[test]
fn an_access_asks_for_the_register_that_decides_it() {
    let bytes = section();
    let unknown = [Register::Cr0, Register::Cr4, Register::Ac];
    let regs = X86Regs { cr3: 0x1000, ..X86Regs::long_mode() };
    let smap = X86Regs { cr4: regs.cr4 | 1 << 21, ..regs };
    for (regs, known, kind, user, wanted) in [
        (regs, &[][..], AccessKind::Write, false, Some(Register::Cr0)),
        (regs, &[], AccessKind::Read, false, Some(Register::Cr4)),
        // CR4.LASS keeps the user off the upper half.
        (regs, &[], AccessKind::Execute, true, Some(Register::Cr4)),
        (regs, &[Register::Cr4], AccessKind::Execute, true, None),
        (smap, &[Register::Cr4], AccessKind::Read, false, Some(Register::Ac)),
        (regs, &[Register::Cr4], AccessKind::Read, false, None),
    ] {
        let all = Cpu::known(Regs::X86(regs));
        let lacking: Vec<_> = unknown.into_iter().filter(|one| !known.contains(one)).collect();
        let guest =
            Guest::new(Some(SliceMemory::new(Gpa(0), &bytes)), Some(all.without(&lacking)), None);
        let guest = guest.expect("no map to render");
        let asked = guest.walk(Gva(0x123), Query::access(kind, user));
        assert_eq!(asked.err(), wanted.map(Missing::Undecided), "{kind:?} {user}");
    }
}

#[test]
fn rights_by_index_are_unknown_without_their_registers() {
    let mut bytes = vec![0; 0x2000];
    bytes[0x1000..0x1008].copy_from_slice(&0x401_u64.to_le_bytes());
    // One 1 GB block; TCR2.PIE.
    let tcr = 25 | 25 << 16 | 0b10 << 30 | 5 << 32;
    let regs = ArmRegs { ttbr0: 0x1000, tcr, tcr2: 2, ..ArmRegs::new(ArmState::Aarch64) };
    let cpu = Cpu::known(Regs::Arm(regs)).without(&[Register::Pir]);
    let guest = Guest::new(Some(SliceMemory::new(Gpa(0), &bytes)), Some(cpu), None);
    let guest = guest.expect("no map to render");
    let found = guest.walk(Gva(0x10), Query::Presence).expect("is asked").result;
    let found = found.expect("is mapped");
    assert_eq!((found.gpa, found.rights.unknown), (Gpa(0x10), true));
    let access = guest.walk(Gva(0x10), Query::access(AccessKind::Read, false));
    assert_eq!(access, Err(Missing::Undecided(Register::Pir)));
}
