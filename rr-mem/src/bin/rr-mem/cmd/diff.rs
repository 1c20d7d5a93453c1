//! `rr-mem diff`.

use std::{
    ops::{ControlFlow, RangeInclusive},
    path::Path,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use rr_mem::{
    addr::{Gva, PAGE, RangeSet},
    changes::{self, ChangedBytes},
    guest::diff,
    mmu::VirtualSpace,
    report::{MappingChange, MemoryChange, PageChange, diff::DiffRow, filter::Filter},
};

use super::complain_about;
use crate::{
    cli::{Diff, DiffOnly, Emulator, Source},
    output::{Outcome, Output, Progress, note, usage},
    source::{self, Opened},
};

/// What is asked for.
struct Wanted<'a> {
    args: &'a Diff,
    filter: Filter,
    range: RangeInclusive<Gva>,
}

pub fn run(args: &Diff, output: &mut Output) -> anyhow::Result<Outcome> {
    let filter = Filter::parse(&args.filter)
        .map_err(|error| usage(error, "see `rr-mem pt --help` for the filters"))?;
    let whole = 0..=u64::MAX;
    let range = args.range.clone().unwrap_or(whole);
    let wanted = Wanted { args, filter, range: Gva(*range.start())..=Gva(*range.end()) };
    let before = source::open(&older(args), output)?;
    let after = source::open(&newer(args)?, output)?;
    let mut outcome = Outcome::Answered;
    if args.only.is_none() {
        outcome = outcome.max(registers(&before, &after, output)?);
    }
    let spaces = match (before.guest.mmu(), after.guest.mmu()) {
        (Ok(_), Ok(_)) => Some((source::space(&before, output)?, source::space(&after, output)?)),
        _ if args.only == Some(DiffOnly::Tables) => {
            source::paged(before)?;
            source::paged(after)?;
            return Ok(outcome);
        }
        (Err(missing), _) | (_, Err(missing)) => {
            note(format_args!("{missing}: tables are not compared"));
            None
        }
    };
    if args.only != Some(DiffOnly::Tables) {
        let space = spaces.as_ref().map(|(_, after)| after);
        outcome = outcome.max(memory(&wanted, &before, &after, space, output)?);
    }
    if let Some((old, new)) = spaces.filter(|_| args.only != Some(DiffOnly::Memory)) {
        wanted.filter.answered_by(&after.guest).map_err(source::lacks)?;
        outcome = outcome.max(tables(&wanted, &after, &old, &new, output)?);
        outcome = outcome.max(complain_about(&before.guest, &old, output)?);
        outcome = outcome.max(complain_about(&after.guest, &new, output)?);
    }
    Ok(outcome)
}

/// The source of the older moment. Registers and regions that were given for the newer one count
/// for it too.
fn older(args: &Diff) -> Source {
    image(&args.before, args)
}

fn newer(args: &Diff) -> anyhow::Result<Source> {
    let named = args.source.image.is_some() || source::is_emulator(&args.source.emulator);
    match &args.after {
        Some(_) if named => {
            Err(usage("there are three sources", "give two files, or one and --pid"))
        }
        Some(path) => Ok(image(path, args)),
        None if named => Ok(args.source.clone()),
        None => Err(usage("there is nothing to compare with", "give a second file, or --pid")),
    }
}

fn image(path: &Path, args: &Diff) -> Source {
    Source { image: Some(path.to_owned()), emulator: Emulator::default(), ..args.source.clone() }
}

fn show(row: &DiffRow, output: &mut Output) -> anyhow::Result<()> {
    if output.json { output.row(row) } else { output.line(row) }
}

fn registers(before: &Opened, after: &Opened, output: &mut Output) -> anyhow::Result<Outcome> {
    let changed = changes::registers(before, after);
    for change in &changed {
        show(&DiffRow::Register(change.into()), output)?;
    }
    Ok(outcome(changed.is_empty()))
}

/// That something differs is an answer.
const fn outcome(same: bool) -> Outcome {
    if same { Outcome::Answered } else { Outcome::Negative }
}

fn memory(
    wanted: &Wanted<'_>,
    before: &Opened,
    after: &Opened,
    space: Option<&VirtualSpace>,
    output: &mut Output,
) -> anyhow::Result<Outcome> {
    let asked = wanted.physical();
    let ranges = changes::ranges(before, after, &asked);
    let rows = MemoryChange::of(&ranges);
    let mut found = outcome(rows.is_empty());
    rows.into_iter().try_for_each(|row| show(&DiffRow::Memory(row), output))?;
    let changes = compare(before, after, &asked)?;
    let aliases = space.map(VirtualSpace::aliases);
    for page in &changes.pages {
        let row = PageChange::new(&after.guest, page, aliases.as_ref(), wanted.args.limit);
        show(&DiffRow::Page(row), output)?;
        found = Outcome::Negative;
    }
    if !changes.lost.is_empty() {
        let error = changes.why.as_ref();
        let why = error.map_or(String::new(), |error| format!(": {error}"));
        let hint = error.map(|error| error.advice()).unwrap_or_default();
        let pages = changes.lost.blocks(PAGE);
        output.complain(format!("{pages} pages could not be compared{why}"), hint)?;
        found = Outcome::Unreadable;
    }
    Ok(found)
}

fn compare(before: &Opened, after: &Opened, asked: &RangeSet) -> anyhow::Result<ChangedBytes> {
    let done = AtomicU64::new(0);
    let progress = Mutex::new(Progress::new("comparing"));
    let count = |bytes: u64| {
        let bytes = done.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if let Ok(mut progress) = progress.try_lock() {
            progress.set(bytes);
        }
    };
    changes::bytes(before, after, asked, &count).map_err(source::lacks)
}

impl Wanted<'_> {
    /// The physical addresses that are asked for.
    fn physical(&self) -> RangeSet {
        match &self.args.gpa[..] {
            [] => std::iter::once(0..=u64::MAX).collect(),
            ranges => ranges.iter().cloned().collect(),
        }
    }
}

fn tables(
    wanted: &Wanted<'_>,
    after: &Opened,
    old: &VirtualSpace,
    new: &VirtualSpace,
    output: &mut Output,
) -> anyhow::Result<Outcome> {
    let granule = after.guest.mmu().map_err(source::lacks)?.granule();
    let mut outcome = Outcome::Answered;
    let mut failed = None;
    let _ = diff::mappings(old, new, wanted.range.clone(), |changed| {
        if !wanted.filter.accepts_change(changed, granule) {
            return ControlFlow::Continue(());
        }
        outcome = Outcome::Negative;
        match show(&DiffRow::Mapping(MappingChange::from(changed)), output) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                failed = Some(error);
                ControlFlow::Break(())
            }
        }
    });
    failed.map_or(Ok(outcome), Err)
}
