//! The one door: from a source to the guest in it. Which CPU, which address space,
//! which registers win, what is missing and what is assumed is decided here and
//! nowhere else; every face comes in this way.
//!
//! ```
//! use rr_mem::{addr::Gva, mmu::Query, source::{self, Asked, Source}};
//!
//! let opened = source::open(Source::Sample, &Asked::default(), &mut |_| {})?;
//! let walk = opened.guest.walk(Gva(0xffff_ffff_8100_0000), Query::Presence)?;
//! assert!(walk.result.is_ok());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

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
mod running;
#[cfg(test)]
mod tests;

use std::{path::PathBuf, sync::Arc};

pub use asked::Asked;
pub use attached::Attached;
pub use coverage::Coverage;
pub use emulator::{Emulator, EmulatorMemory, NoSuchSpace};
pub use error::SourceError;
pub use files::offsets;
pub use opened::Opened;
pub use regions::RegionText;
pub use remark::Remark;
pub use running::{Running, running};

use crate::{
    addr::Gpa,
    host::{Given, SharedMemory, process::Frozen},
    memory::Memory,
    qemu::Offsets,
    regs::Cpu,
};

/// Guest-physical memory that somebody else reads.
pub type PhysicalReader = Arc<dyn Memory<Gpa> + Send + Sync>;

/// Where a guest is.
#[non_exhaustive]
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
}

/// A file with guest memory, and what it does not say of itself.
#[derive(Clone, Debug, Default)]
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

/// Which emulator.
#[non_exhaustive]
pub enum Which {
    /// A running one, by its number.
    Process(u32),
    /// The one that serves this monitor's socket.
    Socket(PathBuf),
    /// The only one that runs.
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

/// As [`attach`]; a running emulator is stopped before it is read, and goes on when
/// `frozen` is dropped, by the thread that called this.
///
/// # Errors
/// [`SourceError`].
pub fn attach_frozen(
    source: Source,
    frozen: &mut Option<Frozen>,
    progress: &mut dyn FnMut(u64),
) -> Result<Arc<Attached>, SourceError> {
    let mut freeze = |pid| {
        *frozen = Some(Frozen::new(pid)?);
        Ok(())
    };
    Attached::new(source, &mut freeze, progress).map(Arc::new)
}
