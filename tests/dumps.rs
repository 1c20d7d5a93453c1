//! LiME, Windows and kdump files, and what rr-mem writes: the files that are
//! read are written here, byte by byte, without the reader's layouts.

use std::io::Write;

use flate2::{Compression, write::ZlibEncoder};
use proptest::prelude::*;
use rr_mem::{
    addr::{Gpa, RangeSet},
    image::{
        self, CoreNote, Description, Image, ImageError, OpenOptions,
        save::{self, FileFormat},
    },
    memory::{MappedFile, Memory, ReadCause, SliceMemory},
    regs::{Arch, ArmRegs, ArmState, Cpu, Register, Regs, X86Regs},
};

fn open(bytes: Vec<u8>) -> Result<Image, ImageError> {
    image::from_file(MappedFile::from_vec(bytes), &OpenOptions::default())
}

fn read(image: &Image, gpa: u64, len: usize) -> Result<Vec<u8>, ReadCause> {
    let mut dst = vec![0; len];
    image.memory.read(Gpa(gpa), &mut dst).map(|()| dst).map_err(|error| error.cause)
}

/// A page that no other number gives.
fn page(number: u64) -> Vec<u8> {
    (0..4096u64).map(|i| (i * 7 / 64 + number * 13) as u8).collect()
}

/// The whole file, cut at many places: what is still read is right.
fn cuts_answer_rightly(bytes: &[u8], pages: &[(u64, Vec<u8>)]) {
    for cut in (0..bytes.len()).step_by(331).chain(bytes.len() - 40..bytes.len()) {
        let Ok(image) = open(bytes[..cut].to_vec()) else { continue };
        if image.format == "raw RAM" {
            assert!(cut < 64, "{cut}: the magic is whole");
            continue;
        }
        for (gpa, data) in pages {
            if let Ok(found) = read(&image, *gpa, data.len()) {
                assert_eq!(found, *data, "cut at {cut}, page at {gpa:#x}");
            }
        }
    }
}

// LiME

fn lime(first: u64, data: &[u8]) -> Vec<u8> {
    let mut out = b"EMiL\x01\0\0\0".to_vec();
    out.extend(first.to_le_bytes());
    out.extend((first + data.len() as u64 - 1).to_le_bytes());
    out.extend([0; 8]);
    out.extend(data);
    out
}

#[test]
fn a_lime_dump_has_its_ranges_and_nothing_between() {
    let pages = [(0x1000, page(1)), (0x10_0000, page(2))];
    let bytes = pages.iter().flat_map(|(gpa, data)| lime(*gpa, data)).collect::<Vec<_>>();
    let image = open(bytes.clone()).expect("is whole");
    assert_eq!((image.format, image.cpus.len()), ("LiME dump", 0));
    for (gpa, data) in &pages {
        assert_eq!(read(&image, *gpa, 4096).as_ref(), Ok(data));
    }
    assert_eq!(read(&image, 0x2000, 1), Err(ReadCause::Hole));
    cuts_answer_rightly(&bytes, &pages);
}

#[test]
fn a_cut_lime_dump_says_what_is_missing() {
    let mut bytes = lime(0x1000, &page(1));
    bytes.truncate(32 + 0x800);
    let image = open(bytes).expect("the part that is there");
    assert!(image.notes[0].contains("0x800 bytes of the range at 0x1000"), "{:?}", image.notes);
    assert_eq!(read(&image, 0x1800, 1), Err(ReadCause::Absent));
}

#[test]
fn a_lime_header_that_is_none_is_damage() {
    let mut version = lime(0, &page(1));
    version[4] = 2;
    let mut backwards = lime(0x1000, &page(1));
    backwards[16..24].copy_from_slice(&0u64.to_le_bytes());
    let behind = [lime(0, &page(1)), b"garbage".repeat(9)].concat();
    for bytes in [version, backwards, behind] {
        assert_eq!(open(bytes).expect_err("is damaged").kind(), "damaged");
    }
}

// Windows

