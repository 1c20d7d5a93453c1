//! `rr-mem pt`.

use rr_mem::{
    addr::{Gpa, Gva},
    guest::Guest,
    mmu::{Mapping, Merge, Query, VirtualSpace},
    report::{
        MappingRow,
        filter::{Filter, Selection},
        tlb,
    },
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
    let opened = source::open_paged(&args.source, output)?;
    let guest = &opened.guest;
    let range = args.range.clone().unwrap_or(0..=u64::MAX);
    let range = Gva(*range.start())..=Gva(*range.end());
    let wanted = Selection::of(guest, filter, range.clone(), args.has.map(Gpa));
    let wanted = wanted.map_err(source::lacks)?;
    let space = source::space_within(&opened, range, output)?;
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

fn list(
    args: &Pt,
    guest: &Guest,
    space: &VirtualSpace,
    wanted: &Selection,
    output: &mut Output,
) -> anyhow::Result<Outcome> {
    let merge = if args.no_merge || args.tlb { Merge::None } else { Merge::Rights };
    let mut outcome = Outcome::Negative;
    for mapping in space.mappings(wanted.merge(merge)) {
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
            let style = row.rights.map(style_of).unwrap_or_default();
            output.line(row.painted(format_args!("{style}"), format_args!("{style:#}")))?;
        }
    }
    Ok(outcome)
}

fn tlb_line(guest: &Guest, page: &Mapping, output: &mut Output) -> anyhow::Result<()> {
    let walk = guest.walk(page.gva, Query::Presence).map_err(source::lacks)?;
    let mmu = guest.mmu().map_err(source::lacks)?;
    let flags = walk.steps.last().map(|step| mmu.flags(step)).unwrap_or_default();
    match tlb::line(page.gva, &walk, &flags) {
        Some(line) => output.line(line),
        None => Ok(()),
    }
}
