//! A CPU's registers as QEMU's own gdb stub names them. QEMU documentation,
//! "GDB usage"; the target descriptions of the releases 4.2 to 10.
//!
//! Not here: the stub's protocol, which the debugger speaks. The stub does not
//! tell whether 32-bit user code on AArch64 has a 32-bit kernel: a 64-bit
//! kernel is assumed.

use thiserror::Error;

use crate::{
    advice::Advice,
    bits::{bit, field},
    regs::{
        Arch, ArmModel, ArmRegs, ArmState, Cpu, HYP, MONITOR, N_RW, PAN, Register, RegisterSet,
        Regs, USER, X86Regs,
    },
};

/// RFLAGS.VM and RFLAGS.AC.
const VM: u32 = 17;
const AC: u32 = 18;

/// The stub does not give a register that paging takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the stub gives no {0}")]
pub struct NoRegister(pub &'static str);

crate::advice::explain!(NoRegister);

impl NoRegister {
    /// A short stable name for scripts.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        "no_registers"
    }

    /// What the user can do about it.
    #[must_use]
    pub fn advice(&self) -> Advice {
        Advice::Say("read the emulator's process instead")
    }
}

/// The architecture that gdb calls `name`: of the emulator, not of the CPU's
/// mode.
#[must_use]
pub fn arch(name: &str) -> Option<Arch> {
    match name {
        "i386:x86-64" | "i386:x86-64:intel" => Some(Arch::X86_64),
        "aarch64" => Some(Arch::Aarch64),
        _ if name.starts_with("i386") || name == "i8086" => Some(Arch::I386),
        _ if name.starts_with("arm") => Some(Arch::Arm),
        _ => None,
    }
}

/// The registers that steer paging; `register` gives the value of one by the
/// stub's name, if the stub has it.
///
/// # Errors
/// When one is missing.
pub fn registers(
    arch: Arch,
    mut register: impl FnMut(&str) -> Option<u64>,
) -> Result<Cpu, NoRegister> {
    let mut get = |names: &[&'static str]| {
        names.iter().find_map(|name| register(name)).ok_or(NoRegister(names[0]))
    };
    match arch {
        Arch::I386 | Arch::X86_64 => x86(&mut get).map(|regs| Cpu::told(Regs::X86(regs))),
        Arch::Aarch64 => {
            let regs = aarch64(&mut get)?;
            Ok(Cpu::told_with_indices(with_indices(regs, &mut get)))
        }
        Arch::Arm => arm(&mut get).map(|regs| with_generation(regs, &mut get)),
    }
}

