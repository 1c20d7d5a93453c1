//! `CPUARMState`: the registers of the regime in force. Arm Architecture
//! Reference Manual for A-profile (DDI 0487), "Translation regimes". Arrays by
//! exception level hold the banked registers of AArch32: 1 non-secure, 2 Hyp,
//! 3 secure.

use super::Registers;
use crate::{
    addr::Hva,
    bits::{bit, field},
    memory::Memory,
    qemu::{
        Wrong,
        structs::{Struct, Structs},
        symbols::Target,
    },
    regs::{ArmRegs, ArmState, Regs},
};

/// CPSR.M.
pub(in crate::qemu) const USER: u64 = 0x10;
pub(in crate::qemu) const MONITOR: u64 = 0x16;
pub(in crate::qemu) const HYP: u64 = 0x1a;
/// PSTATE.nRW, and the bit of CPSR.M that every mode has.
pub(in crate::qemu) const N_RW: u32 = 4;
/// PSTATE.PAN and CPSR.PAN.
pub(in crate::qemu) const PAN: u32 = 22;
/// HCR_EL2.
const TGE: u32 = 27;
const RW: u32 = 31;
const E2H: u32 = 34;
/// SCR_EL3.
const NS: u32 = 0;
const SCR_RW: u32 = 10;
/// ID_AA64MMFR0_EL1.PARange.
const PA_RANGE: [u8; 7] = [32, 36, 40, 42, 44, 48, 52];

/// The features that decide which registers are in force.
struct Features {
    /// ID_AA64PFR0_EL1 and ID_AA64MMFR0_EL1; 0 of CPUs without AArch64.
    pfr0: u64,
    mmfr0: u64,
    /// Whether there is a secure world.
    secure: bool,
}

/// The regime in force.
struct Regime {
    state: ArmState,
    el: u8,
    /// Which of the banked registers are its own.
    bank: usize,
    /// In the secure world.
    secure: bool,
}

pub(super) fn read<M: Memory<Hva>>(
    structs: &Structs<'_, M>,
    cpu: &Struct<'_>,
    env: u64,
    target: Target,
) -> Result<Registers, Wrong> {
    let features = Features::read(structs, cpu, target)?;
    let narrow = target == Target::Arm && structs.knows("CPUARMState@arm");
    let env = structs.at(if narrow { "CPUARMState@arm" } else { "CPUARMState" }, env)?;
    let regime = Regime::new(&env, &features)?;
    let arch64 = env.flag("aarch64");
    let status = env.get(if arch64 { "pstate" } else { "uncached_cpsr" })?;
    if env.get("aarch64")? > 1 || bit(status, N_RW) == arch64 || arch64 && !features.arch64() {
        return Err(Wrong::at("no ARM registers are", env.address));
    }
    let banked = |member| env.element(member, 4, regime.bank);
    let regs = ArmRegs {
        el: regime.el,
        ttbr0: banked("cp15.ttbr0_el")?,
        ttbr1: banked("cp15.ttbr1_el")?,
        tcr: banked("cp15.tcr_el")?,
        sctlr: banked("cp15.sctlr_el")?,
        dacr: dacr(&env, &regime)?,
        hcr: env.get("cp15.hcr_el2")?,
        pan: bit(status, PAN),
        phys_bits: features.phys_bits(),
        ..ArmRegs::new(regime.state)
    };
    let pc = if arch64 { env.get("pc")? } else { env.element("regs", 16, 15)? };
    let world = regime.secure.then_some("secure");
    Ok(Registers { regs: Regs::Arm(regs), pc, world, space: usize::from(regime.secure) })
}

fn dacr(env: &Struct<'_>, regime: &Regime) -> Result<u64, Wrong> {
    let secure = regime.state == ArmState::Aarch32 && regime.bank == 3;
    env.get(if secure { "cp15.dacr_s" } else { "cp15.dacr_ns" })
}

impl Features {
    fn read<M: Memory<Hva>>(
        structs: &Structs<'_, M>,
        cpu: &Struct<'_>,
        target: Target,
    ) -> Result<Self, Wrong> {
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
        Ok(Self {
            pfr0: id(["isar.id_aa64pfr0", "id_aa64pfr0"])?,
            mmfr0: id(["isar.id_aa64mmfr0", "id_aa64mmfr0"])?,
            secure,
        })
    }

    /// Whether the CPU has AArch64 at all.
    const fn arch64(&self) -> bool {
        self.pfr0 != 0 || self.mmfr0 != 0
    }

    /// ID_AA64PFR0_EL1.EL2.
    const fn el2(&self) -> bool {
        field(self.pfr0, 11, 8) != 0
    }

    fn phys_bits(&self) -> u8 {
        let code = field(self.mmfr0, 3, 0) as usize;
        let known = PA_RANGE.get(code).copied().filter(|_| self.arch64());
        known.unwrap_or(ArmRegs::default().phys_bits)
    }
}

impl Regime {
    fn new(env: &Struct<'_>, features: &Features) -> Result<Self, Wrong> {
        let non_secure = bit(env.get("cp15.scr_el3")?, NS);
        let secure = features.secure && !non_secure;
        if env.flag("aarch64") {
            let el = field(env.get("pstate")?, 3, 2) as u8;
            return Self::aarch64(env, el, secure || features.secure && el == 3);
        }
        let mode = env.get("uncached_cpsr")? & 0x1f;
        if mode == USER && features.arch64() && el1_is_aarch64(env, features)? {
            return Self::aarch64(env, 0, secure);
        }
        let secure = secure || mode == MONITOR;
        let (el, bank) = match mode {
            HYP => (2, 2),
            USER => (0, if secure && !features.arch64() { 3 } else { 1 }),
            MONITOR => (3, 3),
            _ => (1, if secure && !features.arch64() { 3 } else { 1 }),
        };
        Ok(Self { state: ArmState::Aarch32, el, bank, secure })
    }

    fn aarch64(env: &Struct<'_>, el: u8, secure: bool) -> Result<Self, Wrong> {
        let hcr = env.get("cp15.hcr_el2")?;
        // EL0 of a host with HCR_EL2.E2H and TGE belongs to EL2.
        let bank = match el {
            0 if bit(hcr, E2H) && bit(hcr, TGE) => 2,
            0 => 1,
            el => usize::from(el),
        };
        Ok(Self { state: ArmState::Aarch64, el, bank, secure })
    }
}

/// What is above EL1 decides; without anything above, the CPU's own state.
fn el1_is_aarch64(env: &Struct<'_>, features: &Features) -> Result<bool, Wrong> {
    let hcr = env.get("cp15.hcr_el2")?;
    let by_el2 = !features.el2() || bit(hcr, RW) || bit(hcr, E2H) && bit(hcr, TGE);
    let by_el3 = !features.secure || bit(env.get("cp15.scr_el3")?, SCR_RW);
    Ok(by_el2 && by_el3)
}
