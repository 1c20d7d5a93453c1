//! The headers: disk_dump_header, then kdump_sub_header a block behind it. Their
//! members lie as compilers of the guest's word size lay them.

use super::{Arch, Bitmap, ImageError, OtherArch, arch, damaged};
use crate::advice::Advice;

/// Where the name of the machine is: the fifth of six names of 65 bytes.
const MACHINE: usize = 12 + 4 * 65;
/// DUMP_DH_COMPRESSED_INCOMPLETE.
const INCOMPLETE: u64 = 8;

/// Where members are.
struct HeaderOffsets {
    status: usize,
    split: usize,
    offset_note: usize,
    note_size: (usize, bool),
    max_page: usize,
}

const WIDE: HeaderOffsets =
    HeaderOffsets { status: 424, split: 12, offset_note: 48, note_size: (56, true), max_page: 96 };
/// Of i386, and of every 32-bit guest of QEMU's.
const NARROW: HeaderOffsets =
    HeaderOffsets { status: 412, split: 8, offset_note: 32, note_size: (40, false), max_page: 72 };

impl HeaderOffsets {
    /// The header that fits. The machine's name does not decide: it is the
    /// emulator's, whatever word size its guest had.
    fn of(bytes: &[u8]) -> &'static Self {
        let fits = |layout: &Self| {
            let word = |place: usize| u32_at(bytes, layout.status + 4 * place).unwrap_or(0);
            is_page_size(word(1)) && (1..=1024).contains(&word(2)) && word(3) > 0
        };
        if !fits(&WIDE) && fits(&NARROW) { &NARROW } else { &WIDE }
    }
}

fn is_page_size(bytes: u64) -> bool {
    bytes.is_power_of_two() && (4096..=65536).contains(&bytes)
}

/// What the headers say.
pub(super) struct Header {
    named: Option<Result<Arch, OtherArch>>,
    status: u64,
    shift: u32,
    bitmap_at: u64,
    bitmap_len: u64,
    most_page: u64,
    notes: (u64, u64),
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?).into())
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

impl Header {
    pub fn read(bytes: &[u8]) -> Result<Self, ImageError> {
        let version = u32_at(bytes, 8).ok_or_else(|| damaged("the header is cut", 8))?;
        if !(1..=6).contains(&version) {
            return Err(damaged(format!("version {version:#x} is none that is known"), 8));
        }
        let name = bytes.get(MACHINE..MACHINE + 65).unwrap_or_default();
        let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
        let other = || OtherArch::of_kernel(&String::from_utf8_lossy(name)).map(Err);
        let named = arch(name).map(Ok).or_else(other);
        let layout = HeaderOffsets::of(bytes);
        let cut = || damaged("the header is cut", bytes.len() as u64);
        let word = |place: usize| u32_at(bytes, layout.status + 4 * place).ok_or_else(cut);
        let (status, block, sub_blocks) = (word(0)?, word(1)?, word(2)?);
        if !is_page_size(block) {
            return Err(damaged(format!("pages of {block:#x} bytes"), layout.status as u64 + 4));
        }
        let bitmap_at = (1 + sub_blocks) * block;
        let bitmap_len = word(3)? * block;
        let mut header = Self {
            named,
            status,
            shift: block.trailing_zeros(),
            bitmap_at,
            bitmap_len,
            most_page: word(4)?,
            notes: (0, 0),
        };
        let sub = bytes.get(block as usize..).unwrap_or_default();
        header.sub_header(sub, version, layout).ok_or_else(cut)??;
        Ok(header)
    }

    /// What the second header says, as far as its version has it.
    fn sub_header(
        &mut self,
        sub: &[u8],
        version: u64,
        layout: &HeaderOffsets,
    ) -> Option<Result<(), ImageError>> {
        if version >= 2 && u32_at(sub, layout.split)? != 0 {
            return Some(Err(ImageError::NotAnImage {
                what: "one part of a dump that makedumpfile split",
                advice: Advice::Say("put its parts together with makedumpfile --reassemble"),
            }));
        }
        if version >= 4 {
            let (size, wide) = layout.note_size;
            let size = if wide { u64_at(sub, size)? } else { u32_at(sub, size)? };
            self.notes = (u64_at(sub, layout.offset_note)?, size);
        }
        if version >= 6 {
            self.most_page = u64_at(sub, layout.max_page)?;
        }
        Some(Ok(()))
    }

    /// The architecture, by its name.
    pub const fn named(&self) -> Option<Result<Arch, OtherArch>> {
        self.named
    }

    pub const fn incomplete(&self) -> bool {
        self.status & INCOMPLETE != 0
    }

    pub const fn shift(&self) -> u32 {
        self.shift
    }

    pub const fn page_size(&self) -> u64 {
        1 << self.shift
    }

    /// No page has this number or a higher one.
    pub const fn most_page(&self) -> u64 {
        self.most_page
    }

    /// Where the first descriptor is.
    pub const fn descriptors(&self) -> u64 {
        self.bitmap_at + self.bitmap_len
    }

    /// The pages that the guest has, and those that the file has.
    pub fn bitmaps<'a>(&self, bytes: &'a [u8]) -> Result<(Bitmap<'a>, Bitmap<'a>), ImageError> {
        let start = usize::try_from(self.bitmap_at).unwrap_or(usize::MAX);
        let both = bytes.get(start..).and_then(|rest| rest.get(..self.bitmap_len as usize));
        let both = both.ok_or_else(|| damaged("the bitmaps are cut", self.bitmap_at))?;
        let (there, kept) = both.split_at(both.len() / 2);
        Ok((Bitmap(there), Bitmap(kept)))
    }

    /// The notes of an ELF core that the file holds; nothing where it is cut.
    pub fn notes<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        let (start, len) = self.notes;
        let notes = bytes.get(start as usize..).and_then(|rest| rest.get(..len as usize));
        notes.unwrap_or_default()
    }
}
