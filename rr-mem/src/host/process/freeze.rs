//! A process that stands still while it is read: "ptrace(2)", PTRACE_SEIZE and
//! PTRACE_INTERRUPT of every thread.
//!
//! Not SIGSTOP: whom a tracer has stopped the kernel lets go when the tracer
//! ends, however it ends, SIGKILL too, so that no signal has to be caught; a
//! process that was stopped before stays so; its parent hears nothing of it. The
//! price: a process has one tracer, so that one under a debugger cannot be frozen.
//!
//! As with every stop, the system calls that "signal(7)" lists under
//! "Interruption of system calls by stop signals" return EINTR in the process.
#![allow(unsafe_code)]

use crate::advice::{Advice, Part, Setting};
use std::{
    collections::HashSet,
    fs, io,
    marker::PhantomData,
    mem, process, ptr, thread,
    time::{Duration, Instant},
};

use nix::{
    errno::Errno,
    libc,
    sys::ptrace::{self, Options},
    unistd::Pid,
};
use thiserror::Error;

use super::{folder, memory::RIGHTS, tids};

/// How long threads may take to stop.
const PATIENCE: Duration = Duration::from_secs(2);
/// Between two looks at threads that are about to stop.
const PAUSE: Duration = Duration::from_micros(100);

/// Keeps a process from running until it is dropped, or its thread ends: that
/// of the tracer, which is why it cannot be sent to another.
#[derive(Debug)]
pub struct Frozen {
    pid: u32,
    threads: Vec<Held>,
    bound_to_thread: PhantomData<*const ()>,
}

/// A thread that we trace.
#[derive(Debug)]
struct Held {
    tid: u64,
    /// Its end is news for somebody else in this process, who started it.
    ours: bool,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Told to stop.
    Asked,
    /// Stopped; a signal that was about to be delivered is given back.
    Stopped { signal: i32 },
    /// Ended before it stopped.
    Gone,
}

/// Why a process could not be frozen. It runs on.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FreezeError {
    /// There is none of this number, or it has ended.
    #[error("there is no process {pid}, or it has exited")]
    NoSuch {
        /// Its number.
        pid: u32,
    },
    /// Somebody else traces it.
    #[error("process {pid} cannot be frozen: process {tracer} traces it")]
    Traced {
        /// Its number.
        pid: u32,
        /// The number of the tracer.
        tracer: u32,
    },
    /// The operating system does not let us stop it.
    #[error("process {pid} may not be frozen: {source}")]
    Denied {
        /// Its number.
        pid: u32,
        /// The operating system's words.
        source: io::Error,
    },
    /// A thread did not stop in time.
    #[error("process {pid} cannot be frozen: its thread {tid} did not stop in {PATIENCE:?}")]
    Busy {
        /// Its number.
        pid: u32,
        /// The thread's number.
        tid: u64,
    },
    /// Something else went wrong.
    #[error("process {pid} cannot be frozen: {source}")]
    Io {
        /// Its number.
        pid: u32,
        /// The operating system's words.
        source: io::Error,
    },
}

crate::advice::explain!(FreezeError);

impl FreezeError {
    fn new(pid: u32, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::NotFound => Self::NoSuch { pid },
            io::ErrorKind::PermissionDenied => match tracer(pid) {
                Some(tracer) => Self::Traced { pid, tracer },
                None => Self::Denied { pid, source },
            },
            _ if source.raw_os_error() == Some(Errno::ESRCH as i32) => Self::NoSuch { pid },
            _ => Self::Io { pid, source },
        }
    }

    /// A short stable name for scripts.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::NoSuch { .. } => "no_such_process",
            Self::Traced { .. } => "traced",
            Self::Denied { .. } => "denied",
            Self::Busy { .. } => "busy",
            Self::Io { .. } => "io",
        }
    }

    /// What the user can do about it.
    #[must_use]
    pub fn advice(&self) -> Advice {
        match self {
            Self::NoSuch { .. } => Advice::Say("`rr-mem ps` lists the emulators that run"),
            Self::Traced { .. } => Advice::Parts(&[
                Part::Say("stop it in the debugger, or detach the debugger; without "),
                Part::Name(Setting::Freeze),
                Part::Say(" it can be read beside one"),
            ]),
            Self::Denied { .. } => Advice::Say(RIGHTS),
            Self::Busy { .. } | Self::Io { .. } => Advice::Parts(&[
                Part::Say("try again, or stop the guest with the monitor's `stop` and leave "),
                Part::Name(Setting::Freeze),
                Part::Say(" away"),
            ]),
        }
    }
}

