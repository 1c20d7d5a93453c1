//! `rr-mem ps`.

use std::collections::BTreeSet;

use rr_mem::{
    advice::Explain,
    report::PsRow,
    source::{SourceError, running},
};

use crate::{
    output::{Outcome, Output, hint, note, words},
    source::refused,
};

pub fn run(output: &mut Output) -> anyhow::Result<Outcome> {
    let emulators = running().map_err(|error| refused(error.into()))?;
    let mut outcome = None;
    let (mut hints, mut details) = (BTreeSet::new(), Vec::new());
    for emulator in &emulators {
        let unread = |error: SourceError| {
            details.extend(error.details().iter().map(|line| format!("{}: {line}", emulator.pid)));
            (error.to_string(), words(&error.advice()))
        };
        let Some(read) = emulator.read_if_running() else { continue };
        let row = PsRow::new(emulator, read.map_err(unread));
        outcome = outcome.max(Some(Outcome::Answered));
        if let Some(hint) = &row.hint {
            hints.insert(hint.clone());
            outcome = Some(Outcome::Unreadable);
        }
        output.answer(&row)?;
    }
    output.flush()?;
    details.iter().filter(|_| output.verbose).for_each(note);
    hints.iter().for_each(hint);
    Ok(outcome.unwrap_or(Outcome::Negative))
}
