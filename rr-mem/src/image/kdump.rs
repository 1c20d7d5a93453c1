//! kdump-compressed dumps, of `dump-guest-memory` and makedumpfile: a bitmap of
//! the guest's pages, a bitmap of those in the file, a descriptor for each of
//! these, and pages packed with zlib, lzo, snappy or zstd. makedumpfile's
//! IMPLEMENTATION, "Compressed kdump format"; header version 1 to 6.
//!
//! makedumpfile's flattened form is put in order first ([`flat`]). Not here:
//! dumps that are split over several files, big-endian ones, diskdump.

mod flat;
mod header;
mod unpack;

use std::sync::Arc;

use self::{header::Header, unpack::Descriptor};
use super::{
    Image, ImageError,
    note::{self, Notes},
};
use crate::{
    addr::{Gpa, ImageOffset},
    memory::{ImageBytes, MappedFile, Page, PageIndex, PagedFile},
    region::physical::{Backing, PhysicalMemory, PhysicalRange},
    regs::{Arch, OtherArch},
};

const FORMAT: &str = "kdump";
/// Pages that a guest may have, of 4 KB 1 TB.
const MOST_PAGES: u64 = 1 << 28;
/// Pieces that a guest's memory may have.
const MOST_PIECES: usize = 1 << 20;

pub(super) fn is_kdump(bytes: &[u8]) -> bool {
    bytes.starts_with(b"KDUMP   ") || flat::is_flat(bytes)
}

pub(super) fn open(file: MappedFile) -> Result<Image, ImageError> {
    let file = match flat::is_flat(file.bytes()) {
        true => flat::in_order(file.bytes()).map_err(|error| damaged(error, 0))?,
        false => file,
    };
    let header = Header::read(file.bytes())?;
    let pages = Pages::read(&header, file.bytes())?;
    let elf_notes = header.notes(file.bytes());
    let named = header.named();
    // Structs of registers of several architectures have the same size: a name counts more,
    // unless it is the emulator's. QEMU writes that for every guest of it.
    let known = named.filter(Result::is_err).or_else(|| note::arch_of(elf_notes)).or(named);
    let arch = known.and_then(Result::ok);
    let mut notes = Notes::new(arch);
    notes.read(elf_notes).map_err(|what| damaged(what, 0))?;
    let mut remarks = pages.remarks;
    if header.incomplete() {
        remarks.push("the dump says of itself that it is not complete".to_owned());
    }
    let paged = PagedFile::new(file, pages.index, header.shift());
    let bytes = ImageBytes::Paged(Arc::new(paged.packed(unpack::Pages)));
    let memory = PhysicalMemory::new(pages.ranges, bytes)
        .map_err(|source| ImageError::Blocks { format: FORMAT, source })?;
    let mut image = Image::new(FORMAT, memory);
    (image.arch, image.other, image.notes) = (arch, known.and_then(Result::err), remarks);
    notes.give(&mut image).map_err(|what| damaged(what, 0))?;
    Ok(image)
}

fn damaged(what: impl ToString, offset: u64) -> ImageError {
    ImageError::Damaged { format: FORMAT, what: what.to_string(), offset }
}

/// Where the pages are.
struct Pages {
    ranges: Vec<PhysicalRange<ImageOffset>>,
    index: PageIndex,
    remarks: Vec<String>,
}

impl Pages {
    fn read(header: &Header, bytes: &[u8]) -> Result<Self, ImageError> {
        let (there, kept) = header.bitmaps(bytes)?;
        let runs = runs(&there, header.most_page())?;
        let pages: u64 = runs.iter().map(|(_, pages)| pages).sum();
        if pages > MOST_PAGES {
            return Err(damaged(format!("{pages} pages are more than any guest has"), 0));
        }
        let index = PageIndex::new(pages as usize);
        let mut found = Self { ranges: Vec::new(), index, remarks: Vec::new() };
        let mut descriptors = Descriptors { at: header.descriptors(), size: header.page_size() };
        let (mut number, mut cut) = (0, 0u64);
        for (first, pages) in runs {
            found.ranges.push(PhysicalRange {
                gpa: Gpa(first << header.shift()),
                len: pages << header.shift(),
                backing: Backing::At(ImageOffset((number as u64) << header.shift())),
            });
            for page in first..first + pages {
                if kept.has(page) {
                    let place = descriptors.next(bytes);
                    cut += u64::from(place.is_none());
                    found.index.set(number, place.unwrap_or(Page::Absent));
                }
                number += 1;
            }
        }
        if cut > 0 {
            found.remarks.push(format!("the file is cut: {cut} pages are missing"));
        }
        Ok(found)
    }
}

/// The descriptors, one for each page of the file, by ascending address.
struct Descriptors {
    at: u64,
    size: u64,
}

impl Descriptors {
    /// Where the next page is; none when it is not in the file.
    fn next(&mut self, bytes: &[u8]) -> Option<Page> {
        let at = self.at;
        self.at = at.checked_add(unpack::DESCRIPTOR)?;
        let descriptor = Descriptor::read(bytes, at)?;
        let end = descriptor.offset.checked_add(descriptor.size.into())?;
        if end > bytes.len() as u64 {
            return None;
        }
        let plain = !descriptor.packed() && u64::from(descriptor.size) == self.size;
        Some(if plain {
            Page::At(crate::addr::FileOffset(descriptor.offset))
        } else {
            Page::Packed(at)
        })
    }
}

/// A bit for each page.
struct Bitmap<'a>(&'a [u8]);

impl Bitmap<'_> {
    fn has(&self, page: u64) -> bool {
        self.0.get((page / 8) as usize).is_some_and(|byte| byte >> (page % 8) & 1 != 0)
    }
}

/// The runs of set bits below `end`: first page, pages.
fn runs(bitmap: &Bitmap<'_>, end: u64) -> Result<Vec<(u64, u64)>, ImageError> {
    let end = end.min(bitmap.0.len() as u64 * 8);
    let mut runs: Vec<(u64, u64)> = Vec::new();
    let mut page = 0;
    while page < end {
        let byte = bitmap.0[(page / 8) as usize];
        // Whole bytes at once where all their pages are alike.
        let (step, set) = match byte {
            0 if page.is_multiple_of(8) => (8, false),
            0xff if page.is_multiple_of(8) && page + 8 <= end => (8, true),
            _ => (1, byte >> (page % 8) & 1 != 0),
        };
        match runs.last_mut() {
            Some((first, pages)) if set && *first + *pages == page => *pages += step,
            _ if set => runs.push((page, step)),
            _ => {}
        }
        if runs.len() > MOST_PIECES {
            return Err(damaged("the guest's memory is in more pieces than any guest's", 0));
        }
        page += step;
    }
    Ok(runs)
}

/// The architecture that a kernel names.
fn arch(machine: &[u8]) -> Option<Arch> {
    match machine {
        b"x86_64" => Some(Arch::X86_64),
        b"aarch64" => Some(Arch::Aarch64),
        [b'i', _, b'8', b'6'] => Some(Arch::I386),
        [b'a', b'r', b'm', ..] => Some(Arch::Arm),
        _ => None,
    }
}
