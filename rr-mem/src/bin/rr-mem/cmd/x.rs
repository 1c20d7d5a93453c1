//! `rr-mem x`.

use rr_mem::{
    guest::{Guest, VirtualReadError},
    regs::Arch,
    report::examine::{self, Format, lines},
};
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
    let pointer = match opened.shape.arch() {
        Arch::I386 | Arch::Arm => 4,
        Arch::X86_64 | Arch::Aarch64 => 8,
    };
    let format = parse(&args.format, pointer)?;
    let mut source = Bytes { guest: &opened.guest, physical: args.phys };
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

/// Guest-virtual or guest-physical memory.
struct Bytes<'a> {
    guest: &'a Guest,
    physical: bool,
}

impl examine::Source for Bytes<'_> {
    type Error = VirtualReadError;

    fn read_at(
        &mut self,
        start: u64,
        offset: u64,
        dst: &mut [u8],
    ) -> (usize, Option<VirtualReadError>) {
        self.guest.read_at(self.physical, start, offset, dst)
    }
}

fn show(addr: u64, values: Vec<String>, output: &mut Output) -> anyhow::Result<()> {
    let addr = format!("{addr:#x}");
    if output.json {
        output.row(&Row { addr, values })
    } else {
        output.line(format_args!("{addr}:\t{}", values.join("\t")))
    }
}
