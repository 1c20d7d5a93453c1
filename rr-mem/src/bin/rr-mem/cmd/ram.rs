//! `rr-mem ram`.

use rr_mem::report::RamRow;

use crate::{
    cli::Ram,
    output::{Outcome, Output},
    source::emulator::attach,
};

pub fn run(args: &Ram, output: &mut Output) -> anyhow::Result<Outcome> {
    let (emulator, _frozen) = attach(&(&args.emulator).into(), output.verbose)?;
    let blocks = emulator.machine.map.ram_blocks();
    for block in blocks {
        output.answer(&RamRow::new(block, &emulator.host))?;
    }
    Ok(if blocks.is_empty() { Outcome::Negative } else { Outcome::Answered })
}
