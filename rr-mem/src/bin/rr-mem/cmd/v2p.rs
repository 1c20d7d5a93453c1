//! `rr-mem v2p`.

use std::io::{self, BufRead, BufReader};

use rr_mem::{
    addr::Gva,
    guest::Guest,
    mmu::{Access, AccessKind, Query},
    regs::Regs,
    report::V2pRow,
};

use serde::Serialize;

use super::naming::Names;
use crate::{
    cli::{self, Privilege, V2p},
    number::number,
    output::{Outcome, Output, usage},
    source,
};

/// An answer with the name of its address.
#[derive(Serialize)]
struct Named<'a> {
    #[serde(flatten)]
    row: &'a V2pRow,
    #[serde(skip_serializing_if = "Option::is_none")]
    symbol: Option<String>,
}

const HINT: &str = "addresses are hex with 0x, or decimal";

pub fn run(args: &V2p, output: &mut Output) -> anyhow::Result<Outcome> {
    // Wrong words are said before a large file is opened.
    for text in args.addresses.iter().filter(|text| *text != "-") {
        parse(text)?;
    }
    let opened = source::open_paged(&args.source, output.verbose)?;
    let guest = &opened.guest;
    let query = question(args, &opened.shape);
    let names = &Names::open(&args.naming, guest)?;
    let mut outcome = Outcome::Answered;
    for text in &args.addresses {
        if text == "-" {
            outcome = outcome.max(from_stdin(guest, query, names, output)?);
        } else {
            outcome = outcome.max(answer(guest, parse(text)?, query, names, output)?);
        }
    }
    Ok(outcome)
}

fn parse(text: &str) -> anyhow::Result<Gva> {
    number(text).map(Gva).map_err(|error| usage(error, HINT))
}

fn from_stdin(
    guest: &Guest,
    query: Query,
    names: &Names,
    output: &mut Output,
) -> anyhow::Result<Outcome> {
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
        outcome = outcome.max(answer(guest, gva, query, names, output)?);
        // Whoever writes one address and waits gets the answer.
        if stdin.buffer().is_empty() {
            output.flush()?;
        }
    }
    Ok(outcome)
}

fn question(args: &V2p, regs: &Regs) -> Query {
    if args.access.is_none() && args.privilege.is_none() {
        return Query::Presence;
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
    Query::Access(Access { kind, user })
}

fn answer(
    guest: &Guest,
    gva: Gva,
    query: Query,
    names: &Names,
    output: &mut Output,
) -> anyhow::Result<Outcome> {
    let row = V2pRow::new(guest, gva, query).map_err(|missing| usage(missing, missing.hint()))?;
    let outcome = match (&row.fault, &row.error) {
        (_, Some(_)) => Outcome::Unreadable,
        (Some(_), _) => Outcome::Negative,
        _ => Outcome::Answered,
    };
    let symbol = names.of(gva);
    if output.json {
        output.row(&Named { row: &row, symbol })?;
        return Ok(outcome);
    }
    if output.verbose {
        let mode = guest.mmu().map_or("", |mmu| mmu.mode());
        output.line(format_args!("{gva}  ({mode})"))?;
        row.steps.iter().try_for_each(|step| output.line(step))?;
    }
    text(&row, symbol.as_deref(), output)?;
    Ok(outcome)
}

fn text(row: &V2pRow, symbol: Option<&str>, output: &mut Output) -> anyhow::Result<()> {
    match symbol {
        Some(name) => output.line(format_args!("{row}  <{name}>"))?,
        None => output.line(row)?,
    }
    match &row.error {
        Some(error) => output.complain(format!("{}: {}", row.gva, error.text), &error.hint),
        None => Ok(()),
    }
}
