//! The one door: from a source to the guest in it. It alone decides which CPU,
//! which address space and which registers win, what is missing, and what is
//! assumed. Every face comes in this way.
//!
//! ```
//! use rr_mem::{addr::Gva, mmu::Query, source::{self, Asked, Source}};
//!
//! let opened = source::open(Source::Sample, &Asked::default(), &mut |_| {})?;
//! let walk = opened.guest.walk(Gva(0xffff_ffff_8100_0000), Query::Presence)?;
//! assert!(walk.result.is_ok());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#[cfg(target_os = "linux")]
mod alone;
mod asked;
mod attached;
mod choose;
mod coverage;
mod emulator;
mod error;
mod files;
mod opened;
mod regions;
mod remark;
#[cfg(target_os = "linux")]
mod running;
#[cfg(test)]
mod tests;

use std::{path::PathBuf, sync::Arc};

#[cfg(target_os = "linux")]
pub use alone::running_emulator;
pub use asked::Asked;
pub use attached::Attached;
pub use coverage::Coverage;
pub use emulator::{Emulator, EmulatorMemory, NoSuchSpace};
pub use error::SourceError;
pub use files::offsets;
pub use opened::Opened;
pub use regions::RegionText;
pub use remark::Remark;
#[cfg(target_os = "linux")]
pub use running::{Running, RunningError, attach_frozen, running};

use crate::{
    addr::Gpa,
    host::{Given, SharedMemory},
    memory::Memory,
    qemu::Offsets,
    regs::{Cpu, OtherArch},
};

/// Guest-physical memory that somebody else reads.
pub type PhysicalReader = Arc<dyn Memory<Gpa> + Send + Sync>;

/// Where a guest is.
#[non_exhaustive]
// There is one in a program.
#[allow(clippy::large_enum_variant)]
pub enum Source {
    /// The embedded sample guest.
    Sample,
    /// A file with guest memory.
    Image(ImageFile),
    /// A region map and nothing else: its guest has no memory.
    Regions(RegionText),
    /// An emulator.
    Emulator(Which, Offsets),
    /// Registers and physical memory that a caller has.
    Plain {
        /// The CPU.
        cpu: Cpu,
        /// What reads its memory.
        memory: PhysicalReader,
        /// The region map, if known.
        regions: Option<RegionText>,
    },
    /// Physical memory of a guest that no walker models.
    Other {
        /// Its architecture.
        arch: OtherArch,
        /// What reads its memory.
        memory: PhysicalReader,
        /// The region map, if known.
        regions: Option<RegionText>,
    },
}

impl Source {
    /// The file at `path`, which says all of itself.
    pub fn image(path: impl Into<PathBuf>) -> Self {
        Self::Image(ImageFile::new(path))
    }

    /// An emulator whose struct offsets are found in its own debug info, or in what
    /// comes with the library.
    #[must_use]
    pub fn emulator(which: Which) -> Self {
        Self::Emulator(which, Offsets::default())
    }
}

/// A file with guest memory, and what it does not say of itself.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ImageFile {
    /// The file.
    pub path: PathBuf,
    /// Where raw RAM begins.
    pub ram_base: Gpa,
    /// The machine type that places the RAM blocks of a stream.
    pub machine: Option<String>,
    /// The snapshot to take of a disk image.
    pub snapshot: Option<String>,
    /// The region map, which counts instead of the file's.
    pub regions: Option<RegionText>,
}

impl ImageFile {
    /// The file at `path`, which says all of itself.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), ..Self::default() }
    }

    /// The same; raw RAM begins at `ram_base`.
    #[must_use]
    pub fn ram_base(self, ram_base: Gpa) -> Self {
        Self { ram_base, ..self }
    }

    /// The same with the machine type that places the RAM blocks of a stream.
    #[must_use]
    pub fn machine(self, machine: Option<String>) -> Self {
        Self { machine, ..self }
    }

    /// The same with the snapshot to take of a disk image.
    #[must_use]
    pub fn snapshot(self, snapshot: Option<String>) -> Self {
        Self { snapshot, ..self }
    }

    /// The same with the region map that counts instead of the file's.
    #[must_use]
    pub fn regions(self, regions: Option<RegionText>) -> Self {
        Self { regions, ..self }
    }
}

/// Which emulator. Running ones are read on Linux only.
#[non_exhaustive]
pub enum Which {
    /// A running one, by its number.
    #[cfg(target_os = "linux")]
    Process(u32),
    /// The one that serves this monitor's socket.
    #[cfg(target_os = "linux")]
    Socket(PathBuf),
    /// The only one that runs.
    #[cfg(target_os = "linux")]
    Only,
    /// The core of one.
    Core {
        /// The core.
        path: PathBuf,
        /// The files that left it, where they are not at their paths.
        exe: Vec<PathBuf>,
    },
    /// One that a debugger has, known by its parts.
    Host(Box<Given<SharedMemory>>),
}

impl Which {
    /// Whether a monitor's socket leads to it.
    const fn is_by_socket(&self) -> bool {
        match self {
            #[cfg(target_os = "linux")]
            Self::Socket(_) => true,
            _ => false,
        }
    }
}

/// What is done to a process before it is read.
type Before<'a> = &'a mut dyn FnMut(u32) -> Result<(), SourceError>;

/// Opens `source` and looks at the guest in it as `asked`; `progress` hears the
/// bytes read or unpacked so far.
///
/// # Errors
/// [`SourceError`].
pub fn open(
    source: Source,
    asked: &Asked,
    progress: &mut dyn FnMut(u64),
) -> Result<Opened, SourceError> {
    attach(source, progress)?.seen(asked)
}

/// Opens `source`, for several questions about it.
///
/// # Errors
/// [`SourceError`].
pub fn attach(source: Source, progress: &mut dyn FnMut(u64)) -> Result<Arc<Attached>, SourceError> {
    Attached::new(source, &mut |_| Ok(()), progress).map(Arc::new)
}
