//! What an ELF core says of a process: its segments, the files that were mapped
//! (NT_FILE), where its executable was (NT_AUXV) and its threads (NT_PRSTATUS).
//! System V ABI, "Program Header" and "Note Section"; "core(5)", "getauxval(3)".

use object::{
    Endianness,
    elf::{ET_CORE, FileHeader64, PF_R, PF_W, PT_LOAD, ProgramHeader64},
    read::elf::{FileHeader, ProgramHeader},
};

use super::CoreError;
use crate::advice::{
    Advice,
    Part::{Name, Say},
    Setting,
};

const NT_PRSTATUS: u32 = 1;
const NT_AUXV: u32 = 6;
const NT_FILE: u32 = 0x4649_4c45;
const AT_PHDR: u64 = 3;
const AT_ENTRY: u64 = 9;
/// `pr_pid` in the `elf_prstatus` of a 64-bit host.
const PRSTATUS_PID: usize = 32;

/// No process has more mappings: the kernel's limit is 65530 unless raised.
const SEGMENT_LIMIT: usize = 1 << 17;
/// PATH_MAX: no longer path is a file's.
const PATH_LIMIT: usize = 4096;

/// The parts of a core.
#[derive(Debug, Default)]
pub(super) struct Contents {
    /// By address, without overlaps.
    pub segments: Vec<Segment>,
    /// By address.
    pub files: Vec<FileRange>,
    /// AT_PHDR and AT_ENTRY: both are in the executable.
    pub executable: [Option<u64>; 2],
    /// The crashed one first.
    pub threads: Vec<u64>,
    /// Bytes of segments that the file is too short for.
    pub cut: u64,
    /// The file is too short for its notes, which gcore writes last.
    pub notes_cut: bool,
}

/// A range of the process's memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    pub start: u64,
    pub len: u64,
    /// How many of its bytes the core holds, from `offset` on.
    pub held: u64,
    pub offset: u64,
    pub readable: bool,
    pub writable: bool,
}

/// A range of a file, mapped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FileRange {
    pub start: u64,
    pub len: u64,
    /// Byte of the file at `start`.
    pub offset: u64,
    pub path: String,
}

impl Contents {
    pub fn read(bytes: &[u8]) -> Result<Self, CoreError> {
        let (header, endian) = header(bytes)?;
        let segments = header.program_headers(endian, bytes).map_err(|_| {
            CoreError::damaged(
                "the core ends before its program headers do",
                header.e_phoff(endian),
            )
        })?;
        if segments.len() > SEGMENT_LIMIT {
            let what = "the core has more segments than a process can have";
            return Err(CoreError::damaged(what, header.e_phoff(endian)));
        }
        let mut contents = Self::default();
        for segment in segments {
            contents.notes_of(segment, endian, bytes)?;
        }
        let of_a_process = !contents.files.is_empty() || contents.executable != [None; 2];
        if !of_a_process && !contents.notes_cut {
            return Err(CoreError::NotACore {
                what: "a guest's memory, not the core of an emulator",
                advice: Advice::Parts(&[Say("give it with "), Name(Setting::Image)]),
            });
        }
        for segment in segments.iter().filter(|segment| segment.p_type(endian) == PT_LOAD) {
            contents.load(segment, endian, bytes.len() as u64);
        }
        contents.sort();
        Ok(contents)
    }

    fn load(&mut self, header: &ProgramHeader64<Endianness>, endian: Endianness, file_len: u64) {
        let (offset, in_file) = header.file_range(endian);
        let start = header.p_vaddr(endian);
        let len = header.p_memsz(endian).min(u64::MAX - start);
        let flags = header.p_flags(endian);
        let wanted = in_file.min(len);
        let held = wanted.min(file_len.saturating_sub(offset));
        self.cut = self.cut.saturating_add(wanted - held);
        let (readable, writable) = (flags & PF_R == PF_R, flags & PF_W == PF_W);
        if len > 0 {
            self.segments.push(Segment { start, len, held, offset, readable, writable });
        }
    }

    /// Where segments overlap, which no kernel writes, the first in memory wins.
    fn sort(&mut self) {
        self.files.sort_by_key(|range| range.start);
        self.segments.sort_by_key(|segment| segment.start);
        let mut end = 0;
        for segment in &mut self.segments {
            let hidden = u64::saturating_sub(end, segment.start).min(segment.len);
            segment.start += hidden;
            segment.len -= hidden;
            segment.offset = segment.offset.saturating_add(hidden);
            segment.held = segment.held.saturating_sub(hidden);
            end = end.max(segment.start + segment.len);
        }
        self.segments.retain(|segment| segment.len > 0);
    }