/// What gives rights by index; what the stub does not list is not there.
fn with_indices(regs: ArmRegs, get: Get<'_>) -> ArmRegs {
    let names: [&[&'static str]; 4] = match regs.el {
        0 | 1 => [&["TCR2_EL1"], &["PIR_EL1"], &["PIRE0_EL1"], &["POR_EL1"]],
        2 => [&["TCR2_EL2"], &["PIR_EL2"], &["PIRE0_EL2"], &["POR_EL2"]],
        _ => [&[], &["PIR_EL3"], &[], &["POR_EL3"]],
    };
    // HCRX_EL2.TCR2En: else EL1 has no TCR2.
    let hidden = regs.el < 2 && get(&["HCRX_EL2"]).is_ok_and(|value| !bit(value, 14));
    let mut or_zero = |names: &[&'static str]| match names {
        [] => 0,
        names => get(names).unwrap_or(0),
    };
    let [tcr2, pir, pire0, por] = names.map(&mut or_zero);
    let por_el0 = or_zero(&["POR_EL0"]);
    ArmRegs { tcr2: if hidden { 0 } else { tcr2 }, pir, pire0, por, por_el0, ..regs }
}

/// The first of some names that the stub knows.
type Get<'a> = &'a mut dyn FnMut(&[&'static str]) -> Result<u64, NoRegister>;

fn x86(get: Get<'_>) -> Result<X86Regs, NoRegister> {
    let (cr0, flags) = (get(&["cr0"])?, get(&["eflags"])?);
    let cpl = match (cr0 & X86Regs::CR0_PE != 0, bit(flags, VM)) {
        (false, _) => 0,
        (true, true) => 3,
        (true, false) => get(&["cs"])? as u8 & 3,
    };
    Ok(X86Regs {
        cr0,
        cr3: get(&["cr3"])?,
        cr4: get(&["cr4"])?,
        efer: get(&["efer"])?,
        cpl,
        ac: bit(flags, AC),
        ..X86Regs::default()
    })
}

/// Of the regime in force. What belongs to EL1 has its level in its name, but
/// for SCTLR.
fn aarch64(get: Get<'_>) -> Result<ArmRegs, NoRegister> {
    let status = get(&["cpsr"])?;
    if bit(status, N_RW) && status & 0x1f != USER {
        return aarch32(status, get);
    }
    let el = if bit(status, N_RW) { 0 } else { field(status, 3, 2) as u8 };
    let names: [&[&'static str]; 4] = match el {
        0 | 1 => [&["TTBR0_EL1"], &["TTBR1_EL1"], &["TCR_EL1"], &["SCTLR", "SCTLR_EL1"]],
        2 => [&["TTBR0_EL2"], &["TTBR1_EL2"], &["TCR_EL2"], &["SCTLR_EL2"]],
        _ => [&["TTBR0_EL3"], &[], &["TCR_EL3"], &["SCTLR_EL3"]],
    };
    let [ttbr0, ttbr1, tcr, sctlr] = names;
    Ok(ArmRegs {
        el,
        ttbr0: get(ttbr0)?,
        // EL2 has one only with HCR_EL2.E2H, EL3 never.
        ttbr1: if el < 2 { get(ttbr1)? } else { get(&["TTBR1_EL2"]).unwrap_or(0) },
        tcr: get(tcr)?,
        sctlr: get(sctlr)?,
        hcr: get(&["HCR_EL2"]).unwrap_or(0),
        vttbr: get(&["VTTBR_EL2"]).unwrap_or(0),
        vtcr: get(&["VTCR_EL2"]).unwrap_or(0),
        pan: bit(status, PAN),
        ..ArmRegs::new(ArmState::Aarch64)
    })
}

fn arm(get: Get<'_>) -> Result<ArmRegs, NoRegister> {
    let status = get(&["cpsr"])?;
    aarch32(status, get)
}

/// What CPUs before ARMv7 differ in: the version of the architecture, which MIDR tells,
/// and FCSEIDR, which CPUs that show their MIDR have not if they do not show it.
fn with_generation(mut regs: ArmRegs, get: Get<'_>) -> Cpu {
    let Ok(midr) = get(&["MIDR", "MIDR_EL1"]) else { return Cpu::told(Regs::Arm(regs)) };
    if let Some(model) = ArmModel::of_midr(midr) {
        (regs.version, regs.xscale) = (model.version, model.xscale);
    }
    regs.fcseidr = get(&["FCSEIDR"]).unwrap_or(0);
    let told = Cpu::told(Regs::Arm(regs));
    let known = [Register::ArmVersion, Register::Xscale, Register::FcseIdr];
    Cpu { known: known.into_iter().fold(told.known, RegisterSet::with), ..told }
}

/// `TTBR0` is all 64 bits of what `TTBR0_EL1` shows the lower half of.
fn aarch32(status: u64, get: Get<'_>) -> Result<ArmRegs, NoRegister> {
    let el = match status & 0x1f {
        USER => 0,
        HYP => 2,
        MONITOR => 3,
        _ => 1,
    };
    if el == 2 {
        return Ok(ArmRegs {
            el,
            ttbr0: get(&["HTTBR", "TTBR0_EL2"])?,
            tcr: narrow(get(&["HTCR", "TCR_EL2"])?),
            sctlr: narrow(get(&["HSCTLR", "SCTLR_EL2"])?),
            ..ArmRegs::new(ArmState::Aarch32)
        });
    }
    Ok(ArmRegs {
        el,
        ttbr0: get(&["TTBR0", "TTBR0_EL1"])?,
        ttbr1: get(&["TTBR1", "TTBR1_EL1"])?,
        tcr: narrow(get(&["TTBCR", "TCR_EL1"])?),
        sctlr: narrow(get(&["SCTLR", "SCTLR_EL1"])?),
        hcr: get(&["HCR", "HCR_EL2"]).map_or(0, narrow),
        dacr: get(&["DACR", "DACR32_EL2"])?,
        pan: bit(status, PAN),
        ..ArmRegs::new(ArmState::Aarch32)
    })
}

/// A register of 32 bits: gdb extends its sign. (TTBCR2, the upper half of what a
/// walk takes for TTBCR, is none of the stub's.)
const fn narrow(value: u64) -> u64 {
    value & 0xffff_ffff
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(arch: Arch, known: &[(&str, u64)]) -> Result<Regs, NoRegister> {
        let get = |name: &str| known.iter().find(|(other, _)| *other == name).map(|(_, v)| *v);
        registers(arch, get).map(|cpu| cpu.regs)
    }

    #[test]
    fn a_register_that_is_missing_is_named() {
        assert_eq!(read(Arch::X86_64, &[]), Err(NoRegister("cr0")));
        let known = [("cr0", 1), ("eflags", 2), ("cs", 8)];
        assert_eq!(read(Arch::I386, &known), Err(NoRegister("cr3")));
        assert_eq!(read(Arch::Aarch64, &[("cpsr", 5)]), Err(NoRegister("TTBR0_EL1")));
    }

    #[test]
    fn the_level_in_force_decides_which_registers_count() {
        let el1 = [("TTBR0_EL1", 1), ("TTBR1_EL1", 2), ("TCR_EL1", 3), ("SCTLR", 4)];
        let el2 = [("TTBR0_EL2", 5), ("TCR_EL2", 6), ("SCTLR_EL2", 7), ("HCR_EL2", 8)];
        let all = |status| [&[("cpsr", status)], &el1[..], &el2[..]].concat();
        let Ok(Regs::Arm(kernel)) = read(Arch::Aarch64, &all(0x40_0005)) else { panic!("is ARM") };
        assert_eq!((kernel.el, kernel.ttbr0, kernel.ttbr1, kernel.pan), (1, 1, 2, true));
        let Ok(Regs::Arm(hyp)) = read(Arch::Aarch64, &all(9)) else { panic!("is ARM") };
        assert_eq!((hyp.el, hyp.ttbr0, hyp.ttbr1, hyp.sctlr, hyp.hcr), (2, 5, 0, 7, 8));
    }

    #[test]
    fn midr_tells_the_version_of_an_old_cpu() {
        let arm926 = [
            ("cpsr", 0xd3),
            ("TTBR0_EL1", 0x4000),
            ("TTBR1_EL1", 0),
            ("TTBCR", 0),
            ("SCTLR", 0x9_0079),
            ("DACR", 1),
            ("MIDR", 0x4106_9265),
            ("FCSEIDR", 0x200_0000),
        ];
        let read = |known: &[(&str, u64)]| {
            let get = |name: &str| known.iter().find(|(other, _)| *other == name).map(|(_, v)| *v);
            registers(Arch::Arm, get).expect("all are there")
        };
        let cpu = read(&arm926);
        let Regs::Arm(regs) = cpu.regs else { panic!("is ARM") };
        assert_eq!((regs.version, regs.xscale, regs.fcseidr), (5, false, 0x200_0000));
        assert_eq!(cpu.undecided(), None);
        assert_eq!(read(&arm926[..6]).undecided(), Some(Register::ArmVersion));
    }

    #[test]
    fn user_code_and_virtual_8086_mode_run_with_user_privilege() {
        let with = |cr0, flags, cs| {
            let known = [("cr0", cr0), ("eflags", flags), ("cs", cs), ("cr3", 0), ("cr4", 0)];
            read(Arch::X86_64, &[&known[..], &[("efer", 0)]].concat())
        };
        let user = |regs: Result<Regs, _>| regs.map(|regs| regs.in_user_mode());
        assert_eq!(user(with(0x8000_0001, 2, 0x33)), Ok(true));
        assert_eq!(user(with(0x8000_0001, 2, 0x10)), Ok(false));
        assert_eq!(user(with(0x8000_0001, 0x2_0002, 0x10)), Ok(true));
        assert_eq!(user(with(0, 2, 0x1003)), Ok(false));
    }

    #[test]
    fn a_sign_that_gdb_extends_is_no_part_of_a_register_of_32_bits() {
        let known = [
            ("cpsr", 0x1d3),
            ("TTBR0", 0x8000),
            ("TTBR1", 0x4000),
            ("TTBCR", 0xffff_ffff_b502_3500),
            ("SCTLR", 0x30c5_387d),
            ("DACR", 0x15),
        ];
        let Ok(Regs::Arm(regs)) = read(Arch::Arm, &known) else { panic!("an ARM CPU") };
        assert_eq!((regs.tcr, regs.long_descriptors()), (0xb502_3500, true));
    }
}
