//! `rr-mem v2p`.

use std::io::{self, BufRead, BufReader};

use rr_mem::{
    addr::Gva,
    mmu::Query,
    report::{IfAsked, RemarkRow, V2pRow},
};

use super::naming::Names;
use crate::{
    cli::V2p,
    face::CommandLine,
    number::number,
    output::{Outcome, Output, note_with, usage},
    source::{self, Opened},
};

const HINT: &str = "addresses are hex with 0x, or decimal";

pub fn run(args: &V2p, output: &mut Output) -> anyhow::Result<Outcome> {
    // Wrong words are said before a large file is opened.
    for text in args.addresses.iter().filter(|text| *text != "-") {
        parse(text)?;
    }
    let opened = source::open_for_rows(&args.source, output)?;
    let guest = &opened.guest;
    let query = Query::new(args.access, args.privilege, &opened.cpu.regs);
    let names = &Names::open(&args.naming, guest)?;
    let mut outcome = Outcome::Answered;
    for text in &args.addresses {
        if text == "-" {
            outcome = outcome.max(from_stdin(&opened, query, names, output)?);
        } else {
            outcome = outcome.max(answer(&opened, parse(text)?, query, names, output)?);
        }
    }
    Ok(outcome)
}

fn parse(text: &str) -> anyhow::Result<Gva> {
    number(text).map(Gva).map_err(|error| usage(error, HINT))
}

fn from_stdin(
    opened: &Opened,
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
        outcome = outcome.max(answer(opened, gva, query, names, output)?);
        // Whoever writes one address and waits gets the answer.
        if stdin.buffer().is_empty() {
            output.flush()?;
        }
    }
    Ok(outcome)
}

fn answer(
    opened: &Opened,
    gva: Gva,
    query: Query,
    names: &Names,
    output: &mut Output,
) -> anyhow::Result<Outcome> {
    let row = V2pRow::new(&opened.guest, gva, query, &CommandLine);
    let mut row = row.map_err(source::lacks)?;
    let outcome = match (&row.fault, &row.error) {
        (_, Some(_)) => Outcome::Unreadable,
        (Some(_), _) => Outcome::Negative,
        _ => Outcome::Answered,
    };
    row.symbol = IfAsked(names.of(gva));
    if row.fault.is_some() {
        let remarks = opened.remarks_on_unmapped(gva);
        row.remarks = RemarkRow::of_answers(&remarks, &CommandLine);
    }
    if output.json {
        row.remarks.extend_from_slice(output.remarks());
        output.whole_row(&row)?;
        return Ok(outcome);
    }
    if output.verbose {
        output.line(format_args!("{gva}  ({})", row.mode.unwrap_or_default()))?;
        row.steps.iter().try_for_each(|step| output.line(step))?;
    }
    output.line(&row)?;
    for remark in &row.remarks {
        output.flush()?;
        note_with(&remark.text, &remark.hint);
    }
    if let Some(error) = &row.error {
        output.complain(format!("{gva}: {error}"), &error.hint)?;
    }
    Ok(outcome)
}
