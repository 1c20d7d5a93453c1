//! `rr-mem slice`.

use rr_mem::{
    addr::{Gpa, Gva, Hex, PAGE, RangeSet},
    guest::slice::{Needed, Redacted, SliceContents, SliceError},
    image::save::FileFormat,
    memory::Memory,
    report::SliceRow,
};

use super::saving::{self, Target};
use crate::{
    cli::Slice,
    output::{Outcome, Output, usage},
    source::{self, Opened},
};

pub fn run(args: &Slice, output: &mut Output) -> anyhow::Result<Outcome> {
    let wanted = wanted(args)?;
    let opened = source::open(&args.source, output.verbose)?;
    let needed = opened.guest.needed(&wanted).map_err(|error| refuse(&error))?;
    let mut target = Target::new(&args.output)?;
    let (tables, asked) = (needed.tables.and(&opened.coverage.readable), &needed.data);
    let data = asked.and(&opened.coverage.readable);
    // Beside a table there is data, which redaction must not show.
    let whole = if args.redact { tables.clone() } else { whole_pages(&opened, &tables) };
    let memory = opened.guest.memory().map_err(source::lacks)?;
    let redacted = Redacted { memory, shown: &tables };
    let memory: &dyn Memory = if args.redact { &redacted } else { memory };
    let source = format!("rr-mem slice {}", env!("CARGO_PKG_VERSION"));
    let mut description = saving::describe(&opened, &source);
    description.redacted = args.redact;
    let others = if args.redact { &[][..] } else { &opened.core_notes };
    let notes = |holds: &RangeSet| saving::notes(&opened, &description, others, holds);
    let written =
        target.save(&FileFormat::Elf(description.arch, &notes), memory, &whole.or(&data))?;
    let row = SliceRow {
        table_pages: tables.and(&written).blocks(PAGE),
        data_pages: data.and(&written).blocks(PAGE),
        cpus: opened.cpus.len(),
        file_bytes: Hex(target.finish()?),
    };
    output.answer(&row)?;
    complain(&opened, &needed, &written, output)
}

fn wanted(args: &Slice) -> anyhow::Result<SliceContents> {
    if args.gva.is_empty() && args.gpa.is_empty() && !args.space {
        return Err(usage("nothing is asked for", "give --gva, --gpa or --space"));
    }
    Ok(SliceContents {
        gva: args.gva.iter().map(|range| Gva(*range.start())..=Gva(*range.end())).collect(),
        gpa: args.gpa.iter().map(|range| Gpa(*range.start())..=Gpa(*range.end())).collect(),
        space: args.space,
    })
}

fn refuse(error: &SliceError) -> anyhow::Error {
    match error {
        SliceError::Missing(missing) => source::lacks(*missing),
        SliceError::TooMany(..) => usage(error, "give smaller ranges, or --space for its tables"),
    }
}

/// Pages around `tables`, as far as the source has them.
fn whole_pages(opened: &Opened, tables: &RangeSet) -> RangeSet {
    tables.aligned(PAGE).and(&opened.coverage.readable)
}

/// Says what the slice cannot answer, because the source could not.
fn complain(
    opened: &Opened,
    needed: &Needed,
    written: &RangeSet,
    output: &mut Output,
) -> anyhow::Result<Outcome> {
    let mut outcome = Outcome::Answered;
    for range in &needed.unmapped {
        let what = format!("{} to {} is not mapped", range.start(), range.end());
        output.complain(what, "")?;
        outcome = Outcome::Negative;
    }
    if let Some(table) = needed.unreadable.first() {
        let source = opened.guest.explain(table.source.clone());
        let what = format!("what the {} entry at {} maps is not known", table.level, table.at);
        output.complain(format!("{what}: {source}"), source.advice())?;
        outcome = Outcome::Unreadable;
    }
    if needed.truncated {
        output.complain("the tables are larger than any kernel's: not all were read", "")?;
        outcome = Outcome::Unreadable;
    }
    let missing = needed.data.without(written);
    if let Some((first, _)) = missing.iter().next() {
        let error = opened.guest.read_physical(Gpa(first), &mut [0]).err();
        let why = error.as_ref().map_or(String::new(), |error| format!(": {error}"));
        let what = format!("{} of the pages asked for could not be had{why}", missing.blocks(PAGE));
        output.complain(what, error.as_ref().map(|error| error.advice()).unwrap_or_default())?;
        let lost = !missing.and(&saving::memory(opened)).is_empty();
        outcome = outcome.max(if lost { Outcome::Unreadable } else { Outcome::Negative });
    }
    Ok(outcome)
}