impl Frozen {
    /// Stops every thread of the process.
    ///
    /// # Errors
    /// When it may not be traced, or a thread does not stop; then all run on.
    pub fn new(pid: u32) -> Result<Self, FreezeError> {
        let mut frozen = Self { pid, threads: Vec::new(), bound_to_thread: PhantomData };
        let deadline = Instant::now() + PATIENCE;
        // Threads may start others until they stop.
        while frozen.seize_new()? {
            frozen.wait(deadline)?;
        }
        Ok(frozen)
    }

    /// Whether there were threads that we did not have yet.
    fn seize_new(&mut self) -> Result<bool, FreezeError> {
        let fail = |error| FreezeError::new(self.pid, error);
        let held: HashSet<u64> = self.threads.iter().map(|thread| thread.tid).collect();
        let all = tids(self.pid).map_err(fail)?;
        let new: Vec<u64> = all.into_iter().filter(|tid| !held.contains(tid)).collect();
        let child = status_number(self.pid, "PPid:") == Some(process::id());
        for &tid in &new {
            let ours = child && tid == u64::from(self.pid);
            self.threads.push(Held { tid, ours, state: self.seize(tid)? });
        }
        Ok(!new.is_empty())
    }

    fn seize(&self, tid: u64) -> Result<State, FreezeError> {
        let thread = pid_of(tid);
        let asked =
            ptrace::seize(thread, Options::empty()).and_then(|()| ptrace::interrupt(thread));
        match asked {
            Ok(()) => Ok(State::Asked),
            Err(Errno::ESRCH) if tid != u64::from(self.pid) => Ok(State::Gone),
            Err(errno) => Err(FreezeError::new(self.pid, errno.into())),
        }
    }

    fn wait(&mut self, deadline: Instant) -> Result<(), FreezeError> {
        loop {
            let asked = |thread: &&mut Held| thread.state == State::Asked;
            self.threads.iter_mut().filter(asked).for_each(Held::look);
            let late = self.threads.iter().find(|thread| thread.state == State::Asked);
            let Some(Held { tid, .. }) = late else { return Ok(()) };
            if Instant::now() > deadline {
                return Err(FreezeError::Busy { pid: self.pid, tid: *tid });
            }
            thread::sleep(PAUSE);
        }
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        self.threads.iter_mut().for_each(Held::release);
    }
}

impl Held {
    /// Takes note of a stop or an end.
    fn look(&mut self) {
        let ends = if self.ours { 0 } else { libc::WEXITED };
        self.state = match wait_now(self.tid, libc::WSTOPPED | ends) {
            Some((libc::CLD_STOPPED | libc::CLD_TRAPPED, status)) => {
                // Stops that we asked for, and those of job control, are events.
                let event = status >> 8 != 0;
                State::Stopped { signal: if event { 0 } else { status } }
            }
            None => State::Gone,
            Some((0, _)) if !self.ours => return,
            Some((0, _)) => match wait_now(self.tid, libc::WEXITED | libc::WNOWAIT) {
                Some((0, _)) => return,
                _ => State::Gone,
            },
            Some(_) => State::Gone,
        };
    }

    /// Lets it run on, or stay stopped if it was before.
    fn release(&mut self) {
        if self.state == State::Asked {
            self.look();
        }
        let State::Stopped { signal } = self.state else { return };
        let none = ptr::null_mut::<libc::c_void>();
        let signal = ptr::without_provenance_mut::<libc::c_void>(signal as usize);
        let tid = pid_of(self.tid).as_raw();
        // SAFETY: this request reads and writes no memory of ours.
        let failed = unsafe { libc::ptrace(libc::PTRACE_DETACH, tid, none, signal) } != 0;
        if failed {
            // Killed meanwhile: it is on us to take note.
            self.look();
        }
    }
}

/// No thread has a number that is too large; 0 and below would mean others.
fn pid_of(tid: u64) -> Pid {
    Pid::from_raw(i32::try_from(tid).unwrap_or(i32::MAX).max(1))
}

