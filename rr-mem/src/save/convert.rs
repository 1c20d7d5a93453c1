//! All of a guest's memory in another format.

use std::{ops::RangeInclusive, path::Path};

use thiserror::Error;

use super::{
    describe,
    file::{NewFile, NewFileError},
    notes,
};
use crate::{
    addr::{Gpa, PAGE, RangeSet},
    guest::Missing,
    image::save::FileFormat,
    memory::ReadError,
    source::Opened,
};

/// What the file is to look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FileKind {
    /// Bytes in order, without holes.
    Raw,
    /// LiME's padless form.
    Lime,
    /// An ELF core.
    Elf,
}

/// What is to be written.
#[derive(Clone, Debug)]
pub struct ConvertAsked {
    /// The format.
    pub to: FileKind,
    /// Physical addresses; none stands for all.
    pub gpa: Vec<RangeInclusive<u64>>,
    /// Whether raw RAM has zeros for pages that the source lacks.
    pub fill_absent: bool,
    /// What made it, in words.
    pub writer: String,
}

/// What was written.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Converted {
    /// The guest physical address of byte 0 of raw RAM.
    pub base: u64,
    /// What the file holds.
    pub written: RangeSet,
    /// What the guest has and the source lacks.
    pub absent: RangeSet,
    /// Bytes of the file.
    pub file_bytes: u64,
    /// Whether something could not be read that the source should have.
    pub lost: bool,
    /// Why.
    pub why: Option<ReadError>,
}

/// Why nothing was written.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ConvertError {
    /// The source lacks something.
    #[error("{0}")]
    Missing(#[from] Missing),
    /// No memory is where it was asked for.
    #[error("the source has no memory there")]
    Nothing,
    /// Raw RAM cannot leave a page out.
    #[error("the source lacks {pages} pages of the guest's memory, the first at {first:#x}")]
    Absent {
        /// How many pages.
        pages: u64,
        /// The first.
        first: u64,
    },
    /// The file cannot be written.
    #[error(transparent)]
    File(#[from] NewFileError),
}

/// Writes the memory of `opened` to `path`; `progress` hears how many bytes are
/// done.
///
/// # Errors
/// When the source has no memory there, raw RAM would have pages that it lacks, or
/// the file cannot be written.
pub fn convert(
    opened: &Opened,
    path: &Path,
    asked: &ConvertAsked,
    progress: &mut dyn FnMut(u64),
) -> Result<Converted, ConvertError> {
    let wanted = asked.within(&opened.coverage.readable);
    let all = asked.within(&opened.all_memory());
    let memory = opened.guest.memory()?;
    let filled = if asked.fill_absent { &all } else { &wanted };
    let first = filled.iter().next().filter(|_| !wanted.is_empty());
    let (base, _) = first.ok_or(ConvertError::Nothing)?;
    asked.refuse(&all.without(&wanted))?;
    let description = match asked.to {
        FileKind::Elf => Some(describe(opened, asked.writer.clone())?),
        _ => None,
    };
    let notes = |holds: &RangeSet| {
        let described = description.as_ref();
        described.map_or_else(Vec::new, |own| notes(opened, own, &opened.core_notes, holds))
    };
    let mut file = NewFile::new(path)?;
    let format = match (&description, asked.to) {
        (Some(description), _) => FileFormat::Elf(description.arch, &notes),
        (None, FileKind::Lime) => FileFormat::Lime,
        (None, _) => FileFormat::Raw(base),
    };
    let written = file.save(&format, memory, &wanted, progress)?;
    let absent = all.without(&written);
    asked.refuse(&absent)?;
    let file_bytes = file.finish()?;
    let lost = wanted.without(&written).iter().next();
    let why = lost.and_then(|(first, _)| opened.guest.read_physical(Gpa(first), &mut [0]).err());
    Ok(Converted { base, written, absent, file_bytes, lost: lost.is_some(), why })
}

impl ConvertAsked {
    fn within(&self, set: &RangeSet) -> RangeSet {
        match &self.gpa[..] {
            [] => set.clone(),
            ranges => set.and(&ranges.iter().cloned().collect()),
        }
    }

    /// Raw RAM cannot leave a page out.
    fn refuse(&self, absent: &RangeSet) -> Result<(), ConvertError> {
        let first = absent.iter().next().filter(|_| self.to == FileKind::Raw && !self.fill_absent);
        first.map_or(Ok(()), |(first, _)| {
            Err(ConvertError::Absent { pages: absent.blocks(PAGE), first })
        })
    }
}

impl Converted {
    /// What raw RAM has zeros for where the guest has no memory.
    #[must_use]
    pub fn between(&self) -> RangeSet {
        let held = self.written.or(&self.absent);
        let end = held.iter().next_back().map_or(self.base, |(_, last)| last);
        let span: RangeSet = std::iter::once(self.base..=end).collect();
        span.without(&held)
    }
}
