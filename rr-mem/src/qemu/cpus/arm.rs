//! `CPUARMState`: the registers of the regime in force. Arm Architecture
//! Reference Manual for A-profile (DDI 0487), "Translation regimes". Arrays by
//! exception level hold the banked registers of AArch32: 1 non-secure, 2 Hyp,
//! 3 secure.

use super::Registers;
use crate::{
    addr::Hva,
    bits::bit,
    memory::Memory,
    qemu::{
        Wrong,
        structs::{Struct, Structs},
        symbols::Target,
    },
    regs::{ArmRegime, ArmRegs, ArmState, ArmStatus, N_RW, PAN, Regs},
};

pub(super) fn read<M: Memory<Hva>>(
    structs: &Structs<'_, M>,
    cpu: &Struct<'_>,
    env: u64,
    target: Target,
) -> Result<Registers, Wrong> {
    let narrow = target == Target::Arm && structs.knows("CPUARMState@arm");
    let env = structs.at(if narrow { "CPUARMState@arm" } else { "CPUARMState" }, env)?;
    let status = status(structs, cpu, &env, target)?;
    let arch64 = status.aarch64;
    if env.get("aarch64")? > 1 || bit(status.status, N_RW) == arch64 || arch64 && !status.arch64() {
        return Err(Wrong::at("no ARM registers are", env.address));
    }
    let regime = status.regime();
    let banked = |member| env.element(member, 4, regime.bank);
    let regs = ArmRegs {
        el: regime.el,
        ttbr0: banked("cp15.ttbr0_el")?,
        ttbr1: banked("cp15.ttbr1_el")?,
        tcr: banked("cp15.tcr_el")?,
        sctlr: banked("cp15.sctlr_el")?,
        dacr: dacr(&env, &regime)?,
        hcr: status.hcr,
        vttbr: env.get("cp15.vttbr_el2")?,
        vtcr: env.element("cp15.vtcr_el2", 1, 0)?,
        pan: bit(status.status, PAN),
        phys_bits: status.phys_bits(),
        ..ArmRegs::new(regime.state)
    };
    let pc = if arch64 { env.get("pc")? } else { env.element("regs", 16, 15)? };
    let world = regime.secure.then_some("secure");
    Ok(Registers { regs: Regs::Arm(regs), pc, world, space: usize::from(regime.secure) })
}

fn dacr(env: &Struct<'_>, regime: &ArmRegime) -> Result<u64, Wrong> {
    let secure = regime.state == ArmState::Aarch32 && regime.bank == 3;
    env.get(if secure { "cp15.dacr_s" } else { "cp15.dacr_ns" })
}

fn status<M: Memory<Hva>>(
    structs: &Structs<'_, M>,
    cpu: &Struct<'_>,
    env: &Struct<'_>,
    target: Target,
) -> Result<ArmStatus, Wrong> {
    let id = |names: [&str; 2]| -> Result<u64, Wrong> {
        let field = names.iter().find_map(|name| structs.field("ARMCPU", name));
        match field.filter(|_| target == Target::Aarch64) {
            Some(field) => structs.pointer(cpu.address.wrapping_add(field.offset)),
            None => Ok(0),
        }
    };
    // Address spaces: the usual and, where there is one, the secure; each
    // twice with tag memory.
    let secure = matches!(cpu.get("num_ases")?, 2 | 4);
    let aarch64 = env.flag("aarch64");
    Ok(ArmStatus {
        aarch64,
        status: env.get(if aarch64 { "pstate" } else { "uncached_cpsr" })?,
        pfr0: id(["isar.id_aa64pfr0", "id_aa64pfr0"])?,
        mmfr0: id(["isar.id_aa64mmfr0", "id_aa64mmfr0"])?,
        hcr: env.get("cp15.hcr_el2")?,
        scr: if secure { Some(env.get("cp15.scr_el3")?) } else { None },
    })
}
