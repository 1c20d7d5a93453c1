//! `rr-mem ram`.

use rr_mem::report::RamRow;

use crate::{
    cli::Ram,
    output::{Outcome, Output},
    source::{emulator, emulator_only},
};

pub fn run(args: &Ram, output: &mut Output) -> anyhow::Result<Outcome> {
    let attached = emulator_only(&args.emulator, output)?;
    let emulator = emulator(&attached)?;
    let blocks = emulator.machine.map.ram_blocks();
    for block in blocks {
        output.answer(&RamRow::new(block, &emulator.host))?;
    }
    Ok(if blocks.is_empty() { Outcome::Negative } else { Outcome::Answered })
}
