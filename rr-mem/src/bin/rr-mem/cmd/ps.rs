//! `rr-mem ps`.

use std::collections::BTreeSet;

use rr_mem::{
    advice::Explain,
    report::PsRow,
    source::{SourceError, running},
};

use crate::output::{Outcome, Output, failed, hint, words};

pub fn run(output: &mut Output) -> anyhow::Result<Outcome> {
    let emulators =
        running().map_err(|error| failed(format!("/proc: {error}"), "check that it is mounted"))?;
    let mut outcome = if emulators.is_empty() { Outcome::Negative } else { Outcome::Answered };
    let mut hints = BTreeSet::new();
    for emulator in &emulators {
        let unread = |error: SourceError| (error.to_string(), words(&error.advice()));
        let row = PsRow::new(emulator, emulator.read().map_err(unread));
        if let Some(hint) = &row.hint {
            hints.insert(hint.clone());
            outcome = outcome.max(Outcome::Unreadable);
        }
        output.answer(&row)?;
    }
    output.flush()?;
    hints.iter().for_each(hint);
    Ok(outcome)
}
