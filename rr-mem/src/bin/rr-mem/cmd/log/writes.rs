//! `rr-mem log writes`.

use rr_mem::{
    replay::Entry,
    report::log::{
        LogRow,
        line::{Data, line},
        places::{self, Touched},
    },
};

use super::{between, each, found_any, open, places::Regions};
use crate::{
    cli::log::Writes,
    output::{Outcome, Output, note},
};

pub fn run(args: &Writes, output: &mut Output) -> anyhow::Result<Outcome> {
    let mut filter = between(args.from, args.to)?;
    let mut log = open(&args.file.log)?;
    let regions = Regions::of(&args.source, output)?;
    let mut found = false;
    let mut doubtful = false;
    let outcome = each(&args.file.log, &mut log, &mut filter, output, |entry, output| {
        let touched = Touched::by(entry, regions.guest()).filter(|touched| touched.written);
        let Some(touched) = touched else { return Ok(()) };
        if args.gpa.as_ref().is_some_and(|gpa| !touched.meets(gpa)) {
            return Ok(());
        }
        found = true;
        doubtful |= touched.doubtful;
        show(args, entry, regions.words(entry), output)
    })?;
    if doubtful && !regions.is_given() {
        note("CPU_MEM_UNMAP logs offsets within a region; --mtree or --pid shows which it can be");
    }
    Ok(outcome.max(found_any(found)))
}

fn show(
    args: &Writes,
    entry: &Entry,
    places: Vec<String>,
    output: &mut Output,
) -> anyhow::Result<()> {
    if output.json {
        return output.row(&LogRow::from(entry).at(places));
    }
    let mut text = Vec::new();
    line(&mut text, entry, Data { hex: args.hex, ascii: args.ascii });
    places::append(&mut text, &places);
    output.line(String::from_utf8_lossy(&text))
}
