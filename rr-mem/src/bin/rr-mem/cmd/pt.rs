//! `rr-mem pt`.

use std::ops::RangeInclusive;

use rr_mem::{
    addr::{Gpa, Gva},
    guest::Guest,
    mmu::{Mapping, Merge, Query, VirtualSpace},
    report::{MappingRow, filter::Filter, tlb},
};

use super::complain_about;
use crate::{
    cli::Pt,
    output::{Outcome, Output, style_of, usage},
    source,
};

mod search;

pub fn run(args: &Pt, output: &mut Output) -> anyhow::Result<Outcome> {
    let filter = Filter::parse(&args.filter)
        .map_err(|error| usage(error, "see `rr-mem pt --help` for the filters"))?;
    let opened = source::open_paged(&args.source, output.verbose)?;
    let guest = &opened.guest;
    let granule = guest.mmu().map_err(|missing| opened.lacks(missing))?.granule();
    let wanted = Wanted { filter, granule, range: args.range.clone(), has: args.has.map(Gpa) };
    let space = opened.space(wanted.first()..=wanted.last())?;
    let outcome = if let Some(needle) = needle(args) {
        search::run(&opened, &space, &wanted, needle, output)?
    } else {
        list(args, guest, &space, &wanted, output)?
    };
    Ok(outcome.max(complain_about(guest, &space, output)?))
}

fn needle(args: &Pt) -> Option<&[u8]> {
    let text = args.find_string.as_ref().map(|text| text.as_bytes());
    text.or(args.find_bytes.as_ref().map(|bytes| &bytes.0[..]))
}

/// Which mappings are asked for.
struct Wanted {
    filter: Filter,
    granule: u64,
    range: Option<RangeInclusive<u64>>,
    has: Option<Gpa>,
}

impl Wanted {
    fn first(&self) -> Gva {
        self.range.as_ref().map_or(Gva(0), |range| Gva(*range.start()))
    }

    fn last(&self) -> Gva {
        self.range.as_ref().map_or(Gva(u64::MAX), |range| Gva(*range.end()))
    }

    /// The part of `mapping` that is asked for.
    fn part(&self, mapping: &Mapping) -> Option<Mapping> {
        let part = mapping.clipped(self.first(), self.last())?;
        let has = self.has.is_none_or(|gpa| part.maps(gpa));
        (has && self.filter.accepts(&part, self.granule)).then_some(part)
    }

    /// Merging by rights loses page sizes and physical addresses.
    fn needs_pages(&self) -> bool {
        self.has.is_some() || self.filter.asks_for_sizes()
    }
}

fn list(
    args: &Pt,
    guest: &Guest,
    space: &VirtualSpace,
    wanted: &Wanted,
    output: &mut Output,
) -> anyhow::Result<Outcome> {
    let merge = match (args.no_merge || args.tlb, wanted.needs_pages()) {
        (true, _) => Merge::None,
        (false, true) => Merge::Physical,
        (false, false) => Merge::Rights,
    };
    let mut outcome = Outcome::Negative;
    for mapping in space.mappings(merge) {
        let Some(part) = wanted.part(&mapping) else { continue };
        outcome = Outcome::Answered;
        if args.tlb {
            tlb_line(guest, &part, output)?;
            continue;
        }
        let row = MappingRow::from(&part);
        if output.json {
            output.row(&row)?;
        } else {
            let style = style_of(row.rights);
            output.line(row.painted(format_args!("{style}"), format_args!("{style:#}")))?;
        }
    }
    Ok(outcome)
}

fn tlb_line(guest: &Guest, page: &Mapping, output: &mut Output) -> anyhow::Result<()> {
    let missing = |missing: rr_mem::guest::Missing| usage(missing, missing.hint());
    let walk = guest.walk(page.gva, Query::Presence).map_err(missing)?;
    let mmu = guest.mmu().map_err(missing)?;
    let flags = walk.steps.last().map(|step| mmu.flags(step)).unwrap_or_default();
    match tlb::line(page.gva, &walk, &flags) {
        Some(line) => output.line(line),
        None => Ok(()),
    }
}