fn windows(wide: bool, runs: &[(u64, u64)], kind: u32) -> Vec<u8> {
    let mut out = vec![0; if wide { 0x2000 } else { 0x1000 }];
    let mut put = |at: usize, bytes: &[u8]| out[at..at + bytes.len()].copy_from_slice(bytes);
    let word = |value: u64| value.to_le_bytes()[..if wide { 8 } else { 4 }].to_vec();
    put(0, if wide { b"PAGEDU64" } else { b"PAGEDUMP" });
    put(0x10, &word(0x1ab000));
    let (machine, memory, first, dump_type) =
        if wide { (0x30, 0x88, 0x98, 0xf98) } else { (0x20, 0x64, 0x6c, 0xf88) };
    put(machine, &(if wide { 0x8664u32 } else { 0x14c }).to_le_bytes());
    put(memory, &(runs.len() as u32).to_le_bytes());
    for (number, (base, count)) in runs.iter().enumerate() {
        let at = first + number * if wide { 16 } else { 8 };
        put(at, &[word(*base), word(*count)].concat());
    }
    put(dump_type, &kind.to_le_bytes());
    // SegCs 0x33; PaeEnabled.
    put(if wide { 0x380 } else { 0x3dc }, &[0x33, 0]);
    if !wide {
        put(0x5c, &[1]);
    }
    out
}

#[test]
fn a_windows_dump_has_its_runs_and_the_base_of_the_tables() {
    for wide in [true, false] {
        let pages = [(0x1000, page(1)), (0x2000, page(2)), (0x10_0000, page(3))];
        let mut bytes = windows(wide, &[(1, 2), (0x100, 1)], 1);
        pages.iter().for_each(|(_, data)| bytes.extend(data));
        let image = open(bytes.clone()).expect("is whole");
        let Regs::X86(regs) = image.cpus[0].regs else { panic!("an x86 CPU") };
        assert_eq!((regs.cr3, regs.cpl, regs.in_long_mode()), (0x1ab000, 3, wide));
        assert!(regs.physical_address_extension());
        assert_eq!(image.arch, Some(if wide { Arch::X86_64 } else { Arch::I386 }));
        for (gpa, data) in &pages {
            assert_eq!(read(&image, *gpa, 4096).as_ref(), Ok(data));
        }
        assert_eq!(read(&image, 0x3000, 1), Err(ReadCause::Hole));
        cuts_answer_rightly(&bytes, &pages);
    }
}

#[test]
fn windows_dumps_that_leave_memory_out_are_refused() {
    for kind in [2, 5] {
        let error = open(windows(true, &[(1, 1)], kind)).expect_err("not complete");
        assert_eq!(error.kind(), "not_an_image");
        assert!(error.advice().to_string().contains("complete memory dump"));
    }
    for runs in [0, 44] {
        let error = open(windows(true, &vec![(1, 1); runs.min(43)], 1)).map(drop);
        let mut many = windows(true, &[(1, 1)], 1);
        many[0x88] = runs as u8;
        assert_eq!(open(many).expect_err("no memory map").kind(), "damaged", "{error:?}");
    }
}

// kdump

#[derive(Clone, Copy, Debug)]
enum Packing {
    Plain,
    Zlib,
    Lzo,
    Snappy,
    Zstd,
}

use Packing::{Lzo, Plain, Snappy, Zlib, Zstd};

fn pack(packing: Packing, data: &[u8]) -> (u32, Vec<u8>) {
    match packing {
        Plain => (0, data.to_vec()),
        Zlib => {
            let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
            encoder.write_all(data).expect("to memory");
            (1, encoder.finish().expect("to memory"))
        }
        Lzo => (2, lzokay::compress::compress(data).expect("to memory")),
        Snappy => (4, snap::raw::Encoder::new().compress_vec(data).expect("to memory")),
        Zstd => (0x20, zstd::encode_all(data, 1).expect("to memory")),
    }
}

