//! `CPUARMState`: the registers of the regime in force. Arm Architecture
//! Reference Manual for A-profile (DDI 0487), "Translation regimes". Arrays by
//! exception level hold the banked registers of AArch32: 1 non-secure, 2 Hyp,
//! 3 secure.

use super::{Registers, mpu};
use crate::{
    addr::Hva,
    bits::bit,
    memory::Memory,
    qemu::{
        Wrong, objects,
        structs::{Struct, Structs},
        symbols::Target,
    },
    regs::{
        Aarch64General, ArmGeneral, ArmModel, ArmRegime, ArmRegs, ArmState, ArmStatus, Cpu,
        GeneralRegs, N_RW, PAN, Register, Regs,
    },
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
    let found = mpu::read(structs, cpu, target, regime.el)?;
    let regs = ArmRegs {
        el: found.privileged.map_or(regime.el, u8::from),
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
        mpu: found.mpu,
        ..ArmRegs::new(regime.state)
    };
    let found = with_generation(structs, cpu, &env, &regime, Cpu::told(Regs::Arm(regs)))?;
    let pc = if arch64 { env.get("pc")? } else { env.element("regs", 16, 15)? };
    let world = regime.secure.then_some("secure");
    let general = if arch64 { aarch64(&env) } else { arm(&env) }.ok();
    let space = usize::from(regime.secure);
    Ok(Registers { cpu: Some(found), other: None, general, pc: Some(pc), world, space })
}

fn aarch64(env: &Struct<'_>) -> Result<GeneralRegs, Wrong> {
    let mut found = Aarch64General {
        sp: env.element("xregs", 32, 31)?,
        pc: env.get("pc")?,
        // Beside it the emulator keeps the conditions, DAIF and, if it knows that, BTYPE.
        pstate: env.get("pstate")?
            | conditions(env)?
            | env.get("daif")?
            | env.first_of(&["btype"]).unwrap_or(0) << 10,
        ..Aarch64General::default()
    };
    for (number, value) in found.regs.iter_mut().enumerate() {
        *value = env.element("xregs", 32, number)?;
    }
    Ok(GeneralRegs::Aarch64(found))
}

fn arm(env: &Struct<'_>) -> Result<GeneralRegs, Wrong> {
    /// A, I and F, as in DAIF.
    const MASKS: u64 = 0b111 << 6;
    let it = env.get("condexec_bits")?;
    // Beside it: conditions, Q, IT in two parts, GE, the masks, T.
    let cpsr = env.get("uncached_cpsr")?
        | conditions(env)?
        | env.get("QF")? << 27
        | (it & 0b11) << 25
        | (it >> 2) << 10
        | env.get("GE")? << 16
        | env.get("daif")? & MASKS
        | env.get("thumb")? << 5;
    let mut found = ArmGeneral { cpsr: cpsr as u32, ..ArmGeneral::default() };
    for (number, value) in found.regs.iter_mut().enumerate() {
        *value = env.element("regs", 16, number)? as u32;
    }
    Ok(GeneralRegs::Arm(found))
}

/// N, Z, C and V in their places. The emulator keeps each as it comes out of a
/// calculation: N and V are bit 31, Z is set if the value is zero.
fn conditions(env: &Struct<'_>) -> Result<u64, Wrong> {
    let negative = env.get("NF")? >> 31 & 1;
    let zero = u64::from(env.get("ZF")? == 0);
    let overflow = env.get("VF")? >> 31 & 1;
    Ok(negative << 31 | zero << 30 | (env.get("CF")? & 1) << 29 | overflow << 28)
}

/// What CPUs before ARMv7 differ in: the version of the architecture, which the name
/// of the CPU's type tells, and FCSEIDR.
fn with_generation<M: Memory<Hva>>(
    structs: &Structs<'_, M>,
    cpu: &Struct<'_>,
    env: &Struct<'_>,
    regime: &ArmRegime,
    mut found: Cpu,
) -> Result<Cpu, Wrong> {
    let Regs::Arm(regs) = &mut found.regs else { return Ok(found) };
    let fcseidr = if is_secure32(regime) { "cp15.fcseidr_s" } else { "cp15.fcseidr_ns" };
    if let Some(value) = env.first_of(&[fcseidr]) {
        regs.fcseidr = value;
        found.known = found.known.with(Register::FcseIdr);
    }
    if structs.knows("TypeImpl") {
        let types = objects::types(structs, cpu.address)?;
        if let Some(model) = types.iter().find_map(|name| ArmModel::of_type(name)) {
            (regs.version, regs.xscale) = (model.version, model.xscale);
        }
        found.known = found.known.with(Register::ArmVersion).with(Register::Xscale);
    }
    Ok(found)
}

const fn is_secure32(regime: &ArmRegime) -> bool {
    matches!(regime.state, ArmState::Aarch32) && regime.bank == 3
}

fn dacr(env: &Struct<'_>, regime: &ArmRegime) -> Result<u64, Wrong> {
    env.get(if is_secure32(regime) { "cp15.dacr_s" } else { "cp15.dacr_ns" })
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
