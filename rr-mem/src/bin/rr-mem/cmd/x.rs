//! `rr-mem x`.

use rr_mem::{
    addr::{Gva, Hex},
    report::{
        IfAsked, XRow,
        examine::{Format, lines},
    },
};

use super::{complain_read, guest_address, naming::Names};
use crate::{
    cli::X,
    output::{Outcome, Output, usage},
    source,
};

pub fn run(args: &X, output: &mut Output) -> anyhow::Result<Outcome> {
    // A wrong format is said before a large file is opened.
    parse(&args.format, 8)?;
    let opened = match args.phys {
        true => source::open(&args.source, output)?,
        false => source::open_paged(&args.source, output)?,
    };
    if let Err(missing) = opened.guest.memory() {
        return Err(source::lacks(missing));
    }
    let format = parse(&args.format, opened.cpu.regs.arch().pointer_bytes())?;
    let start = guest_address(args.address, args.phys);
    let names = Names::open(&args.naming, &opened.guest)?;
    let name = |addr| names.of(Gva(addr)).filter(|_| !args.phys);
    let show = |addr, values| {
        output.answer(&XRow { addr: Hex(addr), symbol: IfAsked(name(addr)), values })
    };
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
