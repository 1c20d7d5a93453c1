//! `rr-mem where`.

use rr_mem::{addr::Hva, mmu::VirtualSpace, report::WhereRow};

use super::complain_about;
use crate::{
    cli::Where,
    output::{Outcome, Output, note},
    source::{self, emulator},
};

pub fn run(args: &Where, output: &mut Output) -> anyhow::Result<Outcome> {
    let opened = source::open_emulator(&args.source, output)?;
    let host = &emulator(&opened.source)?.host;
    let space = match opened.guest.mmu() {
        Ok(_) => Some(source::space(&opened, output)?),
        Err(missing) => {
            note(format!("{missing}: guest virtual addresses are left out"));
            None
        }
    };
    let aliases = space.as_ref().map(VirtualSpace::aliases);
    let map = opened.guest.regions().map_err(source::lacks)?;
    let view = opened.guest.flat_view().ok();
    let mut outcome = Outcome::Answered;
    for &address in &args.addresses {
        let row = WhereRow::new(map, view, host, Hva(address));
        let found = match &aliases {
            Some(aliases) => row.with_aliases(aliases, args.limit),
            None => row,
        };
        if found.ram_block.is_none() {
            outcome = outcome.max(Outcome::Negative);
        }
        match output.json {
            true => output.row(&found)?,
            false => text(&found, output)?,
        }
    }
    match &space {
        Some(space) => Ok(outcome.max(complain_about(&opened.guest, space, output)?)),
        None => Ok(outcome),
    }
}

fn text(row: &WhereRow, output: &mut Output) -> anyhow::Result<()> {
    output.line(row)?;
    for place in &row.places {
        output.line(place)?;
        if place.more {
            output.line("    and more (raise --limit)")?;
        }
    }
    Ok(())
}
