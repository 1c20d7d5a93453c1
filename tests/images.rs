//! Image files: what is recognised, what is refused and how, what is hostile.
//! The ELF files are written here, byte by byte, without the reader's layouts.

use std::{fs, io::Write, path::PathBuf};

use proptest::prelude::*;
use rr_mem::{
    addr::Gpa,
    image::{self, Image, ImageError, OpenOptions},
    memory::{MappedFile, Memory, ReadCause},
    regs::{Arch, Register, Regs},
};

fn open(bytes: Vec<u8>) -> Result<Image, ImageError> {
    image::from_file(MappedFile::from_vec(bytes), &OpenOptions::default())
}

/// An ELF64 file: header, program headers, then what they point to.
struct Elf {
    machine: u16,
    kind: u16,
    headers: Vec<[u64; 7]>,
    contents: Vec<u8>,
}

const CONTENTS: u64 = 0x1000;

impl Elf {
    fn core(machine: u16) -> Self {
        Self { machine, kind: 4, headers: Vec::new(), contents: Vec::new() }
    }

    /// type, flags, offset, vaddr, paddr, filesz, memsz
    fn load(mut self, gpa: u64, bytes: &[u8], memsz: u64) -> Self {
        let offset = CONTENTS + self.contents.len() as u64;
        self.headers.push([1, 0, offset, 0, gpa, bytes.len() as u64, memsz]);
        self.contents.extend(bytes);
        self
    }

    fn note(mut self, owner: &str, kind: u32, desc: &[u8]) -> Self {
        let offset = CONTENTS + self.contents.len() as u64;
        let mut note = Vec::new();
        note.extend((owner.len() as u32 + 1).to_le_bytes());
        note.extend((desc.len() as u32).to_le_bytes());
        note.extend(kind.to_le_bytes());
        note.extend(owner.as_bytes());
        note.resize(note.len() / 4 * 4 + 4, 0);
        note.extend(desc);
        note.resize(note.len().next_multiple_of(4), 0);
        self.headers.push([4, 0, offset, 0, 0, note.len() as u64, note.len() as u64]);
        self.contents.extend(note);
        self.contents.resize(self.contents.len().next_multiple_of(16), 0);
        self
    }

    fn bytes(&self) -> Vec<u8> {
        let mut out = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
        out.extend(self.kind.to_le_bytes());
        out.extend(self.machine.to_le_bytes());
        out.extend(1u32.to_le_bytes());
        for word in [0, 64, 0u64] {
            out.extend(word.to_le_bytes());
        }
        out.extend(0u32.to_le_bytes());
        for half in [64, 56, self.headers.len() as u16, 0, 0, 0] {
            out.extend(half.to_le_bytes());
        }
        for [kind, flags, offset, vaddr, paddr, filesz, memsz] in &self.headers {
            out.extend((*kind as u32).to_le_bytes());
            out.extend((*flags as u32).to_le_bytes());
            for word in [offset, vaddr, paddr, filesz, memsz, &0] {
                out.extend(word.to_le_bytes());
            }
        }
        out.resize(CONTENTS as usize, 0);
        out.extend(&self.contents);
        out
    }
}

const EM_X86_64: u16 = 62;
const EM_386: u16 = 3;
const EM_AARCH64: u16 = 183;

/// The CPU state of a "QEMU" note.
fn qemu_note(cs: u64, cr: [u64; 5]) -> Vec<u8> {
    let mut note = Vec::new();
    note.extend(1u32.to_le_bytes());
    note.extend(440u32.to_le_bytes());
    note.extend([0; 18 * 8]);
    note.extend(cs.to_le_bytes());
    note.resize(8 + 18 * 8 + 10 * 24, 0);
    cr.iter().for_each(|value| note.extend(value.to_le_bytes()));
    note.extend(0u64.to_le_bytes());
    note
}

