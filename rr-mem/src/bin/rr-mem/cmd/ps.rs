//! `rr-mem ps`.

use std::collections::BTreeSet;

use rr_mem::{
    guest::emulator::Emulator,
    host::process::Process,
    qemu::{Machine, Offsets},
    report::PsRow,
};

use crate::{
    output::{Outcome, Output, hint},
    source::emulator::running,
};

pub fn run(output: &mut Output) -> anyhow::Result<Outcome> {
    let emulators = running()?;
    let mut outcome = if emulators.is_empty() { Outcome::Negative } else { Outcome::Answered };
    let mut hints = BTreeSet::new();
    for emulator in &emulators {
        let row = PsRow::new(emulator, read(emulator.pid));
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

/// The machine; or why it could not be read, and what to do.
fn read(pid: u32) -> Result<Machine, (String, String)> {
    let process =
        Process::open(pid).map_err(|error| (error.to_string(), error.hint().to_owned()))?;
    Emulator::attach(process.into(), &Offsets::default())
        .map(|emulator| emulator.machine)
        .map_err(|unread| (unread.to_string(), unread.error.hint().into()))
}
