//! `rr-mem ps`.

use std::collections::BTreeSet;

use rr_mem::{
    addr::hex,
    guest::emulator::{Emulator, Running},
    host::process::Process,
    mmu::Mmu,
    qemu::{Machine, Offsets},
    report::size,
};
use serde::Serialize;

use crate::{
    output::{Outcome, Output, hint},
    source::emulator::running,
};

/// An emulator.
#[derive(Serialize)]
struct Row {
    pid: u32,
    binary: String,
    machine: Option<String>,
    layout: Option<String>,
    ram: Option<Bytes>,
    cpus: Option<usize>,
    mode: Option<&'static str>,
    error: Option<String>,
    hint: Option<String>,
}

/// A length.
#[derive(Clone, Copy, Serialize)]
struct Bytes(#[serde(with = "hex")] u64);

/// Why an emulator could not be read, and what to do.
struct Unread {
    error: String,
    hint: String,
}

pub fn run(output: &mut Output) -> anyhow::Result<Outcome> {
    let emulators = running()?;
    let mut outcome = if emulators.is_empty() { Outcome::Negative } else { Outcome::Answered };
    let mut hints = BTreeSet::new();
    for emulator in &emulators {
        let row = row(emulator);
        if let Some(hint) = &row.hint {
            hints.insert(hint.clone());
            outcome = outcome.max(Outcome::Unreadable);
        }
        if output.json {
            output.row(&row)?;
        } else {
            output.line(text(&row))?;
        }
    }
    output.flush()?;
    hints.iter().for_each(hint);
    Ok(outcome)
}

fn row(emulator: &Running) -> Row {
    let (machine, unread) = match read(emulator.pid) {
        Ok(machine) => (Some(machine), None),
        Err(unread) => (None, Some(unread)),
    };
    let machine = machine.as_ref();
    let (error, hint) = unread.map(|unread| (unread.error, unread.hint)).unzip();
    let first = machine.and_then(|machine| machine.cpus.first());
    Row {
        pid: emulator.pid,
        binary: emulator.binary.clone(),
        machine: machine_name(&emulator.command),
        layout: machine.map(|machine| machine.layout.clone()),
        ram: machine.map(|machine| Bytes(ram(machine))),
        cpus: machine.map(|machine| machine.cpus.len()),
        mode: first.map(|cpu| Mmu::new(&cpu.regs).mode()),
        error,
        hint,
    }
}

fn read(pid: u32) -> Result<Machine, Unread> {
    let process = Process::open(pid)
        .map_err(|error| Unread { error: error.to_string(), hint: error.hint().to_owned() })?;
    Emulator::attach(process.into(), &Offsets::default())
        .map(|emulator| emulator.machine)
        .map_err(|unread| Unread { error: unread.to_string(), hint: unread.error.hint().into() })
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

/// The machine's type by the command line: what its options say last, as QEMU
/// merges them.
fn machine_name(command: &[String]) -> Option<String> {
    let is_option = |word: &str| matches!(word, "-M" | "--M" | "-machine" | "--machine");
    let pairs = command.iter().zip(command.get(1..)?);
    let options = pairs.filter(|(word, _)| is_option(word)).map(|(_, options)| options);
    options.filter_map(|options| machine_type(options)).next_back().map(str::to_owned)
}

/// The type in one option's words, where the first needs no key.
fn machine_type(options: &str) -> Option<&str> {
    let first = options.split(',').next().filter(|word| !word.is_empty() && !word.contains('='));
    let named = options.split(',').filter_map(|word| word.strip_prefix("type=")).next_back();
    named.or(first)
}

fn text(row: &Row) -> String {
    let Row { pid, binary, .. } = row;
    let machine = row.machine.as_deref().unwrap_or("default machine");
    match (&row.error, row.ram, row.cpus, row.mode) {
        (None, Some(Bytes(ram)), Some(cpus), mode) => {
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
        assert_eq!(name("qemu -machine accel=tcg -M q35,smm=off").as_deref(), Some("q35"));
        assert_eq!(name("qemu -M pc -machine accel=kvm,type=q35").as_deref(), Some("q35"));
        assert_eq!(name("qemu -M pc -M virt -machine accel=tcg").as_deref(), Some("virt"));
        assert_eq!(name("qemu -M"), None);
        assert_eq!(name("qemu"), None);
    }
}
