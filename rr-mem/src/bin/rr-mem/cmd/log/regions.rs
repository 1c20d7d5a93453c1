//! `rr-mem log regions`.

use rr_mem::{
    replay::{
        Entry, Event,
        panda::{self, Call, RegionChange},
    },
    report::log::line::Escaped,
};
use serde::Serialize;

use super::{between, each, open};
use crate::{
    cli::log::Regions,
    output::{Outcome, Output},
};

/// A region that came or went.
#[derive(Clone, PartialEq, Eq, Serialize)]
struct Row {
    instr: u64,
    added: bool,
    start: String,
    size: String,
    region_kind: &'static str,
    name: String,
}

impl Row {
    fn of(entry: &Entry) -> Option<Self> {
        let Event::Panda(_, panda::Event::SkippedCall(Call::MemRegionChange(change))) =
            entry.event()
        else {
            return None;
        };
        let RegionChange { start, size, added, name, .. } = change;
        Some(Self {
            instr: entry.instructions,
            added,
            start: format!("{start:#x}"),
            size: format!("{size:#x}"),
            region_kind: change.kind_name(),
            name: name.escape_ascii().to_string(),
        })
    }

    fn is_same_region(&self, other: &Self) -> bool {
        (&self.start, &self.size, &self.name) == (&other.start, &other.size, &other.name)
    }
}

pub fn run(args: &Regions, output: &mut Output) -> anyhow::Result<Outcome> {
    let mut filter = between(None, args.at)?;
    let mut log = open(&args.file.log)?;
    let mut there: Vec<Row> = Vec::new();
    let mut found = false;
    let outcome = each(&args.file.log, &mut log, &mut filter, output, |entry, output| {
        let Some(row) = Row::of(entry) else { return Ok(()) };
        found = true;
        if args.at.is_none() {
            return show(&row, output);
        }
        // One that came and went again, or went and came again, is as it was.
        let undone = |other: &Row| other.is_same_region(&row) && other.added != row.added;
        match there.iter().rposition(undone) {
            Some(at) => drop(there.remove(at)),
            None => there.push(row),
        }
        Ok(())
    })?;
    for row in &there {
        show(row, output)?;
    }
    let empty = if found { Outcome::Answered } else { Outcome::Negative };
    Ok(outcome.max(empty))
}

fn show(row: &Row, output: &mut Output) -> anyhow::Result<()> {
    if output.json {
        return output.row(row);
    }
    let Row { instr, added, start, size, region_kind, name } = row;
    let sign = if *added { '+' } else { '-' };
    let name = Escaped(name.as_bytes());
    output.line(format_args!("{instr:>12} {sign} {start}+{size} {region_kind} {name}"))
}
