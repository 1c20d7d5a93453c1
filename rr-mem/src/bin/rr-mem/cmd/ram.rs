//! `rr-mem ram`.

use rr_mem::{
    host::{AnyHost, AnyHostMemory, Host},
    region::RamBlock,
    report::RamRow,
};

use crate::{
    cli::Ram,
    output::{Outcome, Output},
    source::emulator::attach,
};

pub fn run(args: &Ram, output: &mut Output) -> anyhow::Result<Outcome> {
    let (emulator, _frozen) = attach(&(&args.emulator).into(), output.verbose)?;
    for block in emulator.machine.map.ram_blocks() {
        let row = row(block, &emulator.host);
        if output.json {
            output.row(&row)?;
        } else {
            output.line(&row)?;
        }
    }
    let none = emulator.machine.map.ram_blocks().is_empty();
    Ok(if none { Outcome::Negative } else { Outcome::Answered })
}

fn row(block: &RamBlock, host: &AnyHost) -> RamRow {
    let (start, len) = (block.host, block.used_length);
    let row = RamRow::new(block, host.areas());
    match host.memory() {
        AnyHostMemory::Process(memory) => {
            RamRow { resident: start.and_then(|start| memory.resident(start, len)), ..row }
        }
        AnyHostMemory::Core(memory) => {
            RamRow { in_core: start.map(|start| memory.held(start, len)), ..row }
        }
    }
}
