//! An emulator's ELF core, as gcore, the kernel and coredumpctl write it,
//! compressed or not. "core(5)"; "gcore(1)".
//!
//! A core leaves memory out, and does not say why. Reasons are: it is in a file
//! (the filter of "core(5)"), the process asked for it (`dump-guest-core=off`),
//! it was never written, or the disk was full. Code and constants then come
//! from the files that ran, if these are still there. Everything else is
//! [`ReadCause::NotInCore`].
//!
//! Not here: cores of 32-bit and big-endian processes, and the cores of guests
//! that `dump-guest-memory` writes (those are images).
//!
//! [`ReadCause::NotInCore`]: crate::memory::ReadCause::NotInCore

mod elf;
mod memory;
mod modules;

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use thiserror::Error;

use super::{Area, Areas, Host, Module, Thread};
use crate::{
    addr::Hva,
    advice::{Advice, Part, Setting},
    container::{self, ContainerError},
    memory::MappedFile,
};
use elf::{Contents, Segment};
use memory::FileRun;
use modules::Modules;

pub use memory::CoreMemory;

/// The core of a process.
#[derive(Debug)]
pub struct Core {
    memory: CoreMemory,
    areas: Areas,
    modules: Vec<Module>,
    threads: Vec<Thread>,
    without_executable: Option<String>,
    remarks: Vec<String>,
    path: PathBuf,
}

/// Why a core could not be opened.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CoreError {
    /// The file, or what wraps it.
    #[error(transparent)]
    Container(#[from] ContainerError),
    /// A file that was given for one that the process had loaded.
    #[error("{}: {source}", path.display())]
    Given {
        /// Its path.
        path: PathBuf,
        /// The operating system's words.
        source: io::Error,
    },
    /// Some other file.
    #[error("this is {what}")]
    NotACore {
        /// What it is.
        what: &'static str,
        /// What the user can do.
        advice: Advice,
    },
    /// The file is damaged or cut where nothing can be read without it.
    #[error("{what} (file offset {offset:#x})")]
    Damaged {
        /// What is wrong.
        what: &'static str,
        /// Where.
        offset: u64,
    },
    /// A file that was given is none that ran.
    #[error(
        "the executable given is not the one that ran: its build-id is {file}, the core's is {core}"
    )]
    Executable {
        /// The build-id in the core.
        core: String,
        /// The build-id of the file.
        file: String,
    },
    /// A file was given, and the core does not say where it was loaded.
    #[error("the core does not say where the executable given was loaded")]
    NoBase,
}

crate::advice::explain!(CoreError);

impl CoreError {
    fn damaged(what: &'static str, offset: u64) -> Self {
        Self::Damaged { what, offset }
    }

    /// A short stable name for scripts.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Container(_) => "container",
            Self::Given { .. } => "given",
            Self::NotACore { .. } => "not_a_core",
            Self::Damaged { .. } => "damaged",
            Self::Executable { .. } => "executable",
            Self::NoBase => "no_base",
        }
    }

    /// What the user can do about it.
    #[must_use]
    pub fn advice(&self) -> Advice {
        match self {
            Self::Container(_) => {
                Advice::Say("check the path, its permissions and that the file is complete")
            }
            Self::Given { .. } => Advice::Say("check the path and its permissions"),
            Self::NotACore { advice, .. } => advice.clone(),
            Self::Damaged { .. } => {
                Advice::Say("check that the file was written to its end; take the core again")
            }
            Self::Executable { .. } => Advice::Say(
                "give the file that ran, or an unchanged copy: `readelf -n FILE` shows its build-id",
            ),
            Self::NoBase => Advice::Parts(&[
                Part::Say("leave "),
                Part::Name(Setting::Executable),
                Part::Say(" away, or take the core again"),
            ]),
        }
    }
}

