//! `rr-mem x`.

use rr_mem::report::examine::{Format, GuestBytes, lines};
use serde::Serialize;

use super::complain_read;
use crate::{
    cli::X,
    output::{Outcome, Output, usage},
    source,
};

/// A line of values.
#[derive(Serialize)]
struct Row {
    addr: String,
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
    let mut source = GuestBytes { guest: &opened.guest, physical: args.phys };
    let show = |addr, values| show(addr, values, output);
    let result = lines(format, args.address, &mut source, show)?;
    match result {
        Ok(_) => Ok(Outcome::Answered),
        Err(error) => complain_read(&error, output),
    }
}

fn parse(format: &str, pointer: usize) -> anyhow::Result<Format> {
    Format::parse(format, pointer)
        .map_err(|error| usage(error, "see `rr-mem x --help` for the formats"))
}

fn show(addr: u64, values: Vec<String>, output: &mut Output) -> anyhow::Result<()> {
    let addr = format!("{addr:#x}");
    if output.json {
        output.row(&Row { addr, values })
    } else {
        output.line(format_args!("{addr}:\t{}", values.join("\t")))
    }
}
