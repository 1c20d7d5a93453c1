//! What the logs of two executions say before either is run.

use std::path::{Path, PathBuf};

use thiserror::Error;

use super::Side;
use crate::replay::{
    Event, EventLog, Log, OpenError,
    diff::{self, Words},
    qemu,
};

/// Entries that are shown before an instruction, and behind it.
const BEFORE: u64 = 4;
const BEHIND: u64 = 3;
/// QEMU, `replay_finish`: writes the end mark.
const NO_END: &str = "it has no end mark, so the recording was not finished or the file is cut";

/// Why a log is of no use.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum UnusableLog {
    /// It cannot be opened.
    #[error("{}: {source}", path.display())]
    NotOpened {
        /// Its path.
        path: PathBuf,
        /// Why.
        source: OpenError,
    },
    /// It is not of QEMU.
    #[error("{} is a log of PANDA", path.display())]
    Panda {
        /// Its path.
        path: PathBuf,
    },
}

fn open(path: &Path) -> Result<Log, UnusableLog> {
    Log::open(path).map_err(|source| UnusableLog::NotOpened { path: path.to_owned(), source })
}

/// How far a log of QEMU goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Extent {
    /// The instructions that it goes on for, as far as it is whole.
    pub instructions: u64,
    /// Why it is not whole.
    pub cut: Option<String>,
    /// Writes to a character device that nobody took.
    pub refused: u64,
}

impl Extent {
    /// That of the log at `path`.
    ///
    /// # Errors
    /// When it cannot be opened, or is no log of QEMU.
    pub fn of(path: &Path) -> Result<Self, UnusableLog> {
        let mut log = open(path)?;
        if let Log::Panda(_) = log {
            return Err(UnusableLog::Panda { path: path.to_owned() });
        }
        let mut extent = Self::default();
        let mut ended = false;
        loop {
            match log.advance() {
                Ok(true) => {}
                Ok(false) => {
                    extent.cut = (!ended).then(|| NO_END.to_owned());
                    return Ok(extent);
                }
                Err(error) => {
                    extent.cut = Some(error.to_string());
                    return Ok(extent);
                }
            }
            let entry = log.entry();
            extent.instructions = entry.instructions;
            ended = entry.is_end();
            if let Event::Qemu(qemu::Event::CharWrite { result: ..0, .. }) = entry.event() {
                extent.refused += 1;
            }
        }
    }
}

/// What was not compared of two executions that do not differ, because a log
/// ends.
#[must_use]
pub fn not_compared(logs: &[Extent; 2], to: Option<u64>) -> Option<String> {
    let [a, b] = logs;
    if to.is_some_and(|to| to < a.instructions.min(b.instructions)) {
        return None;
    }
    let cut = |side, log: &Extent| {
        let cut = log.cut.as_ref()?;
        Some(format!(
            "the log of {side} is whole up to instruction {} only: {cut}",
            log.instructions
        ))
    };
    let shorter = || {
        let (short, long) =
            if a.instructions < b.instructions { (Side::A, b) } else { (Side::B, a) };
        let end = a.instructions.min(b.instructions);
        let end = format!(
            "the log of {short} ends at instruction {end}, the other's at {}",
            long.instructions
        );
        (a.instructions != b.instructions).then_some(end)
    };
    cut(Side::A, a).or_else(|| cut(Side::B, b)).or_else(shorter)
}

/// Where two logs differ first.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogDifference {
    /// The instruction count.
    pub instructions: u64,
    /// The entry of the first log in words; `None` where it ends.
    pub a: Option<String>,
    /// That of the second.
    pub b: Option<String>,
}

impl LogDifference {
    /// The first difference of two logs; `words` says an entry.
    ///
    /// # Errors
    /// When one cannot be opened.
    pub fn first(a: &Path, b: &Path, words: Words<'_>) -> Result<Option<Self>, UnusableLog> {
        let (summary, _) = diff::diff(&mut open(a)?, &mut open(b)?, words);
        Ok(summary.first.map(|first| Self {
            instructions: first.instructions,
            a: first.a,
            b: first.b,
        }))
    }
}

/// The entries of a log around an instruction, in words.
///
/// # Errors
/// When it cannot be opened.
pub fn entries_around(
    path: &Path,
    instruction: u64,
    words: Words<'_>,
) -> Result<Vec<String>, UnusableLog> {
    let mut behind: u64 = 0;
    let mut log = open(path)?;
    while log.advance().unwrap_or(false) && log.entry().instructions <= instruction {
        behind += 1;
    }
    let shown = behind.saturating_sub(BEFORE)..behind.saturating_add(BEHIND);
    let mut lines = Vec::new();
    let mut log = open(path)?;
    while log.advance().unwrap_or(false) && log.entry().index < shown.end {
        if shown.contains(&log.entry().index) {
            lines.push(words(&log.entry()));
        }
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_shorter_log_lacks_was_not_compared() {
        let whole = |instructions| Extent { instructions, ..Extent::default() };
        let cut = Extent { cut: Some("cut".into()), ..whole(7) };
        assert_eq!(not_compared(&[whole(9), whole(9)], None), None);
        let shorter = not_compared(&[whole(9), whole(7)], None).expect("one is shorter");
        assert_eq!(
            shorter,
            "the log of the second execution ends at instruction 7, the other's at 9"
        );
        assert_eq!(not_compared(&[whole(9), whole(7)], Some(6)), None);
        let cut = not_compared(&[cut, whole(9)], None).expect("one is cut");
        assert!(cut.contains("whole up to instruction 7 only: cut"), "{cut}");
    }
}
