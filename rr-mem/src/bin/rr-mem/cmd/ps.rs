//! `rr-mem ps`.

use rr_mem::{
    guest::emulator::Running,
    host::process::Process,
    mmu::Mmu,
    qemu::{self, Machine, Offsets},
    report::size,
};
use serde::Serialize;

use crate::{
    output::{Outcome, Output},
    source::emulator::running,
};

/// An emulator.
#[derive(Serialize)]
struct Row {
    pid: u32,
    binary: String,
    machine: Option<String>,
    layout: Option<String>,
    ram: Option<u64>,
    cpus: Option<usize>,
    mode: Option<&'static str>,
    error: Option<String>,
}

pub fn run(output: &mut Output) -> anyhow::Result<Outcome> {
    let emulators = running()?;
    let mut outcome = if emulators.is_empty() { Outcome::Negative } else { Outcome::Answered };
    for emulator in &emulators {
        let row = row(emulator);
        if row.error.is_some() {
            outcome = outcome.max(Outcome::Unreadable);
        }
        if output.json {
            output.row(&row)?;
        } else {
            output.line(text(&row))?;
        }
    }
    Ok(outcome)
}

fn row(emulator: &Running) -> Row {
    let read = read(emulator.pid);
    let machine = read.as_ref().ok();
    let first = machine.and_then(|machine| machine.cpus.first());
    Row {
        pid: emulator.pid,
        binary: emulator.binary.clone(),
        machine: machine_name(&emulator.command),
        layout: machine.map(|machine| machine.layout.clone()),
        ram: machine.map(ram),
        cpus: machine.map(|machine| machine.cpus.len()),
        mode: first.map(|cpu| Mmu::new(&cpu.regs).mode()),
        error: read.err(),
    }
}

fn read(pid: u32) -> Result<Machine, String> {
    let process = Process::open(pid).map_err(|error| error.to_string())?;
    qemu::read(&process, &Offsets::default()).map_err(|error| error.to_string())
}

/// Bytes of RAM that the guest may write.
fn ram(machine: &Machine) -> u64 {
    let writable = |region: &&rr_mem::region::MemoryRegion| region.ram && !region.readonly;
    let mut blocks: Vec<_> = machine
        .map
        .regions()
        .iter()
        .filter(writable)
        .filter_map(|region| region.ram_block)
        .collect();
    blocks.sort_unstable();
    blocks.dedup();
    blocks.into_iter().map(|block| machine.map.block(block).used_length).sum()
}

/// What the command line says after `-M` or `-machine`.
fn machine_name(command: &[String]) -> Option<String> {
    let at =
        command.iter().position(|word| matches!(word.as_str(), "-M" | "-machine" | "--machine"))?;
    let options = command.get(at + 1)?;
    let first = options.split(',').next()?;
    Some(first.strip_prefix("type=").unwrap_or(first).to_owned())
}

fn text(row: &Row) -> String {
    let Row { pid, binary, .. } = row;
    let machine = row.machine.as_deref().unwrap_or("default machine");
    match (&row.error, row.ram, row.cpus, row.mode) {
        (None, Some(ram), Some(cpus), mode) => {
            let ram = size(ram);
            let mode = mode.unwrap_or("no CPU");
            format!("{pid}  {binary}  {machine}  RAM {ram}  CPUs {cpus}  {mode}")
        }
        (error, ..) => {
            format!("{pid}  {binary}  {machine}  {}", error.as_deref().unwrap_or("unknown"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_is_what_the_command_line_says() {
        let name =
            |text: &str| machine_name(&text.split(' ').map(str::to_owned).collect::<Vec<_>>());
        assert_eq!(name("qemu -M pc,accel=tcg").as_deref(), Some("pc"));
        assert_eq!(name("qemu -machine type=q35").as_deref(), Some("q35"));
        assert_eq!(name("qemu -M"), None);
        assert_eq!(name("qemu"), None);
    }
}