impl Core {
    /// Opens the core at `path`; `given` are the executable and libraries, where
    /// those that the core names are gone. `progress` hears the bytes unpacked.
    ///
    /// # Errors
    /// [`CoreError`].
    pub fn open(
        path: &Path,
        given: &[PathBuf],
        progress: &mut dyn FnMut(u64),
    ) -> Result<Self, CoreError> {
        let open = |path: &PathBuf| {
            MappedFile::open(path).map_err(|source| CoreError::Given { path: path.clone(), source })
        };
        let given = given.iter().map(open).collect::<Result<Vec<_>, _>>()?;
        let core = Self::from_file(container::open(path, progress)?, &given, &installed)?;
        Ok(Self { path: path.to_owned(), ..core })
    }

    /// As [`Core::open`], for a core that is mapped and not compressed; `open`
    /// finds the files that it names.
    ///
    /// # Errors
    /// [`CoreError`].
    pub fn from_file(
        file: MappedFile,
        given: &[MappedFile],
        open: &dyn Fn(&Path) -> Option<MappedFile>,
    ) -> Result<Self, CoreError> {
        let contents = Contents::read(file.bytes())?;
        let modules = Modules::find(&contents, &file, given, open)?;
        let mut remarks = modules.remarks;
        if contents.notes_cut {
            remarks.insert(0, "the core is cut: its list of files is missing".into());
        }
        if contents.cut > 0 {
            remarks.insert(0, format!("the core is cut: {:#x} bytes are missing", contents.cut));
        }
        let held = contents.segments.iter().filter_map(Segment::held).collect();
        Ok(Self {
            memory: CoreMemory::new(held, modules.pieces, modules.files),
            areas: areas(&contents),
            modules: modules.list,
            threads: contents.threads.iter().map(|&tid| Thread { tid, name: None }).collect(),
            without_executable: modules.without_executable,
            remarks,
            path: PathBuf::from("the core"),
        })
    }

    /// Its file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Why the executable's file is not there.
    #[must_use]
    pub fn without_executable(&self) -> Option<&str> {
        self.without_executable.as_deref()
    }

    /// What is missing and what was assumed, one sentence each.
    #[must_use]
    pub fn remarks(&self) -> &[String] {
        &self.remarks
    }
}

/// A file of this machine. Nothing but files is opened: a pipe would wait.
fn installed(path: &Path) -> Option<MappedFile> {
    fs::metadata(path).ok().filter(fs::Metadata::is_file)?;
    MappedFile::open(path).ok()
}

impl Segment {
    fn held(&self) -> Option<FileRun> {
        let Self { start, held, offset, .. } = *self;
        (held > 0).then_some(FileRun { start, len: held, file: 0, offset })
    }
}

/// The segments, and the mapped files that have none.
fn areas(contents: &Contents) -> Areas {
    let segment = |segment: &Segment| Area {
        start: Hva(segment.start),
        len: segment.len,
        readable: segment.readable,
        writable: segment.writable,
        name: match contents.file_at(segment.start) {
            Some(file) => Some(file.path.clone()),
            // Without the list of files, it is unknown which segments have
            // none.
            None => (!contents.files.is_empty()).then(String::new),
        },
    };
    let without_segment = contents.files.iter().filter(|file| {
        let after =
            contents.segments.partition_point(|segment| segment.start < file.start + file.len);
        let before = contents.segments[..after].last();
        before.is_none_or(|segment| segment.start + segment.len <= file.start)
    });
    let file = |file: &elf::FileRange| Area {
        start: Hva(file.start),
        len: file.len,
        readable: true,
        writable: false,
        name: Some(file.path.clone()),
    };
    contents.segments.iter().map(segment).chain(without_segment.map(file)).collect()
}

impl Host for Core {
    type Memory = CoreMemory;

    fn memory(&self) -> &CoreMemory {
        &self.memory
    }

    fn in_core(&self, start: Hva, len: u64) -> Option<u64> {
        Some(self.memory.held(start, len))
    }

    fn areas(&self) -> &Areas {
        &self.areas
    }

    fn knows_all_areas(&self) -> bool {
        false
    }

    fn modules(&self) -> &[Module] {
        &self.modules
    }

    fn may_change(&self) -> bool {
        false
    }

    fn threads(&self) -> &[Thread] {
        &self.threads
    }
}
