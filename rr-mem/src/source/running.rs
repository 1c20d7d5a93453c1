//! The emulators that run on this machine.

use std::{io, path::PathBuf, sync::Arc};

use super::{Attached, Source, SourceError, Which, attach};
use crate::{
    host::process,
    qemu::{Machine, Offsets},
};

/// What QEMU's files are called.
const NAMES: [&str; 2] = ["qemu", "panda"];

/// An emulator that runs on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Running {
    /// Its number.
    pub pid: u32,
    /// Its executable's path.
    pub binary: String,
    /// Its command line.
    pub command: Vec<String>,
}

impl Running {
    /// Reads the machine in it.
    ///
    /// # Errors
    /// As [`super::attach`].
    pub fn read(&self) -> Result<Machine, SourceError> {
        let process = Which::Process(self.pid);
        let attached = attach(Source::Emulator(process, Offsets::default()), &mut |_| {})?;
        let emulator = Arc::into_inner(attached).and_then(Attached::into_emulator);
        emulator.map(|emulator| emulator.machine).ok_or(SourceError::NoneRuns)
    }
}

/// Every process that could be an emulator, by the name of its executable.
///
/// # Errors
/// When /proc cannot be listed.
pub fn running() -> io::Result<Vec<Running>> {
    let all = process::all()?;
    Ok(all.into_iter().filter_map(|(pid, command)| candidate(pid, command)).collect())
}

fn candidate(pid: u32, command: Vec<String>) -> Option<Running> {
    // Without rights to the process its command line is all that is seen.
    let path = process::executable(pid).ok().or_else(|| command.first().map(PathBuf::from))?;
    let name = path.file_name()?.to_string_lossy().into_owned();
    let is_system = name.contains("-system-") || name.contains("qemu-kvm");
    let known = NAMES.iter().any(|known| name.contains(known));
    let binary = path.to_string_lossy().into_owned();
    (known && is_system && !command.is_empty()).then_some(Running { pid, binary, command })
}

/// The only emulator that runs.
pub(super) fn only_one() -> Result<u32, SourceError> {
    let running = running().map_err(SourceError::Processes)?;
    match running.as_slice() {
        [] => Err(SourceError::NoneRuns),
        [one] => Ok(one.pid),
        _ => Err(SourceError::SeveralRun(running)),
    }
}
