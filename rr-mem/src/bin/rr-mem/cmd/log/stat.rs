//! `rr-mem log stat`.

use rr_mem::{
    replay::{Ending, EventLog, Log, Reading, stat::Stat},
    report::log::StatRow,
};

use super::{each, open, say};
use crate::{
    cli::log,
    output::{Outcome, Output},
};

pub fn run(args: &log::Stat, output: &mut Output) -> anyhow::Result<Outcome> {
    let mut filter = args.filters.filter()?;
    let mut log = open(&args.file.log)?;
    let mut stat = Stat::default();
    let outcome = match filter.takes_all() {
        true => all(&mut log, &mut stat, output)?,
        false => each(&args.file.log, &mut log, &mut filter, output, |entry, _| {
            stat.add(entry);
            Ok(())
        })?,
    };
    output.answer(&StatRow::new(&log, &stat))?;
    Ok(outcome)
}

/// Counts every entry: what [`each`] looks for is in the numbers.
fn all(log: &mut Log, stat: &mut Stat, output: &mut Output) -> anyhow::Result<Outcome> {
    let error = loop {
        log.batch(|entry| {
            stat.add(entry);
            true
        });
        match log.next_entry() {
            Ok(Some(entry)) => stat.add(&entry),
            Ok(None) => break None,
            Err(error) => break Some(error),
        }
    };
    let (ended, entries) = (stat.ended, stat.entries());
    let ending = Ending { ended, entries, backwards: stat.first_backwards, last: stat.last };
    say(&Reading { ending: Some(ending), error }, log, output)
}
