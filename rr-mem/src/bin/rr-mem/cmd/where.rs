//! `rr-mem where`.

use rr_mem::{
    addr::{Gva, Hva},
    host::{Area, Host},
    mmu::Aliases,
    region::RegionMap,
    report::{AliasRow, WhereRow},
};

use super::{complain_about, size};
use crate::{
    cli::Where,
    output::{Outcome, Output},
    source::{
        Opened,
        emulator::{self, Emulator},
    },
};

pub fn run(args: &Where, output: &mut Output) -> anyhow::Result<Outcome> {
    let Emulator { host, machine, frozen: _frozen } =
        emulator::attach(&(&args.source.emulator).into(), output.verbose)?;
    let opened = emulator::guest(&args.source, &host, machine, output.verbose)?;
    let missing = |missing| opened.lacks(missing);
    let everything = Gva(0)..=Gva(u64::MAX);
    let space = opened.space(everything)?;
    let aliases = space.aliases();
    let map = opened.guest.regions().map_err(missing)?;
    let mut outcome = Outcome::Answered;
    for &address in &args.addresses {
        let found = one(&opened, map, host.areas(), &aliases, Hva(address), args.limit);
        if found.ram_block.is_none() {
            outcome = outcome.max(Outcome::Negative);
        }
        match output.json {
            true => output.row(&found)?,
            false => text(&found, host.knows_all_areas(), output)?,
        }
    }
    Ok(outcome.max(complain_about(&opened.guest, &space, output)?))
}

fn one(
    opened: &Opened,
    map: &RegionMap,
    areas: &[Area],
    aliases: &Aliases<'_>,
    hva: Hva,
    limit: usize,
) -> WhereRow {
    let view = opened.guest.flat_view().ok();
    let mut row = WhereRow::new(map, view, areas, hva);
    for place in &mut row.places {
        let (found, more) = aliases.of(place.gpa, limit);
        place.gvas = found.iter().map(|alias| AliasRow::new(place.gpa, alias)).collect();
        place.more = more;
    }
    row
}

fn text(row: &WhereRow, all_known: bool, output: &mut Output) -> anyhow::Result<()> {
    let hva = row.hva;
    let Some((block, offset)) = row.ram_block.as_ref().zip(row.offset_in_block) else {
        let area = match row.area.as_deref() {
            None if all_known => "not mapped in the emulator".into(),
            None => "not in the core, no guest RAM".into(),
            Some("") => "anonymous memory of the emulator, no guest RAM".into(),
            Some(name) => format!("{name}, no guest RAM"),
        };
        return output.line(format_args!("{hva} -> {area}"));
    };
    output.line(format_args!("{hva} -> RAM block {block}+{offset:#x}"))?;
    for place in &row.places {
        output.line(format_args!("  {}  {}+{:#x}", place.gpa, place.region, place.offset))?;
        for alias in &place.gvas {
            output.line(alias_text(alias))?;
        }
        if place.more {
            output.line("    and more (raise --limit)")?;
        }
    }
    Ok(())
}

fn alias_text(alias: &AliasRow) -> String {
    let times = match alias.count {
        1 => String::new(),
        count => format!("  {count} times, every {:#x}", alias.stride),
    };
    let gva = alias.gva.map_or("unknown".into(), |gva| gva.to_string());
    let page = alias.page_size.map_or(String::new(), |bytes| format!("  {}", size(bytes)));
    format!("    {gva}{page}{times}")
}