#[test]
fn registers_come_from_the_qemu_notes_one_per_cpu() {
    let elf = Elf::core(EM_X86_64)
        .note("CORE", 1, &[0; 336])
        .note("CORE", 1, &[0; 336])
        .note("QEMU", 0, &qemu_note(0x10, [0x8005_0033, 0, 0, 0x1000, 0x6f0]))
        .note("QEMU", 0, &qemu_note(0x33, [0x8005_0033, 0, 0, 0x2000, 0x6f0]))
        .load(0, &[0; 4096], 4096);
    let image = open(elf.bytes()).expect("whole");
    let regs: Vec<_> = image.cpus.iter().map(|cpu| (cpu.regs, *cpu)).collect();
    let [(Regs::X86(first), cpu), (Regs::X86(second), _)] = regs[..] else {
        panic!("two x86 CPUs: {regs:?}")
    };
    assert_eq!((first.cr3, first.cpl, second.cr3, second.cpl), (0x1000, 0, 0x2000, 3));
    assert!(first.in_long_mode() && first.no_execute_enable());
    let usual = cpu.unknown_registers().filter(|register| !register.info().rare);
    let unknown: Vec<_> = usual.collect();
    let none = [Register::Efer, Register::A20, Register::PhysBits];
    assert_eq!(unknown, none, "a dump holds none of them");
    assert_eq!(image.arch, Some(Arch::X86_64));
}

#[test]
fn nx_is_assumed_for_pae_but_not_for_32_bit_paging() {
    for (cr4, nx) in [(0x6d0, false), (0x6f0, true)] {
        let note = qemu_note(0x60, [0x8005_0033, 0, 0, 0x1000, cr4]);
        let image = open(Elf::core(EM_386).note("QEMU", 0, &note).bytes()).expect("whole");
        let (cpu, _) = image.cpus[0].with_usual_values();
        let Regs::X86(regs) = cpu.regs else { panic!("an x86 CPU") };
        assert_eq!((regs.no_execute_enable(), regs.in_long_mode()), (nx, false));
    }
}

#[test]
fn an_arm_dump_says_that_its_tables_are_not_known() {
    let mut prstatus = vec![0; 392];
    prstatus[112 + 33 * 8] = 0x5;
    let image = open(Elf::core(EM_AARCH64).note("CORE", 1, &prstatus).bytes()).expect("whole");
    assert!(!image.cpus[0].translates());
    let Regs::Arm(regs) = image.cpus[0].regs else { panic!("an ARM CPU") };
    assert_eq!(regs.el, 1);
}

#[test]
fn memory_that_a_segment_does_not_keep_is_absent_not_zero() {
    let elf = Elf::core(EM_X86_64).load(0x1000, &[7; 0x1000], 0x3000);
    let image = open(elf.bytes()).expect("whole");
    let mut dst = [0; 2];
    image.memory.read(Gpa(0x1fff), &mut dst[..1]).expect("kept");
    assert_eq!(dst[0], 7);
    let error = image.memory.read(Gpa(0x1fff), &mut dst).expect_err("ends in what is left out");
    assert_eq!((error.addr, error.cause), (0x2000, ReadCause::Absent));
    let error = image.memory.read(Gpa(0x4000), &mut dst).expect_err("nothing is there");
    assert_eq!(error.cause, ReadCause::Hole);
}

#[test]
fn a_cut_file_gives_what_it_has_and_says_so() {
    let mut bytes = Elf::core(EM_X86_64).load(0, &[7; 0x2000], 0x2000).bytes();
    bytes.truncate(bytes.len() - 0x800);
    let image = open(bytes).expect("the part that is there");
    assert!(
        image.notes[0].contains("0x800 bytes of the block at 0x0 are missing"),
        "{:?}",
        image.notes
    );
    let mut dst = [0; 8];
    image.memory.read(Gpa(0x17f8), &mut dst).expect("there");
    let error = image.memory.read(Gpa(0x17fc), &mut dst).expect_err("cut");
    assert_eq!((error.addr, error.cause), (0x1800, ReadCause::Absent));
}

