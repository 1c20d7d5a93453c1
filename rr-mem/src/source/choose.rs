//! Which registers count: given ones win one by one over the source's; the rest is
//! unknown.

use super::{Asked, SourceError};
use crate::regs::{Arch, Cpu, OtherArch, Register, Regs};

/// The CPUs of a source.
pub(super) struct Known {
    /// The architecture that the source names.
    pub arch: Option<Arch>,
    /// Its architecture, if no walker models it.
    pub other: Option<OtherArch>,
    /// By number.
    pub cpus: Vec<(u64, Cpu)>,
}

/// The CPU to look through.
pub(super) struct Chosen {
    pub cpu: Cpu,
    /// It is one of the source's.
    pub in_source: bool,
    /// Nobody said which architecture it has.
    pub arch_guessed: bool,
    /// What decides the format of tables is known.
    pub mode_known: bool,
    /// No walker models it, and nobody asks for another architecture's.
    pub other: Option<OtherArch>,
}

/// The CPU that is asked for.
pub(super) fn cpu(source: &Known, asked: &Asked) -> Result<Chosen, SourceError> {
    let own = source_cpu(source, asked)?;
    let named = asked.arch.or(source.arch);
    let arch = named.unwrap_or_else(|| guess(asked));
    let mut cpu = own.unwrap_or_else(|| Cpu::unknown(arch));
    for &(register, value) in &asked.registers {
        cpu = cpu.with(register, value)?;
    }
    for &(register, bits) in &asked.bits {
        let before = cpu.regs.get(register).unwrap_or_default();
        cpu.regs.set(register, before | bits)?;
    }
    let mode_known = cpu.knows_mode() || !asked.bits.is_empty();
    let other = source.other.filter(|_| asked.arch.is_none());
    let arch_guessed = named.is_none() && other.is_none();
    Ok(Chosen { cpu, in_source: own.is_some(), arch_guessed, mode_known, other })
}

/// The CPU of the source, unless the architecture that is asked for discards it.
fn source_cpu(source: &Known, asked: &Asked) -> Result<Option<Cpu>, SourceError> {
    if asked.arch.is_some() && asked.arch != source.arch {
        return Ok(None);
    }
    match source.cpus.iter().find(|(number, _)| *number == asked.cpu) {
        Some((_, cpu)) => Ok(Some(*cpu)),
        None if source.cpus.is_empty() && (asked.cpu == 0 || source.other.is_some()) => Ok(None),
        None => {
            let known = source.cpus.iter().map(|(number, _)| *number).collect();
            Err(SourceError::NoCpu { wanted: asked.cpu, known })
        }
    }
}

/// The architecture that has the registers that are given.
fn guess(asked: &Asked) -> Arch {
    let has = |arch: &Arch| {
        let regs = Regs::defaults(*arch);
        asked.registers.iter().all(|(register, _)| regs.get(*register).is_some())
    };
    // Long descriptors have no domains.
    let short = asked.registers.iter().any(|(register, _)| *register == Register::Dacr);
    let found = Arch::GUESSED.into_iter().find(has).unwrap_or(Arch::X86_64);
    if short && found == Arch::Aarch64 { Arch::Arm } else { found }
}

/// Every CPU of the source; the chosen one with the given registers. Empty if
/// no register is known.
pub(super) fn all(source: Known, chosen: &Chosen, asked: &Asked) -> Vec<(u64, Cpu)> {
    let mut cpus = source.cpus;
    match cpus.iter_mut().find(|(number, _)| *number == asked.cpu) {
        Some((_, place)) if chosen.in_source => *place = chosen.cpu,
        _ if asked.registers.is_empty() => {}
        _ => cpus = vec![(0, chosen.cpu)],
    }
    cpus
}
