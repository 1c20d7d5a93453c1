//! System registers of an ARM CPU: the stream lists them by the numbers that
//! KVM gives them, which are the encodings of MRS, MRC and MRRC. Linux,
//! Documentation/virt/kvm/api.rst, "KVM_SET_ONE_REG"; Arm Architecture
//! Reference Manual for A-profile (DDI 0487), "System register encoding" and
//! "Translation regimes".
//!
//! QEMU lists most registers by their AArch64 encoding, even of CPUs that have
//! AArch32 only; one that is not there does not exist, or is banked in AArch32.

use std::collections::HashMap;

use super::{mpu, state::Numbers};
use crate::{
    bits::bit,
    regs::{
        ArmModel, ArmRegime, ArmRegs, ArmStatus, Cpu, Mpu, MpuKind, N_RW, PAN, Register,
        RegisterSet, Regs,
    },
};

/// KVM_REG_ARM64 with 64 bits, KVM_REG_ARM64_SYSREG.
const ARM64: u64 = 0x6030_0000_0013_0000;
/// KVM_REG_ARM with 32 bits, coprocessor 15. Bit 29 tells the banks apart, but
/// the value is always that of the non-secure one.
const CP15: u64 = 0x4020_0000_000f_0000;
const BANK: u64 = 1 << 29;

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
const TCR2: Banked = banked(2, 0, 3);
const PIR: Banked = banked(10, 2, 3);
const PIRE0: Banked = banked(10, 2, 2);
const POR: Banked = banked(10, 2, 4);
const POR_EL0: u64 = a64(3, 10, 2, 4);
const HCRX_EL2: u64 = a64(4, 1, 2, 2);
const HCR_EL2: u64 = a64(4, 1, 1, 0);
const VTTBR_EL2: u64 = a64(4, 2, 1, 0);
const VTCR_EL2: u64 = a64(4, 2, 1, 2);
const SCR_EL3: u64 = a64(6, 1, 1, 0);
const ID_AA64PFR0_EL1: u64 = a64(0, 0, 4, 0);
const ID_AA64MMFR0_EL1: u64 = a64(0, 0, 7, 0);
const DACR32_EL2: u64 = a64(4, 3, 0, 0);
const DACR: u64 = a32(3, 0, 0, 0);
const FCSEIDR: u64 = a32(13, 0, 0, 0);
const MIDR_EL1: u64 = a64(0, 0, 0, 0);
/// Region 1 of an MPU before ARMv7; nothing else has this encoding.
const PRBS1: u64 = a32(6, 1, 0, 0);
/// The AArch32 encodings, for streams that list no other.
const NARROW: [(u64, u64); 5] = [
    (MIDR_EL1, a32(0, 0, 0, 0)),
    (SCTLR[0], a32(1, 0, 0, 0)),
    (TTBR0[0], a32(2, 0, 0, 0)),
    (TTBR1[0], a32(2, 0, 0, 1)),
    (TCR[0], a32(2, 0, 0, 2)),
];

/// The list, and the processor state.
pub(super) struct SystemRegisters<'n> {
    numbers: &'n Numbers,
    values: HashMap<u64, u64>,
    /// CPSR, or PSTATE in AArch64 state.
    status: u64,
}

