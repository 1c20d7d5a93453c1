//! QEMU's symbols: where its memory map and CPU list begin, and what kind of
//! CPU it emulates.

use super::QemuError;
use crate::{
    debuginfo::{DebugSearch, Program, symbols},
    host::{Host, Module},
    memory::MappedFile,
};

/// The architecture of a QEMU's CPUs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    X86,
    /// AArch32 only: `qemu-system-arm`.
    Arm,
    /// Both states.
    Aarch64,
    /// One that no walker models.
    Other,
}

/// Addresses in the process.
#[derive(Clone, Debug)]
pub(super) struct QemuSymbols {
    /// The file that they were found in.
    pub module: Module,
    pub target: Target,
    pub address_space_memory: u64,
    pub ram_list: u64,
    /// The head of the list of CPUs.
    pub cpus: u64,
    pub timers: Option<Timers>,
    /// The pointer to the machine.
    pub machine: Option<u64>,
}

/// Where QEMU counts instructions.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timers {
    /// Whether it does: 0 without `-icount`.
    pub enabled: u64,
    pub state: u64,
}

/// What every QEMU has.
const SPACE: &str = "address_space_memory";
const BLOCKS: &str = "ram_list";
/// The list of CPUs, by newer and older names.
const CPUS: [&str; 2] = ["cpus_queue", "cpus"];
/// The counter of `-icount`, and whether it is in use.
const TIMERS: [&str; 2] = ["use_icount", "timers_state"];
/// The pointer to the machine.
const MACHINE: &str = "current_machine";
/// Functions that only an emulator of this architecture has, newest first.
const X86: [&str; 2] = ["cpu_x86_update_cr3", "x86_cpu_list"];
const ARM: [&str; 2] = ["arm_cpu_do_interrupt", "arm_cpu_list"];
const A64: [&str; 2] = ["a64_translate_init", "gen_a64_set_pc_im"];

impl QemuSymbols {
    /// Looks through all modules: PANDA's symbols are in a library. Where none
    /// exports them, their debug files are looked for.
    pub fn find(host: &impl Host, search: &DebugSearch) -> Result<Self, QemuError> {
        let elsewhere = |module: &Module| search.symbol_file(program(module)?);
        match Self::look(host, |module| module.file.clone()) {
            Err(QemuError::NoEmulator(_)) => {
                belongs(host, search)?;
                Self::look(host, elsewhere)
            }
            found => found,
        }
    }

    fn look(
        host: &impl Host,
        file: impl Fn(&Module) -> Option<MappedFile>,
    ) -> Result<Self, QemuError> {
        for module in host.modules() {
            let Some(file) = file(module) else { continue };
            let names = [
                SPACE, BLOCKS, CPUS[0], CPUS[1], TIMERS[0], TIMERS[1], MACHINE, X86[0], X86[1],
                ARM[0], ARM[1], A64[0], A64[1],
            ];
            let Ok(found) = symbols::find(file.bytes(), names) else { continue };
            let there =
                found.map(|address| address.map(|address| address.wrapping_add(module.bias)));
            let [Some(space), Some(blocks), new, old, enabled, timers, machine, kinds @ ..] = there
            else {
                continue;
            };
            let cpus = new.or(old).ok_or(QemuError::NoEmulator(CPUS[0]))?;
            return Ok(Self {
                module: module.clone(),
                target: target(kinds),
                address_space_memory: space,
                ram_list: blocks,
                cpus,
                timers: enabled.zip(timers).map(|(enabled, state)| Timers { enabled, state }),
                machine,
            });
        }
        Err(QemuError::NoEmulator(SPACE))
    }
}

/// Whether the ELF file `elf` has what every QEMU has.
#[must_use]
pub fn is_emulator(elf: &[u8]) -> bool {
    let found = symbols::find(elf, [SPACE, BLOCKS, CPUS[0], CPUS[1]]);
    matches!(found, Ok([Some(_), Some(_), new, old]) if new.or(old).is_some())
}

/// Whether the debug file that is given, if any, is of one of the modules; if
/// not, what it has to do with the first.
fn belongs(host: &impl Host, search: &DebugSearch) -> Result<(), QemuError> {
    let mut checks = host.modules().iter().filter_map(program).map(|one| search.check(one));
    let Some(Err(first)) = checks.next() else { return Ok(()) };
    if checks.any(|check| check.is_ok()) { Ok(()) } else { Err(first.into()) }
}

/// A module whose file could be had.
pub(super) fn program(module: &Module) -> Option<Program<'_>> {
    Some(Program { path: &module.path, file: module.file.as_ref()? })
}

fn target([x86, old_x86, arm, old_arm, a64, old_a64]: [Option<u64>; 6]) -> Target {
    match (x86.or(old_x86), arm.or(old_arm), a64.or(old_a64)) {
        (Some(_), _, _) => Target::X86,
        (None, Some(_), Some(_)) => Target::Aarch64,
        (None, Some(_), None) => Target::Arm,
        (None, None, _) => Target::Other,
    }
}