#[test]
fn an_emulators_own_core_is_recognised_and_the_hint_says_how_to_open_it() {
    let elf = Elf::core(EM_X86_64).note("CORE", 6, &[0; 16]).load(0, &[0; 4096], 4096);
    let error = open(elf.bytes()).expect_err("a process");
    assert_eq!(error.kind(), "not_an_image");
    assert!(
        error.advice().to_string().contains("the emulator's core"),
        "{}",
        error.advice().to_string()
    );
}

#[test]
fn foreign_formats_are_named_and_never_taken_for_ram() {
    for magic in [&b"KDMV\x01\0\0\0"[..], b"\xd2\xbe\xd2\xbe", b"\x7fVirtualBox SavedState V2.0"] {
        let error = open([magic, &[0; 64]].concat()).expect_err("no RAM");
        assert_eq!(error.kind(), "not_an_image");
        assert!(!error.advice().to_string().is_empty());
    }
    let mut executable = Elf::core(EM_X86_64);
    executable.kind = 3;
    assert_eq!(open(executable.bytes()).expect_err("no core").kind(), "not_an_image");
}

#[test]
fn raw_ram_starts_at_its_base() {
    let file = MappedFile::from_vec(vec![1, 2, 3, 4]);
    let image = image::from_file(file, &OpenOptions::default().ram_base(Gpa(0x8000_0000)))
        .expect("anything is RAM");
    let mut dst = [0; 2];
    image.memory.read(Gpa(0x8000_0002), &mut dst).expect("there");
    assert_eq!(dst, [3, 4]);
    assert!(image.memory.read(Gpa(0), &mut dst).is_err());
    let file = MappedFile::from_vec(vec![0; 4096]);
    assert!(
        image::from_file(file, &OpenOptions::default().ram_base(Gpa(u64::MAX - 100))).is_err(),
        "past the end of the space"
    );
}

/// The file is not read, so its size does not matter.
#[test]
fn a_terabyte_of_sparse_file_opens_and_reads_at_its_end() {
    let mut file = tempfile::NamedTempFile::new().expect("a temporary folder");
    let len = 1 << 40;
    file.as_file().set_len(len).expect("sparse files exist");
    file.write_all(b"head").expect("writes");
    let image = image::open(file.path(), &OpenOptions::default(), &mut |_| {}).expect("maps");
    let mut dst = [1; 4];
    image.memory.read(Gpa(len - 4), &mut dst).expect("there");
    assert_eq!(dst, [0; 4]);
}

#[test]
fn what_is_no_file_is_an_error() {
    let missing =
        image::open(&PathBuf::from("/nonexistent/dump"), &OpenOptions::default(), &mut |_| {});
    assert_eq!(missing.expect_err("no such file").kind(), "container");
    let folder = image::open(&std::env::temp_dir(), &OpenOptions::default(), &mut |_| {});
    assert_eq!(folder.expect_err("a folder").kind(), "container");
}

fn sample() -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/data/slices/i386.elf.zst");
    zstd::decode_all(&fs::read(path).expect("is there")[..]).expect("is whole")
}

proptest! {
    #[test]
    fn a_core_with_any_bytes_changed_never_panics(
        changes in proptest::collection::vec((0usize..0x3000, any::<u8>()), 1..20),
        cut in 0usize..0x10000,
    ) {
        let mut bytes = sample();
        bytes.truncate(bytes.len().saturating_sub(cut));
        for (at, byte) in changes {
            if let Some(place) = bytes.get_mut(at) {
                *place = byte;
            }
        }
        if let Ok(image) = open(bytes) {
            let mut dst = [0; 64];
            for range in image.memory.ranges() {
                let _ = image.memory.read(range.gpa, &mut dst);
            }
        }
    }
}