/// A kdump of pages by number: how each is packed; `None` leaves it out.
fn kdump(wide: bool, pages: &[(u64, Option<Packing>)]) -> Vec<u8> {
    let most = pages.iter().map(|(number, _)| number + 1).max().unwrap_or(0);
    let mut header = vec![0; 8192];
    let mut put = |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, b"KDUMP   ");
    put(8, &6u32.to_le_bytes());
    put(272, b"x86_64");
    let status = if wide { 424 } else { 412 };
    for (place, value) in [1u32, 4096, 1, 2, most as u32].into_iter().enumerate() {
        put(status + place * 4, &value.to_le_bytes());
    }
    put(4096 + if wide { 96 } else { 72 }, &most.to_le_bytes());
    let (mut there, mut kept) = (vec![0u8; 4096], vec![0u8; 4096]);
    for (number, packing) in pages {
        let bit = 1 << (number % 8);
        there[(number / 8) as usize] |= bit;
        kept[(number / 8) as usize] |= if packing.is_some() { bit } else { 0 };
    }
    let present: Vec<_> =
        pages.iter().filter_map(|(number, packing)| Some((*number, (*packing)?))).collect();
    let (mut descriptors, mut data) = (Vec::new(), Vec::new());
    let start = 16384 + present.len() as u64 * 24;
    for (number, packing) in present {
        let (flags, packed) = pack(packing, &page(number));
        descriptors.extend((start + data.len() as u64).to_le_bytes());
        descriptors.extend((packed.len() as u32).to_le_bytes());
        descriptors.extend(flags.to_le_bytes());
        descriptors.extend([0; 8]);
        data.extend(packed);
    }
    [header, there, kept, descriptors, data].concat()
}

const PAGES: [(u64, Option<Packing>); 7] = [
    (1, Some(Plain)),
    (2, Some(Zlib)),
    (3, None),
    (4, Some(Lzo)),
    (100, Some(Snappy)),
    (101, Some(Zstd)),
    (102, Some(Zlib)),
];

fn present() -> Vec<(u64, Vec<u8>)> {
    PAGES.iter().filter(|(_, p)| p.is_some()).map(|(n, _)| (n << 12, page(*n))).collect()
}

fn holds_the_pages(image: &Image) {
    for (gpa, data) in present() {
        assert_eq!(read(image, gpa, 4096), Ok(data), "{gpa:#x}");
    }
    assert_eq!(read(image, 0x3000, 1), Err(ReadCause::Absent), "left out");
    assert_eq!(read(image, 0x5000, 1), Err(ReadCause::Hole), "no memory");
    let across = [page(100), page(101)].concat();
    assert_eq!(read(image, 0x64800, 0x1000).as_deref(), Ok(&across[0x800..0x1800]));
}

#[test]
fn a_kdump_unpacks_every_kind_of_page_in_either_word_size() {
    for wide in [true, false] {
        let image = open(kdump(wide, &PAGES)).expect("is whole");
        assert_eq!((image.format, image.notes.len()), ("kdump", 0));
        holds_the_pages(&image);
    }
}

/// A 32-bit header whose number of pages looks like a page size where a 64-bit
/// header has that.
#[test]
fn word_sizes_are_told_apart_where_numbers_are_alike() {
    let mut pages = PAGES.to_vec();
    pages.push((16383, Some(Plain)));
    holds_the_pages(&open(kdump(false, &pages)).expect("is whole"));
}

#[test]
fn a_cut_kdump_never_answers_wrongly() {
    let bytes = kdump(true, &PAGES);
    cuts_answer_rightly(&bytes, &present());
    let image = open(bytes[..bytes.len() - 10].to_vec()).expect("most is there");
    assert!(image.notes[0].contains("1 pages are missing"), "{:?}", image.notes);
    assert_eq!(read(&image, 102 << 12, 1), Err(ReadCause::Absent));
}

/// makedumpfile's writes, in another order than the file's.
fn flattened(bytes: &[u8]) -> Vec<u8> {
    let mut out = b"makedumpfile\0\0\0\0".to_vec();
    out.extend([1u64.to_be_bytes(), 1u64.to_be_bytes()].concat());
    out.resize(4096, 0);
    let pieces: Vec<_> = bytes.chunks(5000).enumerate().collect();
    for (number, piece) in pieces.into_iter().rev() {
        out.extend((number as i64 * 5000).to_be_bytes());
        out.extend((piece.len() as i64).to_be_bytes());
        out.extend(piece);
    }
    out.extend([0xff; 16]);
    out
}

#[test]
fn a_flattened_kdump_is_put_in_order() {
    let bytes = flattened(&kdump(true, &PAGES));
    holds_the_pages(&open(bytes.clone()).expect("is whole"));
    cuts_answer_rightly(&bytes, &present());
    let mut nowhere = bytes;
    nowhere[4096] = 0x7f;
    assert_eq!(open(nowhere).expect_err("past any disk").kind(), "damaged");
}

