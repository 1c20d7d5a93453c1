//! `rr-mem cpus`.

use rr_mem::report::CpuRow;

use crate::{
    cli::Cpus,
    output::{Outcome, Output},
    source::emulator::attach,
};

pub fn run(args: &Cpus, output: &mut Output) -> anyhow::Result<Outcome> {
    let machine = attach(&(&args.emulator).into(), output.verbose)?.machine;
    for cpu in &machine.cpus {
        let row = CpuRow::new(cpu, &machine.map);
        if output.json {
            output.row(&row)?;
        } else {
            text(&row, output)?;
        }
    }
    Ok(Outcome::Answered)
}

fn text(row: &CpuRow, output: &mut Output) -> anyhow::Result<()> {
    let CpuRow { cpu, arch, mode, accelerator, thread, pc, .. } = row;
    let state = match (row.stopped, row.halted) {
        (true, _) => "stopped",
        (false, true) => "halted",
        (false, false) => "running",
    };
    let privilege = if row.user_mode { "user" } else { "kernel" };
    let space = row.address_space.as_deref().unwrap_or("unknown");
    let world = row.world.map_or(String::new(), |world| format!("  {world}"));
    output.line(format_args!(
        "CPU {cpu}  {arch}  {mode}  {privilege}  {state}  pc {pc:#x}  thread {thread}  {accelerator}  address space {space}{world}"
    ))?;
    let registers: Vec<_> =
        row.registers.iter().map(|(name, value)| format!("{name}={value:#x}")).collect();
    output.line(format_args!("  {}", registers.join(" ")))
}
