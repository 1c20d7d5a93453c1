//! A running process, read from outside: `proc(5)`, "process_vm_readv(2)".
//! Nothing is stopped except by [`Frozen`], and nothing is written except by
//! [`Process::write`].
//!
//! Not here: symbols.

mod freeze;
mod memory;
mod modules;
mod socket;

use std::{
    fs::{self, File},
    io::{self, Read},
    path::PathBuf,
};

use thiserror::Error;

use super::{Areas, Host, Module, Thread, maps};
use crate::addr::Hva;
use crate::advice::Advice;

pub use freeze::{FreezeError, Frozen};
pub use memory::ProcessMemory;
pub use modules::{Loaded, LoadedFile, any_loaded};
pub use socket::{SocketError, server};

/// More of `/proc/PID/maps` is not read: a million lines.
const MAPS_LIMIT: u64 = 128 << 20;
/// More threads are not listed.
const THREAD_LIMIT: usize = 100_000;

/// A running process.
#[derive(Debug)]
pub struct Process {
    pid: u32,
    memory: ProcessMemory,
    areas: Areas,
    modules: Vec<Module>,
    threads: Vec<Thread>,
}

/// Why a process could not be opened.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ProcessError {
    /// There is none of this number, or it has ended.
    #[error("there is no process {pid}, or it has exited")]
    NoSuch {
        /// Its number.
        pid: u32,
    },
    /// The operating system does not let us read it.
    #[error("process {pid} may not be read: {what}: {source}")]
    Denied {
        /// Its number.
        pid: u32,
        /// What was refused.
        what: &'static str,
        /// The operating system's words.
        source: io::Error,
    },
    /// Something else went wrong.
    #[error("process {pid}: {what}: {source}")]
    Io {
        /// Its number.
        pid: u32,
        /// What was being read.
        what: &'static str,
        /// The operating system's words.
        source: io::Error,
    },
}

crate::advice::explain!(ProcessError);

impl ProcessError {
    fn new(pid: u32, what: &'static str, source: io::Error) -> Self {
        // ESRCH: reading a file of /proc whose process has ended meanwhile.
        const ESRCH: i32 = 3;
        match source.kind() {
            io::ErrorKind::NotFound => Self::NoSuch { pid },
            io::ErrorKind::PermissionDenied => Self::Denied { pid, what, source },
            _ if source.raw_os_error() == Some(ESRCH) => Self::NoSuch { pid },
            _ => Self::Io { pid, what, source },
        }
    }

    /// A short stable name for scripts.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::NoSuch { .. } => "no_such_process",
            Self::Denied { .. } => "denied",
            Self::Io { .. } => "io",
        }
    }

    /// What the user can do about it.
    #[must_use]
    pub fn advice(&self) -> Advice {
        match self {
            Self::NoSuch { .. } => Advice::Say("`rr-mem ps` lists the emulators that run"),
            Self::Denied { .. } => Advice::Say(memory::RIGHTS),
            Self::Io { .. } => {
                Advice::Say("check that /proc is mounted and the process still runs")
            }
        }
    }
}

impl Process {
    /// Opens the process `pid` to be read.
    ///
    /// # Errors
    /// When there is none, or it may not be read.
    pub fn open(pid: u32) -> Result<Self, ProcessError> {
        let fail = |what| move |error| ProcessError::new(pid, what, error);
        let text = maps_of(pid).map_err(fail("its memory map"))?;
        let mappings = maps::parse(&text);
        if mappings.is_empty() {
            // A zombie or a kernel thread: it has a number, but no memory.
            return Err(ProcessError::NoSuch { pid });
        }
        let memory = ProcessMemory::new(pid, &mappings);
        memory.probe(&mappings).map_err(fail("its memory"))?;
        let modules = modules::read(pid, &mappings, &memory);
        let threads = threads(pid).map_err(fail("its threads"))?;
        let areas = mappings.into_iter().map(|mapping| mapping.area).collect();
        Ok(Self { pid, memory, areas, modules, threads })
    }

    /// Its number.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Changes its memory from `addr` on to `bytes`.
    ///
    /// # Errors
    /// How many bytes were written, and why no more.
    pub fn write(&self, addr: Hva, bytes: &[u8]) -> Result<(), (usize, io::Error)> {
        memory::write(self.pid, addr, bytes)
    }
}

impl Host for Process {
    type Memory = ProcessMemory;

    fn memory(&self) -> &ProcessMemory {
        &self.memory
    }

    fn resident(&self, start: Hva, len: u64) -> Option<u64> {
        self.memory.resident(start, len)
    }