    fn notes_of(
        &mut self,
        segment: &ProgramHeader64<Endianness>,
        endian: Endianness,
        bytes: &[u8],
    ) -> Result<(), CoreError> {
        let offset = segment.p_offset(endian);
        let Ok(notes) = segment.notes(endian, bytes) else {
            self.notes_cut = true;
            return Ok(());
        };
        let Some(mut notes) = notes else { return Ok(()) };
        let damaged = |_| CoreError::damaged("a note is damaged", offset);
        while let Some(note) = notes.next().map_err(damaged)? {
            if note.name() == b"CORE" {
                self.note(note.n_type(endian).0, note.desc());
            }
        }
        Ok(())
    }

    fn note(&mut self, kind: u32, bytes: &[u8]) {
        match kind {
            NT_PRSTATUS => self.threads.extend(thread(bytes)),
            NT_AUXV => self.executable = [AT_PHDR, AT_ENTRY].map(|key| auxiliary(bytes, key)),
            NT_FILE => self.files.extend(files(bytes)),
            _ => {}
        }
    }

    /// The name of the file that is mapped at `address`.
    pub fn file_at(&self, address: u64) -> Option<&FileRange> {
        let after = self.files.partition_point(|range| range.start <= address);
        let range = self.files[..after].last()?;
        (address - range.start < range.len).then_some(range)
    }
}

type Header<'a> = (&'a FileHeader64<Endianness>, Endianness);

fn header(bytes: &[u8]) -> Result<Header<'_>, CoreError> {
    const ELFCLASS32: u8 = 1;
    let refuse = |what, advice| Err(CoreError::NotACore { what, advice });
    if !bytes.starts_with(b"\x7fELF") {
        return refuse(
            "no ELF file",
            Advice::Say("give the core that gcore, the kernel or coredumpctl wrote"),
        );
    }
    if bytes.get(4) == Some(&ELFCLASS32) {
        return refuse(
            "a 32-bit ELF file",
            Advice::Parts(&[
                Say("give a 32-bit guest's memory with "),
                Name(Setting::Image),
                Say("; of emulators, those of 64-bit hosts can be read"),
            ]),
        );
    }
    let cut = |_| CoreError::damaged("the core ends in its ELF header", 0);
    let header = FileHeader64::<Endianness>::parse(bytes).map_err(cut)?;
    match header.endian() {
        Ok(Endianness::Little) => {}
        _ => {
            return refuse(
                "a big-endian ELF file",
                Advice::Say("emulators of x86_64 and ARM hosts can be read"),
            );
        }
    }
    if header.e_type(Endianness::Little) != ET_CORE {
        return refuse(
            "an ELF executable or library, not a core",
            Advice::Parts(&[
                Say("give it with "),
                Name(Setting::Executable),
                Say(", and the core that it left with "),
                Name(Setting::Core),
            ]),
        );
    }
    Ok((header, Endianness::Little))
}

fn words(bytes: &[u8]) -> impl Iterator<Item = u64> {
    bytes.as_chunks::<8>().0.iter().map(|word| u64::from_le_bytes(*word))
}

fn thread(bytes: &[u8]) -> Option<u64> {
    let pid = bytes.get(PRSTATUS_PID..)?.first_chunk()?;
    Some(u32::from_le_bytes(*pid).into())
}

/// The value of `key` in the auxiliary vector.
fn auxiliary(bytes: &[u8], key: u64) -> Option<u64> {
    let pairs = bytes.as_chunks::<16>().0;
    pairs.iter().find_map(|pair| {
        let mut words = words(pair);
        (words.next()? == key).then_some(words.next()?)
    })
}

/// Count and page size; start, end and page of the file of each range; then
/// their paths, each ended by a zero byte.
fn files(bytes: &[u8]) -> Vec<FileRange> {
    const ENTRY: usize = 24;
    let mut head = words(bytes);
    let (Some(count), Some(page)) = (head.next(), head.next()) else { return Vec::new() };
    let rest = &bytes[16..];
    let Some(len) = usize::try_from(count).ok().and_then(|count| count.checked_mul(ENTRY)) else {
        return Vec::new();
    };
    let Some((entries, names)) = rest.split_at_checked(len) else { return Vec::new() };
    let names = names.split(|byte| *byte == 0);
    let range = |(entry, name): (&[u8], &[u8])| {
        let mut words = words(entry);
        let (start, end) = (words.next()?, words.next()?);
        (name.len() < PATH_LIMIT).then_some(FileRange {
            start,
            len: end.checked_sub(start)?,
            offset: words.next()?.checked_mul(page)?,
            path: String::from_utf8_lossy(name).into_owned(),
        })
    };
    entries.chunks(ENTRY).zip(names).filter_map(range).filter(|range| range.len > 0).collect()
}