impl<'n> SystemRegisters<'n> {
    pub fn read(numbers: &'n Numbers) -> Option<Self> {
        let status = *numbers.get("cpsr")?;
        let element = |list: &str, n: usize| numbers.get(&format!("{list}[{n}]")).copied();
        let pairs = (0..).map_while(|n| {
            let index = element("cpreg_vmstate_indexes", n)?;
            Some((index & !BANK, element("cpreg_vmstate_values", n)?))
        });
        let values: HashMap<u64, u64> = pairs.collect();
        Some(Self { numbers, values, status })
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

    /// The registers of the regime in force.
    pub fn cpu(&self) -> Option<Cpu> {
        let status = self.status();
        let regime = status.regime();
        let of = |register: Banked| self.get(register[regime.bank - 1]);
        if let Some(regs) = self.with_mpu(&regime, of(SCTLR)) {
            return Some(Cpu::told(Regs::Arm(regs)));
        }
        let (ttbr0, tcr, sctlr) = (of(TTBR0)?, of(TCR)?, of(SCTLR)?);
        let dacr = self.get(DACR).or_else(|| self.get(DACR32_EL2));
        let regs = ArmRegs {
            el: regime.el,
            ttbr0,
            ttbr1: of(TTBR1).unwrap_or(0),
            tcr,
            sctlr,
            dacr: dacr.unwrap_or(0),
            hcr: status.hcr,
            vttbr: self.or_zero(VTTBR_EL2),
            vtcr: self.or_zero(VTCR_EL2),
            pan: bit(status.status, PAN),
            phys_bits: status.phys_bits(),
            ..ArmRegs::new(regime.state)
        };
        Some(self.with_generation(self.with_indices(regs, regime.bank)))
    }

    /// What gives rights by index. What is not listed is not there.
    fn with_indices(&self, regs: ArmRegs, bank: usize) -> ArmRegs {
        let of = |register: Banked| self.or_zero(register[bank - 1]);
        // HCRX_EL2.TCR2En and SCR_EL3.TCR2En; without these levels nothing hides it.
        let shown = |register, number| self.get(register).is_none_or(|value| bit(value, number));
        let seen = shown(SCR_EL3, 43) && (bank != 1 || shown(HCRX_EL2, 14));
        ArmRegs {
            tcr2: if seen { of(TCR2) } else { 0 },
            pir: of(PIR),
            pire0: of(PIRE0),
            por: of(POR),
            por_el0: self.or_zero(POR_EL0),
            ..regs
        }
    }

    /// What CPUs before ARMv7 differ in: the version of the architecture, which MIDR
    /// tells, and FCSEIDR, which is not there if it is not listed.
    fn with_generation(&self, mut regs: ArmRegs) -> Cpu {
        let Some(midr) = self.get(MIDR_EL1) else { return Cpu::told_with_indices(regs) };
        if let Some(model) = ArmModel::of_midr(midr) {
            (regs.version, regs.xscale) = (model.version, model.xscale);
        }
        regs.fcseidr = self.or_zero(FCSEIDR);
        let told = Cpu::told_with_indices(regs);
        let known = [Register::ArmVersion, Register::Xscale, Register::FcseIdr];
        Cpu { known: known.into_iter().fold(told.known, RegisterSet::with), ..told }
    }

    /// The registers of a CPU with an MPU. The M profile has no SCTLR.
    fn with_mpu(&self, regime: &ArmRegime, sctlr: Option<u64>) -> Option<ArmRegs> {
        let unknown = Mpu::new(MpuKind::Unknown, &[]);
        let (mpu, el) = match mpu::read(self.numbers, regime.el) {
            Some(found) if found.mpu.kind.is_m() || sctlr.is_some() => {
                (found.mpu, found.privileged.map_or(regime.el, u8::from))
            }
            Some(_) => (unknown, regime.el),
            None if self.values.contains_key(&PRBS1) => (unknown, regime.el),
            None => return None,
        };
        let (sctlr, hcr) = (sctlr.unwrap_or(0), self.or_zero(HCR_EL2));
        Some(ArmRegs { el, sctlr, hcr, mpu, ..ArmRegs::new(regime.state) })
    }

    fn status(&self) -> ArmStatus {
        let status = ArmStatus {
            aarch64: false,
            status: self.status,
            pfr0: self.or_zero(ID_AA64PFR0_EL1),
            mmfr0: self.or_zero(ID_AA64MMFR0_EL1),
            hcr: self.or_zero(HCR_EL2),
            scr: self.get(SCR_EL3),
        };
        ArmStatus { aarch64: !bit(self.status, N_RW) && status.arch64(), ..status }
    }
}
