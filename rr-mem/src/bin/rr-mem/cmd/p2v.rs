//! `rr-mem p2v`.

use rr_mem::{
    addr::{Gpa, Gva},
    mmu::{Alias, Aliases, SpaceLimits},
    report::AliasRow,
};

use super::{complain_about, size};
use crate::{
    cli::P2v,
    output::{Outcome, Output, note},
    source,
};

pub fn run(args: &P2v, output: &mut Output) -> anyhow::Result<Outcome> {
    let opened = source::open_paged(&args.source, output.verbose)?;
    let space = opened
        .guest
        .space(Gva(0)..=Gva(u64::MAX), SpaceLimits::default())
        .map_err(|missing| opened.lacks(missing))?;
    let aliases = space.aliases();
    let mut outcome = Outcome::Answered;
    for &gpa in &args.addresses {
        outcome = outcome.max(one(&aliases, Gpa(gpa), args.limit, output)?);
    }
    Ok(outcome.max(complain_about(&opened.guest, &space, output)?))
}

fn one(
    aliases: &Aliases<'_>,
    gpa: Gpa,
    limit: usize,
    output: &mut Output,
) -> anyhow::Result<Outcome> {
    let (found, more) = aliases.of(gpa, limit);
    for alias in &found {
        if output.json {
            output.row(&AliasRow::new(gpa, alias))?;
        } else {
            output.line(text(gpa, alias))?;
        }
    }
    if more {
        output.flush()?;
        note(format!("{gpa} has more aliases than the {limit} listed; raise --limit for all"));
    }
    if found.is_empty() {
        if output.json {
            output.row(&AliasRow::unmapped(gpa))?;
        } else {
            output.line(format_args!("{gpa} -> not mapped"))?;
        }
        return Ok(Outcome::Negative);
    }
    Ok(Outcome::Answered)
}

fn text(gpa: Gpa, alias: &Alias) -> String {
    let Alias { gva, count, stride, page_size, rights } = *alias;
    let times = match count {
        1 => String::new(),
        _ => format!("  {count} times, every {stride:#x}"),
    };
    format!("{gpa} -> {gva}  {}  {rights}{times}", size(page_size))
}
