//! `rr-mem diff`.

use std::{
    ops::{ControlFlow, RangeInclusive},
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
};

use rr_mem::{
    addr::{Gpa, Gva, Hex, PAGE, RangeSet},
    guest::diff::{self, ChangedMapping},
    mmu::VirtualSpace,
    report::{
        MappingChange, MemoryChange, PageChange, RegisterChange, diff::DiffRow, filter::Filter,
    },
};

use super::{complain_about, saving};
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
    let before = source::open(&older(args), output.verbose)?;
    let after = source::open(&newer(args)?, output.verbose)?;
    let mut outcome = Outcome::Answered;
    if args.only.is_none() {
        outcome = outcome.max(registers(&before, &after, output)?);
    }
    let spaces = match (before.guest.mmu(), after.guest.mmu()) {
        (Ok(_), Ok(_)) => Some((source::space(&before)?, source::space(&after)?)),
        _ if args.only == Some(DiffOnly::Tables) => {
            source::open_paged(&older(args), false)?;
            source::open_paged(&newer(args)?, false)?;
            None
        }
        _ => {
            note("registers are not known: tables are not compared");
            None
        }
    };
    if args.only != Some(DiffOnly::Tables) {
        let space = spaces.as_ref().map(|(_, after)| after);
        outcome = outcome.max(memory(&wanted, &before, &after, space, output)?);
    }
    if let Some((old, new)) = spaces.filter(|_| args.only != Some(DiffOnly::Memory)) {
        outcome = outcome.max(tables(&wanted, &after, &old, &new, output)?);
        outcome = outcome.max(complain_about(&before.guest, &old, output)?);
        outcome = outcome.max(complain_about(&after.guest, &new, output)?);
    }
    Ok(outcome)
}

/// The source of the older moment: the newer's registers and regions count for
/// it too.
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
    let mut outcome = Outcome::Answered;
    for (number, now) in &after.cpus {
        let Some((_, was)) = before.cpus.iter().find(|(old, _)| old == number) else { continue };
        let known = was.known.and(now.known);
        for ((register, was), (same, now)) in was.regs.named().into_iter().zip(now.regs.named()) {
            if register == same && was != now && known.contains(register) {
                let register = register.keyword();
                let change =
                    RegisterChange { cpu: *number, register, before: Hex(was), after: Hex(now) };
                show(&DiffRow::Register(change), output)?;
                outcome = Outcome::Negative;
            }
        }
    }
    Ok(outcome)
}

fn memory(
    wanted: &Wanted<'_>,
    before: &Opened,
    after: &Opened,
    space: Option<&VirtualSpace>,
    output: &mut Output,
) -> anyhow::Result<Outcome> {
    let asked = wanted.physical();
    let (old, new) = (saving::memory(before).and(&asked), saving::memory(after).and(&asked));
    let mut outcome = one_sided(&old.without(&new), "removed", output)?;
    outcome = outcome.max(one_sided(&new.without(&old), "added", output)?);
    let both = old.and(&new);
    let readable = both.and(&before.coverage.readable).and(&after.coverage.readable);
    let changes = compare(before, after, &readable)?;
    let aliases = space.map(VirtualSpace::aliases);
    for page in &changes.pages {
        let limit = wanted.args.limit;
        let (gvas, more) =
            aliases.as_ref().map(|aliases| aliases.of(page.gpa, limit)).unwrap_or_default();
        let row = PageChange::new(&after.guest, page, &gvas, more);
        show(&DiffRow::Page(row), output)?;
        outcome = Outcome::Negative;
    }
    let lost = both.without(&readable).or(&changes.unread);
    if let Some((first, _)) = lost.iter().next() {
        let pages = lost.blocks(PAGE);
        let error = [before, after]
            .iter()
            .find_map(|side| side.guest.read_physical(Gpa(first), &mut [0]).err());
        let why = error.as_ref().map_or(String::new(), |error| format!(": {error}"));
        let hint = error.as_ref().map(|error| error.advice()).unwrap_or_default();
        output.complain(format!("{pages} pages could not be compared{why}"), hint)?;
        outcome = Outcome::Unreadable;
    }
    Ok(outcome)
}

fn compare(before: &Opened, after: &Opened, ranges: &RangeSet) -> anyhow::Result<diff::Changes> {
    let old = before.guest.memory().map_err(source::lacks)?;
    let new = after.guest.memory().map_err(source::lacks)?;
    let done = AtomicU64::new(0);
    let progress = std::sync::Mutex::new(Progress::new("comparing"));
    let count = |bytes: u64| {
        let bytes = done.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if let Ok(mut progress) = progress.try_lock() {
            progress.set(bytes);
        }
    };
    Ok(diff::pages(&**old, &**new, ranges, &count))
}

fn one_sided(
    ranges: &RangeSet,
    change: &'static str,
    output: &mut Output,
) -> anyhow::Result<Outcome> {
    for (first, last) in ranges.iter() {
        let row = MemoryChange { gpa: Gpa(first), last: Gpa(last), change };
        show(&DiffRow::Memory(row), output)?;
    }
    Ok(if ranges.is_empty() { Outcome::Answered } else { Outcome::Negative })
}

impl Wanted<'_> {
    /// The physical addresses that are asked for.
    fn physical(&self) -> RangeSet {
        match &self.args.gpa[..] {
            [] => std::iter::once(0..=u64::MAX).collect(),
            ranges => ranges.iter().cloned().collect(),
        }
    }

    fn accepts(&self, changed: &ChangedMapping, granule: u64) -> bool {
        let sides = changed.before.iter().chain(&changed.after);
        sides.into_iter().any(|side| self.filter.accepts(side, granule))
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
        if !wanted.accepts(changed, granule) {
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
