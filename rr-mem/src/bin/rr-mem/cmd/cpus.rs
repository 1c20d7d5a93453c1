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
        let row = CpuRow::new(cpu, &machine.map);
        if output.json {
            output.row(&row)?;
        } else {
            output.line(&row)?;
        }
    }
    Ok(if machine.cpus.is_empty() { Outcome::Negative } else { Outcome::Answered })
}