    fn areas(&self) -> &Areas {
        &self.areas
    }

    fn knows_all_areas(&self) -> bool {
        true
    }

    fn modules(&self) -> &[Module] {
        &self.modules
    }

    fn threads(&self) -> &[Thread] {
        &self.threads
    }
}

/// The text of a process's memory map.
fn maps_of(pid: u32) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    File::open(folder(pid).join("maps"))?.take(MAPS_LIMIT).read_to_end(&mut text)?;
    Ok(text)
}

/// Every process of this machine: its number and its command line, as far as
/// they can be seen.
///
/// # Errors
/// When /proc cannot be listed.
pub fn all() -> io::Result<Vec<(u32, Vec<String>)>> {
    let number = |entry: fs::DirEntry| entry.file_name().to_str()?.parse::<u32>().ok();
    let mut pids: Vec<u32> = fs::read_dir("/proc")?.flatten().filter_map(number).collect();
    pids.sort_unstable();
    let with_command = |pid| Some((pid, command(pid).ok()?));
    Ok(pids.into_iter().filter_map(with_command).collect())
}

/// The command line of a process.
///
/// # Errors
/// The operating system's.
pub fn command(pid: u32) -> io::Result<Vec<String>> {
    let bytes = fs::read(folder(pid).join("cmdline"))?;
    let words = bytes.strip_suffix(b"\0").unwrap_or(&bytes).split(|byte| *byte == 0);
    Ok(words.map(|word| String::from_utf8_lossy(word).into_owned()).collect())
}

/// The path of a process's executable, as the kernel tells it.
///
/// # Errors
/// The operating system's.
pub fn executable(pid: u32) -> io::Result<PathBuf> {
    fs::read_link(folder(pid).join("exe"))
}

fn folder(pid: u32) -> PathBuf {
    PathBuf::from(format!("/proc/{pid}"))
}

/// The main thread first, which has the number of the process.
fn tids(pid: u32) -> io::Result<Vec<u64>> {
    let mut tids: Vec<u64> = fs::read_dir(folder(pid).join("task"))?
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .take(THREAD_LIMIT)
        .collect();
    tids.sort_unstable_by_key(|&tid| (tid != u64::from(pid), tid));
    Ok(tids)
}

fn threads(pid: u32) -> io::Result<Vec<Thread>> {
    let task = folder(pid).join("task");
    let name = |tid: u64| fs::read_to_string(task.join(tid.to_string()).join("comm")).ok();
    let thread = |tid| Thread { tid, name: name(tid).map(|name| name.trim_end().to_owned()) };
    Ok(tids(pid)?.into_iter().map(thread).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::Memory;

    #[test]
    fn we_can_read_ourselves() {
        let process = Process::open(std::process::id()).expect("we run");
        let bytes: Vec<u8> = (0..9000).map(|i| (i % 251) as u8).collect();
        let mut copy = vec![0; bytes.len()];
        process.memory().read(Hva(bytes.as_ptr() as u64), &mut copy).expect("is mapped");
        assert_eq!(copy, bytes);
        assert!(process.modules()[0].file.is_some(), "the executable comes first");
        assert_eq!(process.threads()[0].tid, u64::from(std::process::id()));
    }

    #[test]
    fn what_is_written_can_be_read() {
        let mut bytes = vec![0u8; 9000];
        let start = Hva(bytes.as_mut_ptr() as u64);
        let process = Process::open(std::process::id()).expect("we run");
        process.write(Hva(start.0 + 4090), b"across the border").expect("is our own");
        let mut copy = [0; 17];
        process.memory().read(Hva(start.0 + 4090), &mut copy).expect("is mapped");
        assert_eq!(&copy, b"across the border");
        let (done, error) = process.write(Hva(8), b"null").expect_err("is not mapped");
        assert_eq!((done, error.raw_os_error()), (0, Some(14)), "EFAULT");
    }

    #[test]
    fn a_process_that_is_not_there_is_an_error_that_says_so() {
        let error = Process::open(u32::MAX).expect_err("no such number");
        assert_eq!(error.kind(), "no_such_process");
        assert!(error.advice().to_string().contains("rr-mem ps"));
    }

    #[test]
    fn refused_rights_are_named() {
        let refused = io::Error::from(io::ErrorKind::PermissionDenied);
        let error = ProcessError::new(1, "its memory", refused);
        assert_eq!(error.kind(), "denied");
        assert!(error.advice().to_string().contains("ptrace"));
    }
}
