//! Cores of an emulator's process: which bytes come from the core, which from
//! the files that it names, and which are an error. The cores and executables
//! here are generated, byte by byte, without the reader's layouts; real ones
//! are in tests/oracle/process/test_core.py.

use std::path::Path;

use proptest::prelude::*;
use rr_mem::{
    addr::Hva,
    host::{
        Host,
        core::{Core, CoreError},
    },
    memory::{MappedFile, Memory, ReadCause},
};

const PAGE: usize = 0x1000;
/// Where the executables are loaded.
const BASE: u64 = 0x5555_0000_0000;
const CODE: u64 = BASE + 0x1000;
const DATA: u64 = BASE + 0x2000;
const RAM: u64 = 0x7f00_0000_0000;

/// Header and program headers of an ELF64 file: type, flags, offset, vaddr,
/// paddr, filesz, memsz, align.
fn elf(kind: u16, entry: u64, headers: &[[u64; 8]]) -> Vec<u8> {
    let mut out = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    out.extend(kind.to_le_bytes());
    out.extend(62u16.to_le_bytes());
    out.extend(1u32.to_le_bytes());
    for word in [entry, 64, 0] {
        out.extend(word.to_le_bytes());
    }
    out.extend(0u32.to_le_bytes());
    for half in [64, 56, headers.len() as u16, 0, 0, 0] {
        out.extend(half.to_le_bytes());
    }
    for [kind, flags, rest @ ..] in headers {
        out.extend((*kind as u32).to_le_bytes());
        out.extend((*flags as u32).to_le_bytes());
        rest.iter().for_each(|word| out.extend(word.to_le_bytes()));
    }
    out
}

fn note(owner: &str, kind: u32, desc: &[u8]) -> Vec<u8> {
    let mut out = (owner.len() as u32 + 1).to_le_bytes().to_vec();
    out.extend((desc.len() as u32).to_le_bytes());
    out.extend(kind.to_le_bytes());
    out.extend(owner.as_bytes());
    out.push(0);
    out.resize(out.len().next_multiple_of(4), 0);
    out.extend(desc);
    out.resize(out.len().next_multiple_of(4), 0);
    out
}

/// An executable of three pages: headers with the build-id, code, data.
fn executable(build_id: u8) -> Vec<u8> {
    let id = note("GNU", 3, &[build_id; 20]);
    let mut out = elf(
        3,
        0x1010,
        &[
            [1, 4, 0, 0, 0, 0x1000, 0x1000, 0x1000],
            [1, 5, 0x1000, 0x1000, 0, 0x1000, 0x1000, 0x1000],
            [1, 6, 0x2000, 0x2000, 0, 0x1000, 0x1000, 0x1000],
            [4, 4, 0x400 - 0x60, 0, 0, id.len() as u64, id.len() as u64, 4],
        ],
    );
    out.resize(0x400 - 0x60, 0);
    out.extend(id);
    out.resize(PAGE, 0);
    out.extend([0xcc; PAGE]);
    out.extend([0xdd; PAGE]);
    out
}

fn words(words: &[u64]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// Start, end, offset in pages, path.
type Mapped<'a> = (u64, u64, u64, &'a str);

