//! Processes of ours that always end.

use std::{
    process::Child,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

/// Ends an execution from elsewhere; it is not started again.
#[derive(Clone, Debug, Default)]
pub struct Stopper {
    pid: Arc<AtomicU32>,
    stopped: Arc<AtomicBool>,
}

impl Stopper {
    /// Ends it.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
        let pid = i32::try_from(self.pid.load(Ordering::SeqCst)).unwrap_or(0);
        if pid != 0 {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }

    /// Whether that was asked for.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::SeqCst)
    }

    /// Takes a process; none where it was told to stop, and the process ends.
    pub(super) fn own(&self, child: Child) -> Option<Killed> {
        self.pid.store(child.id(), Ordering::SeqCst);
        let child = Killed { child, pid: self.pid.clone() };
        (!self.is_stopped()).then_some(child)
    }
}

/// A process that ends with this.
pub(super) struct Killed {
    pub child: Child,
    pid: Arc<AtomicU32>,
}

impl Killed {
    pub fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Killed {
    fn drop(&mut self) {
        self.pid.store(0, Ordering::SeqCst);
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
