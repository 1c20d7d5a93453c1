//! `rr-mem log serial`.

use rr_mem::{
    replay::serial::{SerialBytes, SerialLines},
    report::log::SerialRow,
};

use super::{each, found_any, open};
use crate::{
    cli::log::Serial,
    output::{Outcome, Output},
};

pub fn run(args: &Serial, output: &mut Output) -> anyhow::Result<Outcome> {
    let mut filter = super::between(None, None)?;
    let mut log = open(&args.file.log)?;
    let mut lines = SerialLines::default();
    let mut found = false;
    let outcome = each(&args.file.log, &mut log, &mut filter, output, |entry, output| {
        let Some(sent) = SerialBytes::of(entry) else { return Ok(()) };
        found = true;
        if args.raw {
            return if sent.from_guest { output.write(sent.bytes()) } else { Ok(()) };
        }
        let whole = lines.add(entry.instructions, &sent);
        whole.into_iter().try_for_each(|line| output.answer(&SerialRow::from(line)))
    });
    if let Some(line) = lines.finish() {
        output.answer(&SerialRow::from(line))?;
    }
    Ok(outcome?.max(found_any(found)))
}
