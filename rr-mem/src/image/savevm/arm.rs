//! System registers of an ARM CPU: the stream lists them by the numbers that
//! KVM gives them, which are the encodings of MRS, MRC and MRRC. Linux,
//! Documentation/virt/kvm/api.rst, "KVM_SET_ONE_REG"; Arm Architecture
//! Reference Manual for A-profile (DDI 0487), "System register encoding" and
//! "Translation regimes".
//!
//! QEMU lists most registers by their AArch64 encoding, even of CPUs that have
//! AArch32 only; one that is not there does not exist, or is banked in AArch32.

use std::collections::HashMap;

use super::cpu::Numbers;
use crate::{
    bits::{bit, field},
    regs::{ArmRegs, ArmState, Cpu, Regs},
};

/// KVM_REG_ARM64 with 64 bits, KVM_REG_ARM64_SYSREG.
const ARM64: u64 = 0x6030_0000_0013_0000;
/// KVM_REG_ARM with 32 bits, coprocessor 15. Bit 29 tells the banks apart, but
/// the value is always that of the non-secure one.
const CP15: u64 = 0x4020_0000_000f_0000;
const BANK: u64 = 1 << 29;

/// CPSR.M.
const USER: u64 = 0x10;
const MONITOR: u64 = 0x16;
const HYP: u64 = 0x1a;
/// PSTATE.nRW.
const N_RW: u32 = 4;
/// PSTATE.PAN and CPSR.PAN.
const PAN: u32 = 22;
/// HCR_EL2.
const TGE: u32 = 27;
const RW: u32 = 31;
const E2H: u32 = 34;
/// SCR_EL3.
const NS: u32 = 0;
const SCR_RW: u32 = 10;
/// ID_AA64MMFR0_EL1.PARange.
const PA_RANGE: [u8; 7] = [32, 36, 40, 42, 44, 48, 52];

/// An AArch64 register: op0 3, then op1, CRn, CRm, op2.
const fn a64(op1: u64, crn: u64, crm: u64, op2: u64) -> u64 {
    ARM64 | 3 << 14 | op1 << 11 | crn << 7 | crm << 3 | op2
}

/// An AArch32 register of coprocessor 15: CRn, CRm, opc1, opc2.
const fn a32(crn: u64, crm: u64, opc1: u64, opc2: u64) -> u64 {
    CP15 | crn << 11 | crm << 7 | opc1 << 3 | opc2
}

/// A register of EL1, EL2 and EL3.
type Banked = [u64; 3];

const fn banked(crn: u64, crm: u64, op2: u64) -> Banked {
    [a64(0, crn, crm, op2), a64(4, crn, crm, op2), a64(6, crn, crm, op2)]
}

const SCTLR: Banked = banked(1, 0, 0);
const TTBR0: Banked = banked(2, 0, 0);
const TTBR1: Banked = banked(2, 0, 1);
const TCR: Banked = banked(2, 0, 2);
const HCR_EL2: u64 = a64(4, 1, 1, 0);
const SCR_EL3: u64 = a64(6, 1, 1, 0);
const ID_AA64PFR0_EL1: u64 = a64(0, 0, 4, 0);
const ID_AA64MMFR0_EL1: u64 = a64(0, 0, 7, 0);
const DACR32_EL2: u64 = a64(4, 3, 0, 0);
const DACR: u64 = a32(3, 0, 0, 0);
/// The AArch32 encodings, for streams that list no other.
const NARROW: [(u64, u64); 4] = [
    (SCTLR[0], a32(1, 0, 0, 0)),
    (TTBR0[0], a32(2, 0, 0, 0)),
    (TTBR1[0], a32(2, 0, 0, 1)),
    (TCR[0], a32(2, 0, 0, 2)),
];

/// The list, and the processor state.
pub(super) struct SystemRegisters {
    values: HashMap<u64, u64>,
    /// CPSR, or PSTATE in AArch64 state.
    status: u64,
}

