//! Slices: ELF cores of what some questions stand on.

use std::path::Path;

use thiserror::Error;

use super::{
    describe,
    file::{NewFile, NewFileError},
    notes,
};
use crate::{
    addr::{Gpa, PAGE, RangeSet},
    advice::Advice,
    guest::{
        Gap,
        slice::{Needed, Redacted, SliceContents, SliceError},
    },
    image::save::FileFormat,
    memory::Memory,
    source::Opened,
};

/// What a slice is to hold.
#[derive(Clone, Debug, Default)]
pub struct SliceAsked {
    /// Which questions it is to answer.
    pub contents: SliceContents,
    /// Whether bytes that are no tables are zeros, and no other program's notes
    /// are kept.
    pub redact: bool,
    /// What made it, in words.
    pub writer: String,
}

/// What a slice holds, and what it lacks.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Sliced {
    /// Pages with bytes of tables.
    pub table_pages: u64,
    /// Pages that were asked for.
    pub data_pages: u64,
    /// CPUs.
    pub cpus: usize,
    /// Bytes of the file.
    pub file_bytes: u64,
    /// What it cannot answer, because the source could not.
    pub shortfalls: Vec<Shortfall>,
}

/// Something that a slice cannot answer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Shortfall {
    /// What, in words.
    pub what: String,
    /// What the user can do about it.
    pub advice: Advice,
    /// Whether that is the guest's answer, not a failure to read.
    pub answered: bool,
}

/// Why there is no slice.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SliceFileError {
    /// What it is to hold cannot be said.
    #[error(transparent)]
    Contents(#[from] SliceError),
    /// It cannot be written.
    #[error(transparent)]
    File(#[from] NewFileError),
}

/// Writes a slice of `opened` to `path`; `progress` hears how many bytes are done.
///
/// # Errors
/// When registers or memory are missing, a range is mapped to beyond all reason, or
/// the file cannot be written.
pub fn slice(
    opened: &Opened,
    path: &Path,
    asked: &SliceAsked,
    progress: &mut dyn FnMut(u64),
) -> Result<Sliced, SliceFileError> {
    let needed = opened.guest.needed(&asked.contents)?;
    let mut description = describe(opened, asked.writer.clone()).map_err(SliceError::from)?;
    let mut file = NewFile::new(path)?;
    let readable = &opened.coverage.readable;
    let (tables, data) = (needed.tables.and(readable), needed.data.and(readable));
    // Beside a table there is data, which redaction must not show.
    let whole = if asked.redact { tables.clone() } else { tables.aligned(PAGE).and(readable) };
    let memory = opened.guest.memory().map_err(SliceError::from)?;
    let redacted = Redacted { memory, shown: &tables };
    let memory: &dyn Memory = if asked.redact { &redacted } else { memory };
    description.redacted = asked.redact;
    let others = if asked.redact { &[][..] } else { &opened.core_notes };
    let notes = |holds: &RangeSet| notes(opened, &description, others, holds);
    let format = FileFormat::Elf(description.arch, &notes);
    let written = file.save(&format, memory, &whole.or(&data), progress)?;
    Ok(Sliced {
        table_pages: tables.and(&written).blocks(PAGE),
        data_pages: data.and(&written).blocks(PAGE),
        cpus: opened.cpus.len(),
        file_bytes: file.finish()?,
        shortfalls: shortfalls(opened, &needed, &written),
    })
}

fn shortfalls(opened: &Opened, needed: &Needed, written: &RangeSet) -> Vec<Shortfall> {
    let unmapped = needed.unmapped.iter().map(|range| Shortfall {
        what: format!("{} to {} is not mapped", range.start(), range.end()),
        advice: Advice::Nothing,
        answered: true,
    });
    let gaps = opened.guest.gaps(&needed.unreadable, needed.truncated).into_iter();
    let gaps = gaps.map(|Gap { what, advice }| Shortfall { what, advice, answered: false });
    let missing = missing(opened, &needed.data.without(written));
    unmapped.chain(gaps).chain(missing).collect()
}

/// Pages that were asked for and could not be had.
fn missing(opened: &Opened, missing: &RangeSet) -> Option<Shortfall> {
    let (first, _) = missing.iter().next()?;
    let error = opened.guest.read_physical(Gpa(first), &mut [0]).err();
    let why = error.as_ref().map_or(String::new(), |error| format!(": {error}"));
    let pages = missing.blocks(PAGE);
    Some(Shortfall {
        what: format!("{pages} of the pages asked for could not be had{why}"),
        advice: error.map(|error| error.advice()).unwrap_or_default(),
        answered: missing.and(&opened.all_memory()).is_empty(),
    })
}
