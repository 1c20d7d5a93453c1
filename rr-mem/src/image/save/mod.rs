//! Writes guest memory to files that others read: ELF cores as
//! `dump-guest-memory` makes them, LiME dumps, raw RAM. Blocks of zeros become
//! holes of the file.
//!
//! Bytes that cannot be read are left out and counted, never written as zeros.
//! The caller brings a fresh file; nothing here opens or names one.

mod elf;
mod lime;
mod sparse;

use std::{
    fs::File,
    io::{self, Seek},
};

use self::sparse::Sparse;
use super::CoreNote;
use crate::{addr::RangeSet, memory::Memory, regs::Arch};

/// What a file of guest memory looks like.
#[non_exhaustive]
pub enum FileFormat<'a> {
    /// Byte 0 is at this guest-physical address. What is left out reads as zeros.
    Raw(u64),
    /// LiME's padless form: a header and the bytes of each range.
    Lime,
    /// An ELF core of this architecture, with the notes of a file that holds
    /// these ranges.
    Elf(Arch, &'a dyn Fn(&RangeSet) -> Vec<CoreNote>),
}

/// Writes the bytes of `memory` at `wanted` into `file`, which is emptied
/// first: what was written. `progress` hears how many bytes are done.
///
/// # Errors
/// The operating system's; memory that cannot be read is left out.
pub fn save(
    file: &mut File,
    format: &FileFormat<'_>,
    memory: &dyn Memory,
    wanted: &RangeSet,
    progress: &mut dyn FnMut(u64),
) -> io::Result<RangeSet> {
    let mut holds = wanted.clone();
    loop {
        file.rewind()?;
        file.set_len(0)?;
        let mut out = Sparse::new(file, memory, progress);
        write(&mut out, format, &holds)?;
        let unread = out.finish()?;
        // Headers say what follows, so that a file with less is written anew.
        if unread.is_empty() || matches!(format, FileFormat::Raw(_)) {
            return Ok(holds.without(&unread));
        }
        holds = holds.without(&unread);
    }
}

fn write(out: &mut Sparse<'_>, format: &FileFormat<'_>, holds: &RangeSet) -> io::Result<()> {
    match format {
        FileFormat::Raw(base) => holds.iter().try_for_each(|(first, last)| {
            out.go(first - base)?;
            out.copy(first, last)
        }),
        FileFormat::Lime => holds.iter().try_for_each(|(first, last)| {
            out.bytes(&lime::header(first, last))?;
            out.copy(first, last)
        }),
        FileFormat::Elf(arch, notes) => elf::write(out, *arch, &notes(holds), holds),
    }
}
