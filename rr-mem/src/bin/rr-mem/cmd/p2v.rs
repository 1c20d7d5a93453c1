//! `rr-mem p2v`.

use rr_mem::{addr::Gpa, mmu::Aliases, report::AliasRow};

use super::complain_about;
use crate::{
    cli::P2v,
    output::{Outcome, Output, note},
    source,
};

pub fn run(args: &P2v, output: &mut Output) -> anyhow::Result<Outcome> {
    let opened = source::open_paged(&args.source, output)?;
    let space = source::space(&opened, output)?;
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
        output.answer(&AliasRow::new(gpa, alias))?;
    }
    if more {
        output.flush()?;
        note(format!("{gpa} has more aliases than the {limit} listed; raise --limit for all"));
    }
    if found.is_empty() {
        output.answer(&AliasRow::unmapped(gpa))?;
        return Ok(Outcome::Negative);
    }
    Ok(Outcome::Answered)
}