fn file_note(ranges: &[Mapped<'_>]) -> Vec<u8> {
    let mut desc = words(&[ranges.len() as u64, PAGE as u64]);
    for (start, end, offset, _) in ranges {
        desc.extend(words(&[*start, *end, *offset]));
    }
    for (.., path) in ranges {
        desc.extend(path.as_bytes());
        desc.push(0);
    }
    note("CORE", 0x4649_4c45, &desc)
}

fn auxiliary(entry: u64) -> Vec<u8> {
    note("CORE", 6, &words(&[3, BASE + 64, 9, entry, 0, 0]))
}

fn thread(tid: u32) -> Vec<u8> {
    let mut status = [0; 336];
    status[32..36].copy_from_slice(&tid.to_le_bytes());
    note("CORE", 1, &status)
}

const EXE: [Mapped<'_>; 3] = [
    (BASE, BASE + 0x1000, 0, "/opt/qemu"),
    (CODE, CODE + 0x1000, 1, "/opt/qemu"),
    (DATA, DATA + 0x1000, 2, "/opt/qemu"),
];

/// A core: notes, then segments of address, flags, bytes held, length.
struct Builder {
    notes: Vec<u8>,
    segments: Vec<(u64, u64, Vec<u8>, u64)>,
}

impl Builder {
    /// As the kernel writes it of an executable with [`EXE`]'s ranges.
    fn usual() -> Self {
        let notes = [thread(77), thread(78), auxiliary(CODE + 0x10), file_note(&EXE)].concat();
        Self { notes, segments: Vec::new() }
            .segment(BASE, 4, executable(1)[..PAGE].to_vec(), 0x1000)
            .segment(CODE, 5, Vec::new(), 0x1000)
            .segment(DATA, 6, vec![0xda; PAGE], 0x1000)
    }

    fn segment(mut self, start: u64, flags: u64, held: Vec<u8>, len: u64) -> Self {
        self.segments.push((start, flags, held, len));
        self
    }

    fn bytes(&self) -> Vec<u8> {
        let mut offset = PAGE as u64;
        let mut headers = vec![[4, 0, offset, 0, 0, self.notes.len() as u64, 0, 4]];
        offset += self.notes.len() as u64;
        for (start, flags, held, len) in &self.segments {
            headers.push([1, *flags, offset, *start, 0, held.len() as u64, *len, 1]);
            offset += held.len() as u64;
        }
        let mut out = elf(4, 0, &headers);
        out.resize(PAGE, 0);
        out.extend(&self.notes);
        self.segments.iter().for_each(|(_, _, held, _)| out.extend(held));
        out
    }

    /// Opened on a machine that has only the file `installed`, as /opt/qemu.
    fn open(&self, given: &[Vec<u8>], installed: Option<&[u8]>) -> Result<Core, CoreError> {
        open(self.bytes(), given, installed)
    }
}

fn open(core: Vec<u8>, given: &[Vec<u8>], installed: Option<&[u8]>) -> Result<Core, CoreError> {
    let file = |bytes: &[u8]| MappedFile::from_vec(bytes.to_vec());
    let given: Vec<_> = given.iter().map(|bytes| file(bytes)).collect();
    let find = |path: &Path| installed.filter(|_| path == Path::new("/opt/qemu")).map(file);
    Core::from_file(MappedFile::from_vec(core), &given, &find)
}

/// The first byte at an address, or why it cannot be had.
fn byte(core: &Core, address: u64) -> Result<u8, ReadCause> {
    let mut byte = [0];
    let read = core.memory().read(Hva(address), &mut byte);
    let slice = core.memory().slice(Hva(address), 1);
    assert_eq!(slice, read.is_ok().then_some(&byte[..]), "a slice and a read agree");
    read.map(|()| byte[0]).map_err(|error| error.cause)
}

#[test]
fn code_that_the_core_leaves_out_comes_from_the_file_that_ran() {
    let core = Builder::usual().open(&[], Some(&executable(1))).expect("whole");
    assert_eq!(byte(&core, CODE + 5), Ok(0xcc));
    assert_eq!(byte(&core, DATA + 5), Ok(0xda), "what the core holds wins");
    let module = &core.modules()[0];
    assert_eq!((module.path.as_path(), module.bias), (Path::new("/opt/qemu"), BASE));
    assert!(module.file.is_some() && core.remarks().is_empty());
}

#[test]
fn a_file_with_another_build_id_is_not_taken() {
    let core = Builder::usual().open(&[], Some(&executable(2))).expect("is still a core");
    assert_eq!(byte(&core, CODE), Err(ReadCause::NotInCore));
    let why = core.without_executable().expect("it is not the one");
    assert!(why.contains("/opt/qemu") && why.contains("is not the one that ran"), "{why}");
    let error = Builder::usual().open(&[executable(2)], None).expect_err("is another");
    assert_eq!(error.kind(), "executable");
    assert!(error.to_string().contains("0202") && error.to_string().contains("0101"), "{error}");
}

#[test]
fn a_file_that_is_gone_can_be_given() {
    let core = Builder::usual().open(&[], None).expect("is still a core");
    assert_eq!(byte(&core, CODE), Err(ReadCause::NotInCore));
    assert!(core.without_executable().is_some_and(|why| why.contains("could not be found")));
    let core = Builder::usual().open(&[executable(1)], None).expect("whole");
    assert_eq!(byte(&core, CODE), Ok(0xcc));
    assert_eq!(core.without_executable(), None);
}

#[test]
fn data_that_the_process_could_write_never_comes_from_a_file() {
    let mut builder = Builder::usual();
    builder.segments[2].2.clear();
    let core = builder.open(&[], Some(&executable(1))).expect("whole");
    assert_eq!(byte(&core, DATA), Err(ReadCause::NotInCore));
}

#[test]
fn bytes_beyond_what_the_core_holds_of_a_segment_are_not_zeros() {
    let core =
        Builder::usual().segment(RAM, 6, vec![7; 100], 0x3000).open(&[], None).expect("whole");
    assert_eq!((byte(&core, RAM + 99), byte(&core, RAM + 100)), (Ok(7), Err(ReadCause::NotInCore)));
    let mut bytes = [0; 8];
    let error = core.memory().read(Hva(RAM + 96), &mut bytes).expect_err("four are there");
    assert_eq!((error.addr, &bytes[..4]), (RAM + 100, &[7; 4][..]));
    assert_eq!(core.memory().held(Hva(RAM), 0x3000), 100);
    assert_eq!(core.memory().held(Hva(RAM + 0x1000), 0x3000), 0);
}

#[test]
fn reads_cross_from_the_core_to_a_file_and_back() {
    let core = Builder::usual().open(&[], Some(&executable(1))).expect("whole");
    let mut bytes = [0; PAGE + 2];
    core.memory().read(Hva(CODE - 1), &mut bytes).expect("all is there");
    assert_eq!((bytes[0], bytes[1], bytes[PAGE], bytes[PAGE + 1]), (0, 0xcc, 0xcc, 0xda));
    assert_eq!(core.memory().slice(Hva(CODE - 1), 2), None, "not in one piece");
}

#[test]
fn without_a_first_page_the_files_are_taken_and_that_is_said() {
    let mut builder = Builder::usual();
    builder.segments[0].2.clear();
    let core = builder.open(&[], Some(&executable(1))).expect("whole");
    assert_eq!(byte(&core, CODE), Ok(0xcc));
    assert!(core.remarks()[0].contains("nothing to compare"), "{:?}", core.remarks());
    let core = builder.open(&[executable(1)], None).expect("whole");
    assert_eq!((byte(&core, CODE), core.modules()[0].bias), (Ok(0xcc), BASE));
    assert!(core.remarks()[0].contains("nothing to compare"), "{:?}", core.remarks());
}

#[test]
fn the_executable_is_told_by_its_address_whatever_its_name() {
    for name in ["qemu (deleted)", "./qemu-sys", "/opt/qemu (deleted)", ""] {
        let ranges = EXE.map(|(start, end, offset, _)| (start, end, offset, name));
        let mut builder = Builder::usual();
        let other = (RAM, RAM + 0x1000, 0, "/lib/first.so");
        builder.notes = [auxiliary(CODE), file_note(&[&[other], &ranges[..]].concat())].concat();
        let core = builder.open(&[executable(1)], None).expect("whole");
        assert_eq!((core.modules()[0].bias, byte(&core, CODE)), (BASE, Ok(0xcc)), "{name:?}");
    }
}

#[test]
fn threads_and_areas_are_those_of_the_process() {
    let core =
        Builder::usual().segment(RAM, 6, vec![7; 100], 0x3000).open(&[], None).expect("whole");
    let tids: Vec<_> = core.threads().iter().map(|thread| thread.tid).collect();
    assert_eq!(tids, [77, 78]);
    let areas: Vec<_> = core
        .areas()
        .iter()
        .map(|a| (a.start.0, a.len, a.writable, a.name.as_deref().unwrap_or("?")))
        .collect();
    assert_eq!(areas[1], (CODE, 0x1000, false, "/opt/qemu"));
    assert_eq!(areas[3], (RAM, 0x3000, true, ""));
    assert!(!core.knows_all_areas());
}

#[test]
fn a_mapped_file_without_a_segment_is_an_area() {
    let mut builder = Builder::usual();
    builder.segments.remove(1);
    let core = builder.open(&[], Some(&executable(1))).expect("whole");
    assert_eq!(core.areas()[1].start, Hva(CODE));
    assert_eq!(byte(&core, CODE), Ok(0xcc));
}

#[test]
fn a_core_that_is_cut_answers_where_its_bytes_are() {
    let mut bytes = Builder::usual().segment(RAM, 6, vec![7; PAGE], 0x1000).bytes();
    bytes.truncate(bytes.len() - 1000);
    let core = open(bytes, &[], None).expect("is still a core");
    assert_eq!((byte(&core, RAM), byte(&core, RAM + 4000)), (Ok(7), Err(ReadCause::NotInCore)));
    assert_eq!(core.remarks()[0], "the core is cut: 0x3e8 bytes are missing");
}

#[test]
fn without_its_notes_a_core_is_read_with_the_executable_given() {
    let mut builder = Builder::usual();
    let lost = builder.notes.split_off(0);
    let mut bytes = builder.bytes();
    // The note segment of a core whose notes come last, and are lost.
    bytes[64 + 8..64 + 16].copy_from_slice(&0x10_0000u64.to_le_bytes());
    bytes[64 + 32..64 + 40].copy_from_slice(&(lost.len() as u64).to_le_bytes());
    let core = open(bytes.clone(), &[executable(1)], None).expect("the first page is found");
    assert_eq!((core.modules()[0].bias, byte(&core, CODE)), (BASE, Ok(0xcc)));
    assert!(core.remarks()[0].contains("its list of files is missing"));
    let no_names = core.areas().iter().all(|area| area.name.is_none());
    assert!(no_names, "without the list nobody knows which memory is anonymous");
    let error = open(bytes, &[executable(2)], None).expect_err("no such page");
    assert_eq!(error.kind(), "no_base");
}

#[test]
fn what_is_no_core_of_a_process_is_named_with_the_option_to_give() {
    let refused = |bytes: &[u8]| {
        let error = open(bytes.to_vec(), &[], None).expect_err("is none");
        (error.to_string(), error.advice().to_string())
    };
    let guest = Builder { notes: note("QEMU", 0, &[0; 440]), segments: Vec::new() }.segment(
        0,
        0,
        vec![0; PAGE],
        0x1000,
    );
    let (text, hint) = refused(&guest.bytes());
    assert!(
        text.contains("a guest's memory") && hint.contains("a file with guest memory"),
        "{text}"
    );
    let (text, hint) = refused(&executable(1));
    assert!(text.contains("an ELF executable") && hint.contains("the executable"), "{text}");
    assert!(refused(b"MZ").0.contains("no ELF file"));
    assert!(refused(b"\x7fELF\x01\x01\x01").0.contains("32-bit"));
    assert!(refused(&executable(1)[..40]).0.contains("ends in its ELF header"));
    let mut big_endian = executable(1);
    big_endian[5] = 2;
    assert!(refused(&big_endian).0.contains("big-endian"));
    assert!(refused(&Builder::usual().bytes()[..100]).0.contains("before its program headers"));
}

#[test]
fn lists_that_claim_more_than_they_hold_are_empty() {
    for claim in [u64::MAX, u64::MAX / 24, 1 << 40, 4] {
        let mut desc = words(&[claim, 1]);
        desc.extend(words(&[BASE, BASE + 0x1000, 0]));
        let mut builder = Builder::usual();
        builder.notes = [auxiliary(CODE), note("CORE", 0x4649_4c45, &desc)].concat();
        let core = builder.open(&[], Some(&executable(1))).expect("is still a core");
        assert!(core.modules().is_empty());
    }
}

#[test]
fn segments_that_overlap_or_pass_the_end_of_all_addresses_are_clipped() {
    let core = Builder::usual()
        .segment(RAM, 6, vec![1; 0x2000], 0x2000)
        .segment(RAM + 0x1000, 6, vec![2; 0x2000], 0x2000)
        .segment(u64::MAX - 0xfff, 6, vec![3; 0x2000], 0x2000)
        .open(&[], None)
        .expect("is still a core");
    assert_eq!((byte(&core, RAM + 0x1fff), byte(&core, RAM + 0x2000)), (Ok(1), Ok(2)));
    assert_eq!(byte(&core, u64::MAX - 1), Ok(3));
    assert!(core.areas().windows(2).all(|pair| pair[0].start.0 + pair[0].len <= pair[1].start.0));
}

proptest! {
    /// Whatever a core holds, a read gives the bytes of the first segment at
    /// the address.
    #[test]
    fn bytes_are_those_of_the_lowest_segment(
        segments in prop::collection::vec((0u64..64, 0usize..48, 0u64..48, any::<u8>()), 0..12),
    ) {
        let mut builder = Builder { notes: auxiliary(CODE), segments: Vec::new() };
        for (start, held, more, fill) in &segments {
            let len = *held as u64 + more;
            builder = builder.segment(RAM + start, 6, vec![*fill; *held], len);
        }
        let core = builder.open(&[], None).expect("whole");
        let mut sorted: Vec<_> = segments.iter().filter(|(_, held, more, _)| *held as u64 + more > 0).collect();
        sorted.sort_by_key(|(start, ..)| *start);
        for at in 0..180u64 {
            let owner = sorted.iter().find(|(start, held, more, _)| {
                *start <= at && at < start + *held as u64 + more
            });
            let expected = owner.filter(|(start, held, ..)| at < start + *held as u64);
            let expected = expected.map(|(.., fill)| *fill).ok_or(ReadCause::NotInCore);
            prop_assert_eq!(byte(&core, RAM + at), expected);
        }
    }

    /// Damage anywhere ends in an answer or an error.
    #[test]
    fn damaged_cores_end_in_an_answer_or_an_error(
        damage in prop::collection::vec((0usize..0x1600, any::<u8>()), 1..20),
        cut in 0usize..0x3000,
    ) {
        let mut bytes = Builder::usual().segment(RAM, 6, vec![7; 100], 0x3000).bytes();
        for (at, value) in damage {
            if let Some(byte) = bytes.get_mut(at) {
                *byte = value;
            }
        }
        bytes.truncate(bytes.len().saturating_sub(cut));
        if let Ok(core) = open(bytes, &[], Some(&executable(1))) {
            for area in core.areas() {
                let _ = byte(&core, area.start.0);
                let _ = byte(&core, area.start.0 + area.len - 1);
            }
        }
    }
}