#[test]
fn a_damaged_page_is_an_error_and_the_others_are_not() {
    let mut bytes = kdump(true, &PAGES);
    // The first byte of the second page's zlib data.
    let at = u64::from_le_bytes(*bytes[16384 + 24..].first_chunk().expect("is there")) as usize;
    bytes[at..at + 4].fill(0xff);
    let image = open(bytes).expect("the headers are right");
    let error = read(&image, 0x2000, 1).expect_err("is damaged");
    assert!(matches!(&error, ReadCause::Io(what) if what.contains("zlib")), "{error:?}");
    assert_eq!(read(&image, 0x1000, 4096), Ok(page(1)));
}

#[test]
fn one_part_of_a_split_dump_is_refused() {
    let mut bytes = kdump(true, &PAGES);
    bytes[4096 + 12] = 1;
    let error = open(bytes).expect_err("a part");
    assert!(error.advice().to_string().contains("--reassemble"), "{error}");
}

proptest! {
    #[test]
    fn dumps_with_any_bytes_changed_never_panic(
        which in 0usize..5,
        changes in proptest::collection::vec((0usize..0x6000, any::<u8>()), 1..20),
        cut in 0usize..0x4000,
    ) {
        let mut bytes = match which {
            0 => [lime(0x1000, &page(1)), lime(0x9000, &page(2))].concat(),
            1 => [windows(true, &[(1, 1)], 1), page(1)].concat(),
            2 => [windows(false, &[(1, 1)], 1), page(1)].concat(),
            3 => kdump(true, &PAGES),
            _ => flattened(&kdump(false, &PAGES)),
        };
        bytes.truncate(bytes.len().saturating_sub(cut));
        for (at, byte) in changes {
            if let Some(place) = bytes.get_mut(at) {
                *place = byte;
            }
        }
        if let Ok(image) = open(bytes) {
            for range in image.memory.ranges().iter().take(1000) {
                let _ = image.memory.read(range.gpa, &mut [0; 64]);
            }
        }
    }
}

// Writing

fn saved(format: &FileFormat<'_>, memory: &dyn Memory, wanted: &RangeSet) -> (Vec<u8>, RangeSet) {
    let mut file = tempfile::tempfile().expect("a temporary folder");
    let written = save::save(&mut file, format, memory, wanted, &mut |_| {}).expect("a disk");
    let file = MappedFile::map(&file).expect("maps");
    (file.bytes().to_vec(), written)
}

fn set(ranges: &[(u64, u64)]) -> RangeSet {
    ranges.iter().map(|(first, last)| *first..=*last).collect()
}

proptest! {
    #[test]
    fn what_is_written_reads_back_and_nothing_else_does(
        ranges in proptest::collection::vec((0u64..0x8000, 1u64..0x2000), 1..12),
        narrow in any::<bool>(),
    ) {
        let ram: Vec<u8> = (0..0xc000u64).map(|i| if i & 0x2000 == 0 { 0 } else { i as u8 }).collect();
        let memory = SliceMemory::new(Gpa(0), &ram);
        let ranges: Vec<_> = ranges.into_iter().map(|(first, len)| (first, first + len - 1)).collect();
        let wanted = set(&ranges);
        let arch = if narrow { Arch::Arm } else { Arch::Aarch64 };
        let notes = |_: &RangeSet| Vec::new();
        for format in [FileFormat::Elf(arch, &notes), FileFormat::Lime] {
            let (bytes, written) = saved(&format, &memory, &wanted);
            prop_assert_eq!(&written, &wanted);
            let image = open(bytes).expect("is a format of ours");
            for gpa in (0..0xc000).step_by(97) {
                let found = read(&image, gpa, 1);
                match wanted.within(gpa, gpa).next() {
                    Some(_) => prop_assert_eq!(found, Ok(vec![ram[gpa as usize]])),
                    None => prop_assert_eq!(found, Err(ReadCause::Hole)),
                }
            }
        }
    }
}

/// RAM of which one page cannot be had.
struct Holed(Vec<u8>);

impl Memory for Holed {
    fn read(&self, addr: Gpa, dst: &mut [u8]) -> Result<(), rr_mem::memory::ReadError> {
        for (gpa, byte) in (addr.0..).zip(dst) {
            if gpa & !0xfff == 0x3000 {
                return Err(rr_mem::memory::ReadError::new(Gpa(gpa), ReadCause::Absent));
            }
            *byte = self.0[gpa as usize];
        }
        Ok(())
    }
}

