//! Where two executions of one guest part: the first guest instruction after
//! which they differ, what differs, and the code that wrote it.
//!
//! The search uses only what an [`Execution`] gives. A backend knows one way to
//! move through a recording, and nothing of the search.

mod child;
mod difference;
mod digest;
mod inputs;
mod kept;
mod logs;
mod outside;
mod pair;
mod qemu;
mod rr;
mod search;
#[cfg(test)]
mod tests;
mod writer;

use std::{io, ops::RangeInclusive};

use thiserror::Error;

use crate::{
    addr::{Gpa, RangeSet},
    advice::Advice,
    memory::Memory,
    region::RegionMap,
    regs::Regs,
};

pub use child::Stopper;
pub use difference::{ByteRun, Differences, RegisterDifference};
pub use digest::{Digest, Ignored};
pub use inputs::{find_behind_inputs, find_first_write};
pub use kept::{KeptPoints, SearchIdentity};
pub use logs::{Extent, LogDifference, UnusableLog, entries_around, not_compared};
pub use pair::{SearchError, Side};
pub use qemu::{CommandError, Recording, Replay, StartError, names_release};
pub use rr::{Recorded, TraceError, Traced};
pub use search::{Found, Observer, Parting, SearchOptions, Verdict, find_first_difference};
pub use writer::Writer;

/// One execution of a guest that can be moved through. Points of it are named
/// by the guest instructions executed so far, of all CPUs together.
pub trait Execution: Send {
    /// Where it stands.
    ///
    /// # Errors
    /// As [`Execution::go_to`].
    fn position(&mut self) -> Result<u64, ExecutionError>;

    /// Goes to `instruction`, or to the first point behind it at which it can
    /// stop. Returns where it stands.
    ///
    /// # Errors
    /// [`ExecutionError::Ended`] when there is no such point.
    fn go_to(&mut self, instruction: u64) -> Result<u64, ExecutionError>;

    /// A point that is cheaper to go to than `instruction`, behind it and
    /// before `limit`; without one, `instruction`.
    ///
    /// # Errors
    /// As [`Execution::go_to`].
    fn cheap_point(&mut self, instruction: u64, limit: u64) -> Result<u64, ExecutionError> {
        let _ = limit;
        Ok(instruction)
    }

    /// The last point that it can go to, as far as that is known beforehand.
    ///
    /// # Errors
    /// As [`Execution::go_to`].
    fn end(&mut self) -> Result<u64, ExecutionError>;

    /// Makes it cheap to come back here, if possible.
    ///
    /// # Errors
    /// As [`Execution::go_to`].
    fn checkpoint(&mut self) -> Result<(), ExecutionError> {
        Ok(())
    }

    /// Whether it goes back as fast as forwards. If not, a search compares many
    /// points in one run forwards instead of bisecting.
    fn goes_back(&self) -> bool {
        true
    }

    /// The guest where it stands. The memory is only good until the next call.
    ///
    /// # Errors
    /// As [`Execution::go_to`].
    fn snapshot(&mut self) -> Result<Snapshot<'_>, ExecutionError>;

    /// Runs forward until a write changes a byte of one of the `places`, and
    /// stops at the first point behind it; inside a block, if it can. `None` if
    /// no such write comes before `until`. At most [`Execution::most_places`]
    /// at a time.
    ///
    /// # Errors
    /// As [`Execution::go_to`].
    fn next_change(
        &mut self,
        places: &[RangeInclusive<Gpa>],
        until: u64,
    ) -> Result<Option<u64>, ExecutionError>;

    /// How many places can be watched in one run; hardware has four. `None` if
    /// [`Execution::next_change`] is not supported.
    fn most_places(&self) -> usize {
        4
    }

    /// The code that runs where it stands, innermost frame first.
    ///
    /// # Errors
    /// As [`Execution::go_to`].
    fn backtrace(&mut self) -> Result<Backtrace, ExecutionError>;

    /// What did not go as it should, though the answers stand.
    fn remarks(&self) -> Vec<String> {
        Vec::new()
    }
}

/// A guest at one point.
pub struct Snapshot<'a> {
    /// Every CPU, by ascending number.
    pub cpus: Vec<CpuState>,
    /// The guest-physical addresses that are compared: RAM.
    pub ram: RangeSet,
    /// The memory regions, and the number of the address space that `memory`
    /// is, where they are known.
    pub regions: Option<(RegionMap, usize)>,
    /// Its bytes.
    pub memory: Box<dyn Memory + Sync + 'a>,
}

/// What a CPU holds at one point.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CpuState {
    /// The emulator's number of it.
    pub number: u64,
    /// The program counter.
    pub pc: Option<u64>,
    /// Every register, by the name that gdb gives it: its bytes, most
    /// significant first.
    pub registers: Vec<(String, Vec<u8>)>,
    /// The registers that steer paging, where they are known.
    pub paging: Option<Regs>,
}

/// Frames, innermost first; empty where the backend cannot tell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Backtrace {
    /// The guest's code.
    pub guest: Vec<Frame>,
    /// The emulator's code.
    pub host: Vec<Frame>,
}

/// A function that runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The address of its next instruction.
    pub address: u64,
    /// Its name, where a symbol says it.
    pub name: Option<String>,
}

/// Why an execution could not be moved or looked at.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ExecutionError {
    /// It is over.
    #[error("the execution ends at instruction {at}")]
    Ended {
        /// The last point.
        at: u64,
    },
    /// The emulator, or what drives it, stopped working.
    #[error("{step} at instruction {at}: {what}")]
    Failed {
        /// What was tried.
        step: &'static str,
        /// The last point that was reached.
        at: u64,
        /// What happened, in its own words.
        what: String,
    },
    /// It stands there, and does not get on.
    #[error("replaying at instruction {at}: it does not get on")]
    Stuck {
        /// Where.
        at: u64,
    },
    /// It is not one that can be compared.
    #[error("{what}")]
    Unusable {
        /// Why.
        what: &'static str,
        /// What the user can do about it.
        advice: Advice,
    },
    /// The operating system.
    #[error("{step}: {source}")]
    Io {
        /// What was tried.
        step: &'static str,
        /// The operating system's words.
        source: io::Error,
    },
}

impl ExecutionError {
    /// The last point that was reached, where that is known.
    #[must_use]
    pub fn at(&self) -> Option<u64> {
        match self {
            Self::Ended { at } | Self::Failed { at, .. } | Self::Stuck { at } => Some(*at),
            Self::Unusable { .. } | Self::Io { .. } => None,
        }
    }
}
