//! `rr-mem cpus`.

use rr_mem::report::CpuRow;

use crate::{
    cli::Cpus,
    output::{Outcome, Output},
    source::emulator::attach,
};

pub fn run(args: &Cpus, output: &mut Output) -> anyhow::Result<Outcome> {
    let (emulator, _frozen) = attach(&(&args.emulator).into(), output.verbose)?;
    let machine = &emulator.machine;
    for cpu in &machine.cpus {
        output.answer(&CpuRow::new(cpu, &machine.map))?;
    }
    Ok(if machine.cpus.is_empty() { Outcome::Negative } else { Outcome::Answered })
}
