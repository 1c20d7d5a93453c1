//! `rr-mem x`.

use rr_mem::{
    addr::Gva,
    report::examine::{Format, lines},
};
use serde::Serialize;

use super::{complain_read, guest_address, naming::Names};
use crate::{
    cli::X,
    output::{Outcome, Output, usage},
    source,
};

/// A line of values.
#[derive(Serialize)]
struct Row {
    addr: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    symbol: Option<String>,
    values: Vec<String>,
}

pub fn run(args: &X, output: &mut Output) -> anyhow::Result<Outcome> {
    // A wrong format is said before a large file is opened.
    parse(&args.format, 8)?;
    let opened = match args.phys {
        true => source::open(&args.source, output.verbose)?,
        false => source::open_paged(&args.source, output.verbose)?,
    };
    if let Err(missing) = opened.guest.memory() {
        return Err(opened.lacks(missing));
    }
    let format = parse(&args.format, opened.shape.arch().pointer_bytes())?;
    let start = guest_address(args.address, args.phys);
    let names = Names::open(&args.naming, &opened.guest)?;
    let name = |addr| names.of(Gva(addr)).filter(|_| !args.phys);
    let show = |addr, values| show(addr, name(addr), values, output);
    let result = lines(format, start, &opened.guest, show)?;
    match result {
        Ok(_) => Ok(Outcome::Answered),
        Err(error) => complain_read(&error, output),
    }
}

fn parse(format: &str, pointer: usize) -> anyhow::Result<Format> {
    Format::parse(format, pointer)
        .map_err(|error| usage(error, "see `rr-mem x --help` for the formats"))
}

fn show(
    addr: u64,
    symbol: Option<String>,
    values: Vec<String>,
    output: &mut Output,
) -> anyhow::Result<()> {
    let addr = format!("{addr:#x}");
    if output.json {
        return output.row(&Row { addr, symbol, values });
    }
    let symbol = symbol.map_or(String::new(), |name| format!(" <{name}>"));
    output.line(format_args!("{addr}{symbol}:\t{}", values.join("\t")))
}