/// What `waitid(2)` has to tell of a thread, as its code (0: nothing yet) and
/// status; none where there is no such thread of ours.
fn wait_now(tid: u64, flags: i32) -> Option<(i32, i32)> {
    let flags = flags | libc::WNOHANG | libc::__WALL;
    let tid = pid_of(tid).as_raw().unsigned_abs();
    // SAFETY: all zeros is a value of this plain struct, and the kernel writes no more than it.
    unsafe {
        let mut info: libc::siginfo_t = mem::zeroed();
        let found = libc::waitid(libc::P_PID, tid, &raw mut info, flags) == 0;
        found.then(|| (info.si_code, info.si_status()))
    }
}

/// Who traces a process.
fn tracer(pid: u32) -> Option<u32> {
    status_number(pid, "TracerPid:").filter(|tracer| *tracer != 0)
}

/// A number of `/proc/PID/status`, by the name before it.
fn status_number(pid: u32, name: &str) -> Option<u32> {
    let status = fs::read_to_string(folder(pid).join("status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix(name))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command};

    use nix::sys::{
        signal::{Signal, kill},
        wait::{WaitPidFlag, waitpid},
    };

    use super::*;

    /// A process that sleeps; ended when dropped.
    struct Sleeper(Child);

    impl Sleeper {
        fn new() -> Self {
            Self(Command::new("sleep").arg("1000").spawn().expect("is a program"))
        }

        fn pid(&self) -> u32 {
            self.0.id()
        }

        /// The letter in `/proc/PID/stat`.
        fn state(&self) -> char {
            let stat = fs::read_to_string(folder(self.pid()).join("stat")).expect("it runs");
            let (_, rest) = stat.rsplit_once(") ").expect("the name is in brackets");
            rest.chars().next().expect("a letter")
        }
    }

    impl Drop for Sleeper {
        fn drop(&mut self) {
            self.0.kill().and_then(|()| self.0.wait()).expect("it can be ended");
        }
    }

    #[test]
    fn a_process_is_stopped_while_frozen_and_runs_afterwards() {
        let sleeper = Sleeper::new();
        for _ in 0..100 {
            let frozen = Frozen::new(sleeper.pid()).expect("it is our child");
            assert_eq!(sleeper.state(), 't');
            drop(frozen);
            assert!("RSD".contains(sleeper.state()));
        }
    }

    #[test]
    fn a_process_that_was_stopped_before_stays_stopped() {
        let sleeper = Sleeper::new();
        let pid = pid_of(sleeper.pid().into());
        kill(pid, Signal::SIGSTOP).expect("it is our child");
        waitpid(pid, Some(WaitPidFlag::WUNTRACED)).expect("it stops");
        let frozen = Frozen::new(sleeper.pid()).expect("it is our child");
        assert_eq!(sleeper.state(), 't');
        drop(frozen);
        // From one stop to the other it goes by itself.
        assert!((0..1_000_000).any(|_| sleeper.state() == 'T'));
    }

    #[test]
    fn a_process_that_is_killed_while_frozen_ends_for_who_started_it() {
        let mut sleeper = Sleeper::new();
        let frozen = Frozen::new(sleeper.pid()).expect("it is our child");
        sleeper.0.kill().expect("it is our child");
        let flags = libc::WEXITED | libc::WNOWAIT;
        while wait_now(sleeper.pid().into(), flags) == Some((0, 0)) {}
        drop(frozen);
        assert!(!sleeper.0.wait().expect("it ended").success());
    }

    #[test]
    fn who_traces_a_process_already_is_named() {
        let sleeper = Sleeper::new();
        let _frozen = Frozen::new(sleeper.pid()).expect("it is our child");
        let error = Frozen::new(sleeper.pid()).expect_err("it has a tracer");
        assert_eq!(error.kind(), "traced");
        assert!(
            error.to_string().contains("traces it")
                && error.advice().to_string().contains("debugger")
        );
        assert_eq!(sleeper.state(), 't', "the first tracer keeps it");
    }

    #[test]
    fn a_process_that_is_not_there_is_an_error_that_says_so() {
        assert_eq!(Frozen::new(u32::MAX).expect_err("no such number").kind(), "no_such_process");
    }
}
