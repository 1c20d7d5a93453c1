//! Guest memory at rest: a file's blocks of guest-physical memory, its
//! registers and region map, as far as the format holds them.
//!
//! One file per format, found by magic. An image never pretends to have host
//! addresses.

mod elf;
mod kdump;
mod lime;
mod note;
mod raw;
pub mod save;
mod windump;

use std::path::Path;

use thiserror::Error;

use crate::{
    addr::{FileOffset, Gpa, ImageOffset},
    container::{self, ContainerError},
    memory::{ImageBytes, MappedFile},
    region::{
        RegionMap,
        monitor::Style,
        physical::{Backing, Physical, PhysicalError},
    },
    regs::{Arch, Cpu},
};

pub use note::{CoreNote, Description, missing};

/// Guest memory in a mapped file.
pub type ImageMemory = Physical<ImageOffset, ImageBytes>;

impl ImageMemory {
    /// Where the byte at `gpa` is in the file (unpacked, where it was
    /// compressed); none of bytes that the file does not hold as they are.
    #[must_use]
    pub fn file_offset(&self, gpa: Gpa) -> Option<FileOffset> {
        self.source().file_offset(self.locate(gpa)?.0)
    }

    /// The runs of guest-physical memory whose bytes the file has: first
    /// address, length.
    #[must_use]
    pub fn held(&self) -> Vec<(Gpa, u64)> {
        let mut held = Vec::new();
        for range in self.ranges() {
            let Backing::At(start) = range.backing else { continue };
            let mut done = 0;
            while done < range.len {
                let here = ImageOffset(start.0.saturating_add(done));
                let (has, len) = self.source().run(here, range.len - done);
                held.extend(has.then_some((Gpa(range.gpa.0 + done), len)));
                done += len.max(1);
            }
        }
        held
    }
}

/// An opened image.
#[derive(Debug)]
pub struct Image {
    /// The format's name.
    pub format: &'static str,
    /// The guest's architecture, where the file says.
    pub arch: Option<Arch>,
    /// Registers per CPU, where the file holds them.
    pub cpus: Vec<Cpu>,
    /// Blocks of guest-physical memory.
    pub memory: ImageMemory,
    /// The region map, where the file holds one.
    pub regions: Option<RegionMap>,
    /// The address space of the map that physical addresses are of, by its
    /// place; without, the one called `memory`.
    pub address_space: Option<usize>,
    /// Whose text the region map was read from, if from a text.
    pub style: Option<Style>,
    /// What other programs noted in an ELF core or a kdump: general registers,
    /// the kernel's own description.
    pub core_notes: Vec<CoreNote>,
    /// What had to be assumed, a sentence each.
    pub notes: Vec<String>,
}

impl Image {
    /// An image of which nothing but the memory is known.
    #[must_use]
    pub fn new(format: &'static str, memory: ImageMemory) -> Self {
        Self {
            format,
            arch: None,
            cpus: Vec::new(),
            memory,
            regions: None,
            address_space: None,
            style: None,
            core_notes: Vec::new(),
            notes: Vec::new(),
        }
    }
}

/// Why a file could not be opened as an image.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ImageError {
    /// The file, or what wraps it.
    #[error(transparent)]
    Container(#[from] ContainerError),
    /// A format that is known but not a guest's memory.
    #[error("this is {what}, not a guest's memory")]
    NotAnImage {
        /// What it is.
        what: &'static str,
        /// What the user can do.
        hint: &'static str,
    },
    /// The file is damaged.
    #[error("{format}: {what} at file offset {offset:#x}")]
    Damaged {
        /// The format that it claims to be.
        format: &'static str,
        /// What is wrong.
        what: String,
        /// Where.
        offset: u64,
    },
    /// The blocks of the file are no memory map.
    #[error("{format}: {source}")]
    Blocks {
        /// The format.
        format: &'static str,
        /// Why.
        source: PhysicalError,
    },
}

impl ImageError {
    /// A short stable name for scripts.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Container(_) => "container",
            Self::NotAnImage { .. } => "not_an_image",
            Self::Damaged { .. } => "damaged",
            Self::Blocks { .. } => "blocks",
        }
    }

    /// What the user can do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Container(_) => "check the path, its permissions and that the file is complete",
            Self::NotAnImage { hint, .. } => hint,
            Self::Damaged { .. } | Self::Blocks { .. } => {
                "check that the file was written to its end; take the dump again"
            }
        }
    }
}

/// Opens the image at `path`, whatever its format; `ram_base` is where raw RAM
/// starts, and `progress` hears the bytes unpacked so far.
///
/// # Errors
/// [`ImageError`].
pub fn open(
    path: &Path,
    ram_base: Gpa,
    progress: &mut dyn FnMut(u64),
) -> Result<Image, ImageError> {
    by_magic(container::open(path, progress)?, ram_base)
}

/// As [`open`], for a file that is already mapped; compressed files too.
///
/// # Errors
/// [`ImageError`].
pub fn from_file(file: MappedFile, ram_base: Gpa) -> Result<Image, ImageError> {
    by_magic(container::unpack(file, &mut |_| {})?, ram_base)
}

fn by_magic(file: MappedFile, ram_base: Gpa) -> Result<Image, ImageError> {
    if elf::is_elf(file.bytes()) {
        return elf::open(file);
    }
    if kdump::is_kdump(file.bytes()) {
        return kdump::open(file);
    }
    if file.bytes().starts_with(lime::MAGIC) {
        return lime::open(file);
    }
    if windump::is_dump(file.bytes()) {
        return windump::open(file);
    }
    match foreign(file.bytes()) {
        Some(error) => Err(error),
        None => raw::open(file, ram_base),
    }
}

/// Formats that would be nonsense as raw RAM.
fn foreign(bytes: &[u8]) -> Option<ImageError> {
    const CONVERT: &str = "take an ELF core with the monitor's dump-guest-memory instead";
    const KNOWN: [(&[u8], &str); 2] =
        [(b"QEVM", "a migration stream (savevm)"), (b"QFI\xfb", "a qcow2 disk image")];
    let known = KNOWN.iter().find(|(magic, _)| bytes.starts_with(magic));
    known.map(|(_, what)| ImageError::NotAnImage { what, hint: CONVERT })
}
