//! The emulators that run on this machine.

mod error;

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{Attached, Before, Source, SourceError};
use crate::{
    host::{
        AnyHost, Host,
        process::{self, Frozen, LoadedFile, Process},
    },
    memory::MappedFile,
    qemu,
};

pub use error::RunningError;

/// What QEMU's files are called.
const NAMES: [&str; 2] = ["qemu", "panda"];

/// An emulator that runs on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Running {
    /// Its number.
    pub pid: u32,
    /// Its executable's path.
    pub binary: String,
    /// Its command line.
    pub command: Vec<String>,
}

/// Every process that is an emulator by the symbols of its files, or could be one by
/// the name of its executable.
///
/// # Errors
/// When /proc cannot be listed.
pub fn running() -> Result<Vec<Running>, RunningError> {
    let all = process::all().map_err(RunningError::Processes)?;
    let mut known = KnownFiles::default();
    Ok(all.into_iter().filter_map(|(pid, command)| known.candidate(pid, command)).collect())
}

/// Which files have QEMU's symbols; each is looked at once.
#[derive(Default)]
struct KnownFiles(HashMap<LoadedFile, bool>);

impl KnownFiles {
    fn candidate(&mut self, pid: u32, command: Vec<String>) -> Option<Running> {
        // Without rights to the process its command line is all that is seen.
        let path = process::executable(pid).ok().or_else(|| command.first().map(PathBuf::from))?;
        let found = !command.is_empty() && (is_named(&path) || self.loaded_by(pid));
        let binary = path.to_string_lossy().into_owned();
        found.then_some(Running { pid, binary, command })
    }

    fn loaded_by(&mut self, pid: u32) -> bool {
        let is_emulator =
            |file: Option<MappedFile>| file.is_some_and(|file| qemu::is_emulator(file.bytes()));
        process::any_loaded(pid, |loaded| {
            *self.0.entry(loaded.file()).or_insert_with(|| is_emulator(loaded.open()))
        })
    }
}

/// Whether a file is called as QEMU's are.
fn is_named(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let is_system = name.contains("-system-") || name.contains("qemu-kvm");
    is_system && NAMES.iter().any(|known| name.contains(known))
}

/// As [`attach`](super::attach), but stops a running emulator before it is read. It goes on when
/// `frozen` is dropped, by the same thread.
///
/// # Errors
/// [`SourceError`].
pub fn attach_frozen(
    source: Source,
    frozen: &mut Option<Frozen>,
    progress: &mut dyn FnMut(u64),
) -> Result<Arc<Attached>, SourceError> {
    let mut freeze = |pid| {
        *frozen = Some(Frozen::new(pid).map_err(RunningError::from)?);
        Ok(())
    };
    Attached::new(source, &mut freeze, progress).map(Arc::new)
}

/// The process `pid`; `before` is called before it is read.
pub(super) fn open(pid: u32, before: Before<'_>) -> Result<AnyHost, SourceError> {
    before(pid)?;
    Ok(Process::open(pid).map_err(RunningError::from)?.into())
}

/// The process that serves the monitor's socket at `path`.
pub(super) fn server(path: PathBuf) -> Result<u32, RunningError> {
    process::server(&path).map_err(|error| RunningError::Socket { path, error })
}

/// The only emulator that runs.
pub(super) fn only_one() -> Result<u32, RunningError> {
    let running = running()?;
    match running.as_slice() {
        [] => Err(RunningError::None),
        [one] => Ok(one.pid),
        _ => Err(RunningError::Several(running)),
    }
}

/// What to say of a process in which no emulator was found; an error if it has ended.
pub(super) fn why_unread(process: &Process) -> Result<String, RunningError> {
    Process::open(process.pid())?;
    let without_file = process.modules().first().is_none_or(|main| main.file.is_none());
    Ok(if without_file {
        " (its executable could not be opened)".to_owned()
    } else {
        String::new()
    })
}