#[test]
fn a_page_that_cannot_be_read_is_left_out_and_told() {
    let memory = Holed((0..0x8000u64).map(|i| (i / 64) as u8).collect());
    let notes = |_: &RangeSet| Vec::new();
    for format in [FileFormat::Elf(Arch::X86_64, &notes), FileFormat::Lime] {
        let (bytes, written) = saved(&format, &memory, &set(&[(0, 0x7fff)]));
        assert_eq!(written, set(&[(0, 0x2fff), (0x4000, 0x7fff)]));
        let image = open(bytes).expect("is whole");
        assert_eq!(read(&image, 0x3000, 1), Err(ReadCause::Hole));
        assert_eq!(read(&image, 0x4000, 1), Ok(vec![0]));
        assert_eq!(read(&image, 0x2fff, 1), Ok(vec![0xbf]));
    }
}

#[test]
fn an_elf_core_may_have_more_ranges_than_its_header_counts() {
    let ram: Vec<u8> = (0..1u64 << 21).map(|i| (i / 16) as u8).collect();
    let memory = SliceMemory::new(Gpa(0), &ram);
    let wanted: RangeSet = (0..70_000u64).map(|n| n * 16..=n * 16 + 7).collect();
    let notes = |_: &RangeSet| Vec::new();
    let (bytes, _) = saved(&FileFormat::Elf(Arch::X86_64, &notes), &memory, &wanted);
    let image = open(bytes).expect("is whole");
    assert_eq!(image.memory.ranges().len(), 70_000);
    assert_eq!(read(&image, 69_999 * 16, 8), Ok(vec![(69_999 % 256) as u8; 8]));
    assert_eq!(read(&image, 69_999 * 16 + 8, 1), Err(ReadCause::Hole));
}

#[test]
fn memory_above_4_gb_makes_a_core_of_64_bits() {
    let memory = SliceMemory::new(Gpa(0x1_0000_0000), &[7; 4096]);
    let notes = |_: &RangeSet| Vec::new();
    let wanted = set(&[(0x1_0000_0000, 0x1_0000_0fff)]);
    let (bytes, _) = saved(&FileFormat::Elf(Arch::I386, &notes), &memory, &wanted);
    assert_eq!((bytes[4], bytes[18]), (2, 3));
    assert_eq!(read(&open(bytes).expect("is whole"), 0x1_0000_0ffe, 2), Ok(vec![7, 7]));
}

#[test]
fn registers_and_what_is_not_known_of_them_come_back() {
    let x86 = X86Regs { cr3: 0x1000, a20: false, pages_1g: false, cpl: 3, ..X86Regs::long_mode() };
    let arm = ArmRegs { ttbr1: 0x2000, el: 0, pan: true, ..ArmRegs::new(ArmState::Aarch32) };
    for (arch, regs, missing) in [
        (Arch::X86_64, Regs::X86(x86), &[Register::Efer, Register::A20, Register::PhysBits][..]),
        (Arch::Aarch64, Regs::Arm(arm), &[Register::Ttbr0][..]),
        (Arch::X86_64, Regs::X86(x86), &[]),
    ] {
        let cpus = [Cpu::known(regs), Cpu::known(regs).without(missing)];
        let other = CoreNote { owner: b"CORE".to_vec(), kind: 7, contents: vec![1, 2, 3] };
        let own = Description::new(arch, "a test".to_owned()).with_cpus(&cpus);
        let notes = |holds: &RangeSet| {
            let absent = set(&[(0, 0xffff)]).without(holds);
            vec![other.clone(), own.clone().with_absent(&absent).note()]
        };
        let memory = SliceMemory::new(Gpa(0), &[1; 0x1000]);
        let (bytes, _) = saved(&FileFormat::Elf(arch, &notes), &memory, &set(&[(0, 0xfff)]));
        let image = open(bytes).expect("is whole");
        assert_eq!((&image.cpus[..], image.arch), (&cpus[..], Some(arch)));
        assert_eq!(image.core_notes, std::slice::from_ref(&other));
        assert_eq!(read(&image, 0x1000, 1), Err(ReadCause::Absent));
        assert_eq!(read(&image, 0x10000, 1), Err(ReadCause::Hole));
    }
}
