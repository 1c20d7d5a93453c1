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
    let mut outcome = if emulators.is_empty() { Outcome::Negative } else { Outcome::Answered };
    let (mut hints, mut details) = (BTreeSet::new(), Vec::new());
    for emulator in &emulators {
        let unread = |error: SourceError| {
            details.extend(error.details().iter().map(|line| format!("{}: {line}", emulator.pid)));
            (error.to_string(), words(&error.advice()))
        };
        let row = PsRow::new(emulator, emulator.read().map_err(unread));
        if let Some(hint) = &row.hint {
            hints.insert(hint.clone());
            outcome = outcome.max(Outcome::Unreadable);
        }
        output.answer(&row)?;
    }
    output.flush()?;
    details.iter().filter(|_| output.verbose).for_each(note);
    hints.iter().for_each(hint);
    Ok(outcome)
}
