//! Two executions that are moved together.

use std::{fmt, thread};

use thiserror::Error;

use super::{CpuState, Differences, Execution, ExecutionError, Ignored, Snapshot};

/// How often two executions that stop at different points are moved to meet.
const MEETINGS: usize = 64;
/// One of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The first.
    A,
    /// The second.
    B,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::A => "the first execution",
            Self::B => "the second execution",
        })
    }
}

/// Why there is no answer.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SearchError {
    /// One of the two stopped working.
    #[error("{side}: {error}")]
    Execution {
        /// Which.
        side: Side,
        /// How.
        error: ExecutionError,
    },
    /// They never stop at the same point.
    #[error("from instruction {from} on the two executions were not brought to one point")]
    NoCommonPoint {
        /// Where to.
        from: u64,
    },
}

/// Both executions.
pub(super) struct Pair<'e> {
    pub(super) a: &'e mut dyn Execution,
    pub(super) b: &'e mut dyn Execution,
}

impl Pair<'_> {
    /// Does the same with both at once.
    pub(super) fn both<T: Send>(
        &mut self,
        what: impl Fn(&mut dyn Execution) -> Result<T, ExecutionError> + Sync,
    ) -> Result<(T, T), SearchError> {
        let (a, b) = thread::scope(|scope| {
            let other = scope.spawn(|| what(self.b));
            (what(self.a), other.join())
        });
        let b = b.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        let of = |side| move |error| SearchError::Execution { side, error };
        Ok((a.map_err(of(Side::A))?, b.map_err(of(Side::B))?))
    }

    /// Goes with both to the first point they have in common at `instruction`
    /// or behind it.
    pub(super) fn go_to(&mut self, instruction: u64) -> Result<u64, SearchError> {
        let mut to = instruction;
        for _ in 0..MEETINGS {
            let (a, b) = self.both(|execution| execution.go_to(to))?;
            if a == b {
                return Ok(a);
            }
            to = a.max(b);
        }
        Err(SearchError::NoCommonPoint { from: instruction })
    }

    /// Looks at both where they stand.
    pub(super) fn compare(
        &mut self,
        ignored: &Ignored,
    ) -> Result<(Differences, Vec<CpuState>), SearchError> {
        let a = snapshot(self.a, Side::A)?;
        let b = snapshot(self.b, Side::B)?;
        Ok((Differences::between(&a, &b, ignored), a.cpus))
    }
}

/// The guest of one of them, where it stands.
pub(super) fn snapshot(
    execution: &mut dyn Execution,
    side: Side,
) -> Result<Snapshot<'_>, SearchError> {
    execution.snapshot().map_err(|error| SearchError::Execution { side, error })
}
