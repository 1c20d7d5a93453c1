//! `rr-mem log regions`.

use rr_mem::report::log::{RegionChangeRow, RegionsAt};

use super::{between, each, found_any, open};
use crate::{
    cli::log::Regions,
    output::{Outcome, Output},
};

pub fn run(args: &Regions, output: &mut Output) -> anyhow::Result<Outcome> {
    let mut filter = between(None, args.at)?;
    let mut log = open(&args.file.log)?;
    let mut there = RegionsAt::default();
    let mut found = false;
    let outcome = each(&args.file.log, &mut log, &mut filter, output, |entry, output| {
        let Some(row) = RegionChangeRow::of(entry) else { return Ok(()) };
        found = true;
        if args.at.is_none() {
            return output.answer(&row);
        }
        there.add(row);
        Ok(())
    })?;
    there.rows().iter().try_for_each(|row| output.answer(row))?;
    Ok(outcome.max(found_any(found)))
}
