//! LiME dumps: a header and the bytes of each range of guest-physical memory.
//! LiME's documentation, "LiME Memory Range Header Version 1 Specification".
//!
//! Not here: LiME's raw and padded forms, which have no magic, and compression
//! (`compress=1`), which the header does not tell.

use super::{Image, ImageError};
use crate::{
    addr::{Gpa, ImageOffset},
    memory::{ImageBytes, MappedFile},
    region::physical::{Backing, PhysicalMemory, PhysicalRange},
};

const FORMAT: &str = "LiME dump";
pub(super) const MAGIC: &[u8] = b"EMiL";
const HEADER: u64 = 32;
/// Ranges that are still plausible.
const MOST_RANGES: usize = 1 << 20;

pub(super) fn open(file: MappedFile) -> Result<Image, ImageError> {
    let (mut ranges, mut notes) = (Vec::new(), Vec::new());
    let mut at = 0;
    while at < file.bytes().len() as u64 {
        let (gpa, len) = header(file.bytes(), at)?;
        let start = at + HEADER;
        let here = len.min((file.bytes().len() as u64).saturating_sub(start));
        ranges.push(range(gpa, here, Backing::At(ImageOffset(start))));
        if here < len {
            let missing = len - here;
            notes.push(format!(
                "the file is cut: {missing:#x} bytes of the range at {gpa:#x} are missing"
            ));
            ranges.push(range(gpa + here, missing, Backing::Absent));
            break;
        }
        if ranges.len() > MOST_RANGES {
            return Err(damaged("more ranges than any machine has", at));
        }
        at = start + len;
    }
    let memory = PhysicalMemory::new(ranges, ImageBytes::Flat(file))
        .map_err(|source| ImageError::Blocks { format: FORMAT, source })?;
    Ok(Image { notes, ..Image::new(FORMAT, memory) })
}

fn range(gpa: u64, len: u64, backing: Backing<ImageOffset>) -> PhysicalRange<ImageOffset> {
    PhysicalRange { gpa: Gpa(gpa), len, backing }
}

fn damaged(what: &str, offset: u64) -> ImageError {
    ImageError::Damaged { format: FORMAT, what: what.to_owned(), offset }
}

/// The first address and the bytes of the range whose header is at `at`.
fn header(bytes: &[u8], at: u64) -> Result<(u64, u64), ImageError> {
    let header = bytes.get(at as usize..).unwrap_or_default();
    let Some(header) = header.first_chunk::<{ HEADER as usize }>() else {
        return Err(damaged("the header of a range is cut", at));
    };
    let (words, _) = header.as_chunks::<8>();
    let [magic, first, last, _] = [0, 1, 2, 3].map(|n: usize| u64::from_le_bytes(words[n]));
    if !header.starts_with(MAGIC) {
        return Err(damaged("there is no header of a range", at));
    }
    if magic >> 32 != 1 {
        return Err(damaged("the version of the header is not 1", at));
    }
    let len = last.checked_sub(first).and_then(|more| more.checked_add(1));
    len.map(|len| (first, len)).ok_or_else(|| damaged("a range ends before it starts", at))
}
