//! The row of a running emulator.

use super::declared::PsRow;
use crate::{
    addr::Hex,
    mmu,
    qemu::{Machine, VirtualCpu},
    region::MemoryRegion,
    source::Running,
};

impl PsRow {
    /// The row of an emulator with the machine that was read from it, or why it
    /// could not be read and what to do.
    #[must_use]
    pub fn new(emulator: &Running, read: Result<Machine, (String, String)>) -> Self {
        let machine = read.as_ref().ok();
        let first = machine.and_then(|machine| machine.cpus.first());
        Self {
            pid: emulator.pid,
            binary: emulator.binary.clone(),
            machine: machine_name(&emulator.command),
            layout: machine.map(|machine| machine.layout.clone()),
            ram: machine.map(|machine| Hex(ram(machine))),
            cpus: machine.map(|machine| machine.cpus.len()),
            arch: first.map(VirtualCpu::arch),
            mode: first.and_then(|cpu| cpu.regs).as_ref().map(mmu::mode),
            error: read.as_ref().err().map(|(error, _)| error.clone()),
            hint: read.err().map(|(_, hint)| hint),
        }
    }
}

/// Bytes of RAM that the guest may write.
fn ram(machine: &Machine) -> u64 {
    let writable = |region: &&MemoryRegion| region.ram && !region.readonly;
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
