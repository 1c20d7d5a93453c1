//! `rr-mem find`.

use rr_mem::{addr::Gpa, report::FindRow};

use crate::{
    cli::Find,
    output::{Outcome, Output},
    source,
};

pub fn run(args: &Find, output: &mut Output) -> anyhow::Result<Outcome> {
    let opened = source::open(&args.source, output.verbose)?;
    let mut outcome = Outcome::Answered;
    for &gpa in &args.addresses {
        let gpa = Gpa(gpa);
        let found = opened.guest.find(gpa, args.size).map_err(|missing| opened.lacks(missing))?;
        let row = FindRow::new(&opened.guest, gpa, found.as_ref());
        if found.is_none() {
            outcome = Outcome::Negative;
        }
        if output.json {
            output.row(&row)?;
        } else {
            output.line(text(&row))?;
        }
    }
    Ok(outcome)
}

fn text(row: &FindRow) -> String {
    let FindRow { gpa, region: Some(region), .. } = row else {
        return format!("{} -> no region", row.gpa);
    };
    let hex = |value: Option<u64>| value.map_or("unknown".into(), |value| format!("{value:#x}"));
    let yes = |value: Option<bool>| if value == Some(true) { "yes" } else { "no" };
    let host = row.host.map_or(String::new(), |host| format!("  host {host}"));
    format!(
        "{gpa} -> {region}  offset_within_region {}  offset_within_address_space {}  size {:#x}  readonly {}  nonvolatile {}{host}",
        hex(row.offset_within_region),
        hex(row.offset_within_address_space),
        row.size.unwrap_or_default(),
        yes(row.readonly),
        yes(row.nonvolatile),
    )
}
