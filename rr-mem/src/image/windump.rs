//! Windows crash dumps as `dump-guest-memory -w` writes them: complete memory
//! dumps of 64-bit and 32-bit guests, a header and the runs of its physical
//! memory block. Microsoft's debugger headers name the members
//! (DUMP_HEADER64, DUMP_HEADER32, PHYSICAL_MEMORY_DESCRIPTOR, CONTEXT).
//!
//! Not here: bitmap, kernel and small dumps. The header holds the base of the
//! kernel's tables and the registers of one CPU.

use super::{Image, ImageError};
use crate::{
    addr::{Gpa, ImageOffset},
    advice::Advice,
    bits::bit,
    memory::{ImageBytes, MappedFile},
    region::physical::{Backing, PhysicalMemory, PhysicalRange},
    regs::{Arch, Cpu, Register, Regs, X86Regs},
};

const FORMAT: &str = "Windows crash dump";
const PAGE: u64 = 4096;
/// DUMP_TYPE_FULL.
const FULL: u32 = 1;
const AMD64: u32 = 0x8664;
const I386: u32 = 0x014c;

/// Where the members of a header are.
struct HeaderOffsets {
    wide: bool,
    machine: usize,
    pae: Option<usize>,
    /// NumberOfRuns; the runs follow two words.
    memory: usize,
    runs: usize,
    most_runs: u64,
    dump_type: usize,
    /// SegCs and EFlags, in the context.
    cs: usize,
    flags: usize,
    header: u64,
}

const WIDE: HeaderOffsets = HeaderOffsets {
    wide: true,
    machine: 0x30,
    pae: None,
    memory: 0x88,
    runs: 0x98,
    most_runs: 43,
    dump_type: 0xf98,
    cs: 0x348 + 0x38,
    flags: 0x348 + 0x44,
    header: 0x2000,
};

const NARROW: HeaderOffsets = HeaderOffsets {
    wide: false,
    machine: 0x20,
    pae: Some(0x5c),
    memory: 0x64,
    runs: 0x6c,
    most_runs: 86,
    dump_type: 0xf88,
    cs: 0x320 + 0xbc,
    flags: 0x320 + 0xc0,
    header: 0x1000,
};

fn layout(bytes: &[u8]) -> Option<&'static HeaderOffsets> {
    match bytes.first_chunk()? {
        b"PAGEDU64" => Some(&WIDE),
        b"PAGEDUMP" => Some(&NARROW),
        _ => None,
    }
}

pub(super) fn is_dump(bytes: &[u8]) -> bool {
    layout(bytes).is_some()
}

/// A dump's header, whole.
struct Header<'a> {
    layout: &'static HeaderOffsets,
    bytes: &'a [u8],
}

impl Header<'_> {
    fn u32(&self, at: usize) -> u32 {
        let word = self.bytes.get(at..).and_then(<[u8]>::first_chunk);
        u32::from_le_bytes(word.copied().unwrap_or_default())
    }

    /// A pointer or page number.
    fn word(&self, at: usize) -> u64 {
        let high = if self.layout.wide { self.u32(at + 4) } else { 0 };
        u64::from(high) << 32 | u64::from(self.u32(at))
    }

    /// First page and pages of each run.
    fn runs(&self) -> Result<Vec<(u64, u64)>, ImageError> {
        let count = u64::from(self.u32(self.layout.memory));
        if count == 0 || count > self.layout.most_runs {
            return Err(damaged(format!("{count} runs of memory"), self.layout.memory));
        }
        let size = if self.layout.wide { 8 } else { 4 };
        let run = |number| self.layout.runs + 2 * size * number;
        Ok((0..count as usize).map(|n| (self.word(run(n)), self.word(run(n) + size))).collect())
    }

    fn cpu(&self) -> Cpu {
        let HeaderOffsets { wide, pae, cs, flags, .. } = *self.layout;
        let defaults = if wide { X86Regs::long_mode() } else { X86Regs::protected_mode() };
        let pae = pae.is_some_and(|at| self.bytes.get(at) == Some(&1));
        let pae = if pae { X86Regs::CR4_PAE } else { 0 };
        let regs = X86Regs {
            cr3: self.word(0x10),
            cr4: defaults.cr4 | pae,
            cpl: (self.u32(cs) & 3) as u8,
            ac: bit(self.u32(flags).into(), 18),
            ..defaults
        };
        let known = [Register::Cr3, Register::Cpl, Register::Ac, Register::Pages1g];
        Cpu { regs: Regs::X86(regs), known: known.into_iter().collect() }
    }

    fn arch(&self) -> Result<Arch, ImageError> {
        match self.u32(self.layout.machine) {
            AMD64 => Ok(Arch::X86_64),
            I386 => Ok(Arch::I386),
            other => Err(damaged(format!("machine type {other:#x}"), self.layout.machine)),
        }
    }
}

fn damaged(what: String, offset: usize) -> ImageError {
    ImageError::Damaged { format: FORMAT, what, offset: offset as u64 }
}

pub(super) fn open(file: MappedFile) -> Result<Image, ImageError> {
    let not_whole = || damaged("the header is cut".to_owned(), file.bytes().len());
    let layout = layout(file.bytes()).ok_or_else(not_whole)?;
    let bytes = file.bytes().get(..layout.header as usize).ok_or_else(not_whole)?;
    let header = Header { layout, bytes };
    if header.u32(layout.dump_type) != FULL {
        return Err(ImageError::NotAnImage {
            what: "a Windows crash dump that leaves memory out (bitmap, kernel or small)",
            advice: Advice::Say(
                "take a complete memory dump, with the monitor's dump-guest-memory -w for one",
            ),
        });
    }
    let (arch, cpu) = (header.arch()?, header.cpu());
    let (ranges, notes) = blocks(&header, file.bytes().len() as u64)?;
    let memory = PhysicalMemory::new(ranges, ImageBytes::Flat(file))
        .map_err(|source| ImageError::Blocks { format: FORMAT, source })?;
    let image = Image::new(FORMAT, memory);
    Ok(Image { arch: Some(arch), cpus: vec![cpu], notes, ..image })
}

type Blocks = (Vec<PhysicalRange<ImageOffset>>, Vec<String>);

/// The runs, one behind the other behind the header.
fn blocks(header: &Header<'_>, file_len: u64) -> Result<Blocks, ImageError> {
    let (mut ranges, mut notes) = (Vec::new(), Vec::new());
    let mut at = header.layout.header;
    for (base, pages) in header.runs()? {
        let too_long = || damaged("a run that passes the end".to_owned(), header.layout.runs);
        let gpa = base.checked_mul(PAGE).ok_or_else(too_long)?;
        let len = pages.checked_mul(PAGE).ok_or_else(too_long)?;
        let here = len.min(file_len.saturating_sub(at));
        let behind = gpa.checked_add(here).ok_or_else(too_long)?;
        let backing = Backing::At(ImageOffset(at));
        ranges.push(PhysicalRange { gpa: Gpa(gpa), len: here, backing });
        ranges.push(PhysicalRange { gpa: Gpa(behind), len: len - here, backing: Backing::Absent });
        if here < len {
            let missing = len - here;
            notes.push(format!(
                "the file is cut: {missing:#x} bytes of the run at {gpa:#x} are missing"
            ));
        }
        at = at.checked_add(len).ok_or_else(too_long)?;
    }
    Ok((ranges, notes))
}