impl SystemRegisters {
    pub fn read(numbers: &Numbers) -> Option<Self> {
        let status = *numbers.get("cpsr")?;
        let element = |list: &str, n: usize| numbers.get(&format!("{list}[{n}]")).copied();
        let pairs = (0..).map_while(|n| {
            let index = element("cpreg_vmstate_indexes", n)?;
            Some((index & !BANK, element("cpreg_vmstate_values", n)?))
        });
        let values: HashMap<u64, u64> = pairs.collect();
        (!values.is_empty()).then_some(Self { values, status })
    }

    /// The register, by either encoding.
    fn get(&self, index: u64) -> Option<u64> {
        let narrow = || NARROW.iter().find(|(wide, _)| *wide == index);
        let wide = self.values.get(&index);
        wide.or_else(|| self.values.get(&narrow()?.1)).copied()
    }

    fn or_zero(&self, index: u64) -> u64 {
        self.get(index).unwrap_or(0)
    }

    /// Whether the CPU has AArch64 at all.
    fn arch64(&self) -> bool {
        self.or_zero(ID_AA64PFR0_EL1) != 0 || self.or_zero(ID_AA64MMFR0_EL1) != 0
    }

    /// The registers of the regime in force.
    pub fn cpu(&self) -> Option<Cpu> {
        let (state, el, bank) = self.regime();
        let of = |register: Banked| self.get(register[bank - 1]);
        let (ttbr0, tcr, sctlr) = (of(TTBR0)?, of(TCR)?, of(SCTLR)?);
        let dacr = self.get(DACR).or_else(|| self.get(DACR32_EL2));
        let regs = ArmRegs {
            el,
            ttbr0,
            ttbr1: of(TTBR1).unwrap_or(0),
            tcr,
            sctlr,
            dacr: dacr.unwrap_or(0),
            hcr: self.or_zero(HCR_EL2),
            pan: bit(self.status, PAN),
            phys_bits: self.phys_bits(),
            ..ArmRegs::new(state)
        };
        Some(Cpu::known(Regs::Arm(regs)))
    }

    /// State, exception level, and whose registers are in force.
    fn regime(&self) -> (ArmState, u8, usize) {
        if !bit(self.status, N_RW) && self.arch64() {
            return self.aarch64(field(self.status, 3, 2) as u8);
        }
        match field(self.status, 4, 0) {
            USER if self.arch64() && self.el1_is_aarch64() => self.aarch64(0),
            USER => (ArmState::Aarch32, 0, self.narrow_bank()),
            HYP => (ArmState::Aarch32, 2, 2),
            MONITOR => (ArmState::Aarch32, 3, 3),
            _ => (ArmState::Aarch32, 1, self.narrow_bank()),
        }
    }

    /// Whose registers EL1&0 has in AArch32 state: the secure world's are those
    /// of EL3, where that has AArch32 only.
    fn narrow_bank(&self) -> usize {
        let secure = self.get(SCR_EL3).is_some_and(|scr| !bit(scr, NS));
        if secure && !self.arch64() { 3 } else { 1 }
    }

    fn aarch64(&self, el: u8) -> (ArmState, u8, usize) {
        let hcr = self.or_zero(HCR_EL2);
        // EL0 of a host with HCR_EL2.E2H and TGE belongs to EL2.
        let bank = match el {
            0 if bit(hcr, E2H) && bit(hcr, TGE) => 2,
            0 => 1,
            el => usize::from(el),
        };
        (ArmState::Aarch64, el, bank)
    }

    /// What is above EL1 decides; without anything above, the CPU's own state.
    fn el1_is_aarch64(&self) -> bool {
        let hcr = self.or_zero(HCR_EL2);
        let el2 = field(self.or_zero(ID_AA64PFR0_EL1), 11, 8) != 0;
        let by_el2 = !el2 || bit(hcr, RW) || bit(hcr, E2H) && bit(hcr, TGE);
        by_el2 && self.get(SCR_EL3).is_none_or(|scr| bit(scr, SCR_RW))
    }

    fn phys_bits(&self) -> u8 {
        let code = field(self.or_zero(ID_AA64MMFR0_EL1), 3, 0) as usize;
        let known = PA_RANGE.get(code).copied().filter(|_| self.arch64());
        known.unwrap_or(ArmRegs::default().phys_bits)
    }
}
