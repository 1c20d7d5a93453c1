//! Why a running emulator cannot be had.

use std::{io, path::PathBuf};

use thiserror::Error;

use super::Running;
use crate::{
    advice::{Advice, Explain, Part, Setting},
    host::process::{FreezeError, ProcessError, SocketError},
};

/// Why a running emulator cannot be had.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RunningError {
    /// The process cannot be read.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// The process cannot be stopped.
    #[error(transparent)]
    Freeze(#[from] FreezeError),
    /// Nobody is found behind a socket.
    #[error("{}: {error}", path.display())]
    Socket {
        /// The socket.
        path: PathBuf,
        /// Why.
        error: SocketError,
    },
    /// The processes of this machine cannot be listed.
    #[error("/proc: {0}")]
    Processes(io::Error),
    /// No emulator runs.
    #[error("no emulator runs on this machine")]
    None,
    /// Which of several is meant was not said.
    #[error("{} emulators run", .0.len())]
    Several(Vec<Running>),
}

impl RunningError {
    /// Whether the process has ended.
    #[must_use]
    pub const fn has_ended(&self) -> bool {
        matches!(self, Self::Process(ProcessError::NoSuch { .. }))
    }
}

impl Explain for RunningError {
    fn kind(&self) -> &'static str {
        match self {
            Self::Process(error) => error.kind(),
            Self::Freeze(error) => error.kind(),
            Self::Socket { error, .. } => error.kind(),
            Self::Processes(_) => "io",
            Self::None => "none_runs",
            Self::Several(_) => "several_run",
        }
    }

    fn advice(&self) -> Advice {
        match self {
            Self::Process(error) => error.advice(),
            Self::Freeze(error) => error.advice(),
            Self::Socket { error, .. } => error.advice(),
            Self::Processes(_) => Advice::Say("check that it is mounted"),
            Self::None => Advice::Parts(&[
                Part::Say("give "),
                Part::Name(Setting::Process),
                Part::Say(" of a process that has QEMU in it under another name"),
            ]),
            Self::Several(_) => Advice::Parts(&[
                Part::Say("`rr-mem ps` lists them; choose one with "),
                Part::Name(Setting::Process),
            ]),
        }
    }

    fn details(&self) -> Vec<String> {
        let Self::Several(running) = self else { return Vec::new() };
        running.iter().map(|one| format!("{}  {}", one.pid, one.binary)).collect()
    }
}
