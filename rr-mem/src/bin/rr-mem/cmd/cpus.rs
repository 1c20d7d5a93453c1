//! `rr-mem cpus`.

use rr_mem::report::CpuRow;

use crate::{
    cli::Cpus,
    output::{Outcome, Output},
    source::{emulator, emulator_only},
};

pub fn run(args: &Cpus, output: &mut Output) -> anyhow::Result<Outcome> {
    let attached = emulator_only(&args.emulator, output)?;
    let machine = &emulator(&attached)?.machine;
    for cpu in &machine.cpus {
        output.answer(&CpuRow::new(cpu, &machine.map))?;
    }
    Ok(if machine.cpus.is_empty() { Outcome::Negative } else { Outcome::Answered })
}
