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
mod registers;
pub mod save;
pub mod savevm;
mod windump;

use std::{fs, os::unix::fs::MetadataExt, path::Path};

use thiserror::Error;

use crate::{
    addr::{FileOffset, Gpa, ImageOffset},
    container::{self, ContainerError, qcow2},
    machine::PlaceError,
    memory::{ImageBytes, MappedFile},
    region::{
        RegionMap,
        monitor::Style,
        physical::{Backing, PhysicalError, PhysicalMemory},
    },
    regs::{Arch, Cpu},
};

pub use note::{CoreNote, Description, missing};
pub use registers::register_notes;

/// Guest memory in a mapped file.
pub type ImageMemory = PhysicalMemory<ImageOffset, ImageBytes>;

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
    /// A known format, written in a way that is not read.
    #[error("{format}: {what} cannot be read")]
    Unsupported {
        /// The format.
        format: &'static str,
        /// What is in it.
        what: &'static str,
        /// What the user can do.
        hint: &'static str,
    },
    /// The state of devices is wanted of a file that has none.
    #[error("this is no migration stream")]
    NotAStream,
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
    /// Where the blocks of the file lie is not known.
    #[error("where the RAM blocks lie is not known: {source}; the blocks are {blocks}")]
    Placement {
        /// Why.
        source: PlaceError,
        /// Their names and sizes.
        blocks: String,
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
            Self::Unsupported { .. } => "unsupported",
            Self::NotAStream => "not_a_stream",
            Self::Damaged { .. } => "damaged",
            Self::Placement { .. } => "placement",
            Self::Blocks { .. } => "blocks",
        }
    }

    /// What the user can do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Container(ContainerError::Qcow2(error)) => error.hint(),
            Self::Container(_) => "check the path, its permissions and that the file is complete",
            Self::NotAnImage { hint, .. } | Self::Unsupported { hint, .. } => hint,
            Self::NotAStream => {
                "give the file that migrate or savevm wrote, or PANDA's NAME-rr-snp"
            }
            Self::Placement { .. } => {
                "give the machine type with --machine, or the text of the monitor's `info mtree -f` with --mtree"
            }
            Self::Damaged { .. } | Self::Blocks { .. } => {
                "check that the file was written to its end; take the dump again"
            }
        }
    }
}

/// What a file does not say of itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options<'a> {
    /// Where raw RAM starts.
    pub ram_base: Gpa,
    /// The machine type, which places the RAM blocks of a migration stream;
    /// the stream's own otherwise.
    pub machine: Option<&'a str>,
    /// The region map, which places them better.
    pub regions: Option<&'a RegionMap>,
    /// The snapshot to take of a qcow2 image.
    pub snapshot: Option<&'a str>,
}

/// Opens the image at `path`, whatever its format; `ram_base` is where raw RAM
/// starts, and `progress` hears the bytes read so far.
///
/// # Errors
/// [`ImageError`].
pub fn open(
    path: &Path,
    ram_base: Gpa,
    progress: &mut dyn FnMut(u64),
) -> Result<Image, ImageError> {
    open_with(path, &Options { ram_base, ..Options::default() }, progress)
}

/// As [`open`], with more that the file does not say.
///
/// # Errors
/// [`ImageError`].
pub fn open_with(
    path: &Path,
    options: &Options<'_>,
    progress: &mut dyn FnMut(u64),
) -> Result<Image, ImageError> {
    let file = opened(path, options.snapshot, progress)?;
    let keep = is_at(&file, path);
    by_magic(file, keep, options, progress)
}

/// As [`open`], for a file that is already mapped; compressed files too.
///
/// # Errors
/// [`ImageError`].
pub fn from_file(file: MappedFile, ram_base: Gpa) -> Result<Image, ImageError> {
    let options = Options { ram_base, ..Options::default() };
    from_file_with(file, &options)
}

/// As [`from_file`], with more that the file does not say.
///
/// # Errors
/// [`ImageError`].
pub fn from_file_with(file: MappedFile, options: &Options<'_>) -> Result<Image, ImageError> {
    let mut file = container::unpack(file, &mut |_| {})?;
    if qcow2::is_qcow2(file.bytes()) {
        file = qcow2::state(&file, options.snapshot, &mut |_| {})?;
    }
    by_magic(file, false, options, &mut |_| {})
}

/// The file at `path` without what wraps it.
fn opened(
    path: &Path,
    snapshot: Option<&str>,
    progress: &mut dyn FnMut(u64),
) -> Result<MappedFile, ImageError> {
    let file = container::open(path, progress)?;
    match qcow2::is_qcow2(file.bytes()) {
        true => Ok(qcow2::state(&file, snapshot, progress)?),
        false => Ok(file),
    }
}

/// The migration stream at `path`; `snapshot` is the one to take of a qcow2
/// image.
///
/// # Errors
/// [`ImageError`].
pub fn open_stream(
    path: &Path,
    snapshot: Option<&str>,
    progress: &mut dyn FnMut(u64),
) -> Result<savevm::Stream, ImageError> {
    let file = opened(path, snapshot, progress)?;
    if !savevm::is_stream(file.bytes()) {
        return Err(ImageError::NotAStream);
    }
    let keep = is_at(&file, path);
    savevm::Stream::open(file, keep, progress)
}

/// Whether `file` is the one at `path`, not one that came out of it.
fn is_at(file: &MappedFile, path: &Path) -> bool {
    let found = fs::metadata(path).ok();
    let same = |found: &fs::Metadata| Some((found.dev(), found.ino()));
    found.is_some_and(|found| same(&found) == file.identity().map(|id| (id.device, id.inode)))
}

fn by_magic(
    file: MappedFile,
    keep: bool,
    options: &Options<'_>,
    progress: &mut dyn FnMut(u64),
) -> Result<Image, ImageError> {
    if elf::is_elf(file.bytes()) {
        return elf::open(file);
    }
    if savevm::is_stream(file.bytes()) {
        return savevm::Stream::open(file, keep, progress)?.into_image(options);
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
        None => raw::open(file, options.ram_base),
    }
}

/// Formats that would be nonsense as raw RAM.
fn foreign(bytes: &[u8]) -> Option<ImageError> {
    const CONVERT: &str = "take an ELF core with the monitor's dump-guest-memory instead";
    const KNOWN: [(&[u8], &str); 3] = [
        (b"KDMV", "a VMware disk image"),
        (b"\xd2\xbe\xd2\xbe", "a VMware snapshot"),
        (b"\x7fVirtualBox SavedState", "a VirtualBox snapshot"),
    ];
    let known = KNOWN.iter().find(|(magic, _)| bytes.starts_with(magic));
    known.map(|(_, what)| ImageError::NotAnImage { what, hint: CONVERT })
}
