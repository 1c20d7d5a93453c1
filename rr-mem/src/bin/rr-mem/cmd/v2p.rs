//! `rr-mem v2p`.

use std::io::{self, BufRead, BufReader};

use rr_mem::{
    addr::Gva,
    guest::Guest,
    mmu::{Access, AccessKind, Ask},
    regs::Regs,
    report::{RightsRow, RwxRow, StepRow, V2pRow},
};

use super::{place, size};
use crate::{
    cli::{self, Privilege, V2p},
    number::number,
    output::{Outcome, Output, usage},
    source,
};

const HINT: &str = "addresses are hex with 0x, or decimal";

pub fn run(args: &V2p, output: &mut Output) -> anyhow::Result<Outcome> {
    // Wrong words are said before a large file is opened.
    for text in args.addresses.iter().filter(|text| *text != "-") {
        parse(text)?;
    }
    let opened = source::open_paged(&args.source, output.verbose)?;
    let guest = &opened.guest;
    let ask = question(args, &opened.shape);
    let mut outcome = Outcome::Answered;
    for text in &args.addresses {
        if text == "-" {
            outcome = outcome.max(from_stdin(guest, ask, output)?);
        } else {
            outcome = outcome.max(answer(guest, parse(text)?, ask, output)?);
        }
    }
    Ok(outcome)
}

fn parse(text: &str) -> anyhow::Result<Gva> {
    number(text).map(Gva).map_err(|error| usage(error, HINT))
}

fn from_stdin(guest: &Guest, ask: Ask, output: &mut Output) -> anyhow::Result<Outcome> {
    let mut outcome = Outcome::Answered;
    let mut stdin = BufReader::new(io::stdin().lock());
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        if stdin.read_until(b'\n', &mut line)? == 0 {
            break;
        }
        let text = String::from_utf8_lossy(&line);
        if text.trim().is_empty() {
            continue;
        }
        let Ok(gva) = parse(text.trim()) else {
            // What was asked before it is answered.
            output.flush()?;
            let what = format!("line {number} of standard input is no address: {:?}", text.trim());
            return Err(usage(what, HINT));
        };
        outcome = outcome.max(answer(guest, gva, ask, output)?);
        // Whoever writes one address and waits gets the answer.
        if stdin.buffer().is_empty() {
            output.flush()?;
        }
    }
    Ok(outcome)
}

fn question(args: &V2p, regs: &Regs) -> Ask {
    if args.access.is_none() && args.privilege.is_none() {
        return Ask::Presence;
    }
    let kind = match args.access {
        None | Some(cli::AccessKind::R) => AccessKind::Read,
        Some(cli::AccessKind::W) => AccessKind::Write,
        Some(cli::AccessKind::X) => AccessKind::Execute,
    };
    let user = match args.privilege {
        Some(Privilege::User) => true,
        Some(Privilege::Kernel) => false,
        None | Some(Privilege::Current) => regs.in_user_mode(),
    };
    Ask::Access(Access { kind, user })
}

fn answer(guest: &Guest, gva: Gva, ask: Ask, output: &mut Output) -> anyhow::Result<Outcome> {
    let row = V2pRow::new(guest, gva, ask).map_err(|missing| usage(missing, missing.hint()))?;
    let outcome = match (&row.fault, &row.error) {
        (_, Some(_)) => Outcome::Unreadable,
        (Some(_), _) => Outcome::Negative,
        _ => Outcome::Answered,
    };
    if output.json {
        output.row(&row)?;
        return Ok(outcome);
    }
    if output.verbose {
        let mode = guest.mmu().map_or("", |mmu| mmu.mode());
        output.line(format_args!("{gva}  ({mode})"))?;
        steps(&row.steps, output)?;
    }
    text(guest, &row, output)?;
    Ok(outcome)
}

/// The walk in the manner of crash's vtop: entry address => raw value.
fn steps(steps: &[StepRow], output: &mut Output) -> anyhow::Result<()> {
    for step in steps {
        let StepRow { level, index, at, entry, .. } = step;
        let host = step.host.map_or(String::new(), |host| format!(" (host {host})"));
        let flags = step.flags.join("|");
        output
            .line(format_args!("{level:>13}: {at:x}{host} => {entry:x}  [{index}]  ({flags})"))?;
    }
    Ok(())
}

fn text(guest: &Guest, row: &V2pRow, output: &mut Output) -> anyhow::Result<()> {
    let V2pRow { gva, .. } = row;
    if let Some(error) = &row.error {
        output.line(format_args!("{gva} -> unknown"))?;
        return output.complain(format!("{gva}: {}", error.text), &error.hint);
    }
    if let Some(fault) = &row.fault {
        let head = match (fault.status, guest.regs()) {
            (Some(code), Some(Regs::X86(_))) => format!("#PF, error code {code:#x}"),
            (Some(code), _) => format!("fault, status {code:#x}"),
            (None, _) => "not mapped".into(),
        };
        return output.line(format_args!("{gva} -> {head}: {}", fault.text));
    }
    let (Some(gpa), Some(page), Some(rights)) = (row.gpa, row.page_size, row.rights) else {
        return Ok(());
    };
    let place = place(row.region.as_deref(), row.offset);
    let host = row.host.map_or(String::new(), |host| format!("  host {host}"));
    let rights = rights_text(rights);
    output.line(format_args!("{gva} -> {gpa}  {}  {rights}{place}{host}", size(page)))
}

fn rights_text(rights: RightsRow) -> String {
    let rwx = |RwxRow { r, w, x }: RwxRow| -> String {
        [(r, 'r'), (w, 'w'), (x, 'x')]
            .map(|(set, letter)| if set { letter } else { '-' })
            .iter()
            .collect()
    };
    format!("kernel {} user {}", rwx(rights.kernel), rwx(rights.user))
}
