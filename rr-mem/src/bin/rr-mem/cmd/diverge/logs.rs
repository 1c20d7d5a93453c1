//! What the logs of two executions say before either is run, in words.

use std::path::Path;

use rr_mem::{
    diverge::{LogDifference, UnusableLog, entries_around},
    report::{diverge::LogDifferenceRow, log::line::words},
};

use crate::output::{failed, note, usage};

/// Where two logs differ first.
pub fn difference(a: &Path, b: &Path) -> anyhow::Result<Option<LogDifference>> {
    LogDifference::first(a, b, &words).map_err(refuse)
}

/// Says what is known at once.
pub fn announce(different: Option<&LogDifference>) {
    let Some(different) = different.cloned().map(LogDifferenceRow::from) else {
        return note("the logs are the same");
    };
    let [a, b] = different.entries();
    note(format!("the logs differ at instruction {}:", different.instr));
    note(format!("A {a}"));
    note(format!("B {b}"));
}

/// The entries around an instruction.
pub fn around(path: &Path, instruction: u64) -> anyhow::Result<Vec<String>> {
    entries_around(path, instruction, &words).map_err(refuse)
}

pub fn refuse(error: UnusableLog) -> anyhow::Error {
    match &error {
        UnusableLog::NotOpened { source, .. } => failed(&error, source.advice()),
        _ => usage(&error, "give the rrfile of QEMU's -icount ...,rr=record"),
    }
}
