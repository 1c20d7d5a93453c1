//! Which level's registers steer an ARM CPU's translation at a moment: Arm
//! Architecture Reference Manual for A-profile (DDI 0487), "Translation
//! regimes".
//!
//! Not here: how the tables are read, which is the walk's affair.

use super::{ArmRegs, ArmState};
use crate::bits::{bit, field};

/// CPSR.M.
pub(crate) const USER: u64 = 0x10;
pub(crate) const MONITOR: u64 = 0x16;
pub(crate) const HYP: u64 = 0x1a;
/// PSTATE.nRW, and the bit of CPSR.M that every mode has.
pub(crate) const N_RW: u32 = 4;
/// PSTATE.PAN and CPSR.PAN.
pub(crate) const PAN: u32 = 22;
/// HCR_EL2.
const TGE: u32 = 27;
const RW: u32 = 31;
const E2H: u32 = 34;
/// SCR_EL3.
const NS: u32 = 0;
const SCR_RW: u32 = 10;
/// ID_AA64MMFR0_EL1.PARange.
const PA_RANGE: [u8; 7] = [32, 36, 40, 42, 44, 48, 52];

/// What decides whose registers are in force.
pub(crate) struct ArmStatus {
    /// In AArch64 state.
    pub aarch64: bool,
    /// PSTATE, or CPSR in AArch32 state.
    pub status: u64,
    /// ID_AA64PFR0_EL1; 0 of CPUs without AArch64.
    pub pfr0: u64,
    /// ID_AA64MMFR0_EL1; 0 of CPUs without AArch64.
    pub mmfr0: u64,
    /// HCR_EL2.
    pub hcr: u64,
    /// SCR_EL3, of CPUs with a secure world.
    pub scr: Option<u64>,
}

/// The regime in force.
pub(crate) struct ArmRegime {
    pub state: ArmState,
    pub el: u8,
    /// Which of the registers banked by exception level are its own; in AArch32
    /// state 1 is non-secure, 2 Hyp, 3 secure.
    pub bank: usize,
    /// In the secure world.
    pub secure: bool,
}

impl ArmStatus {
    pub fn regime(&self) -> ArmRegime {
        if self.aarch64 {
            return self.aarch64(field(self.status, 3, 2) as u8);
        }
        match field(self.status, 4, 0) {
            USER if self.arch64() && self.el1_is_aarch64() => self.aarch64(0),
            USER => self.aarch32(0, self.narrow_bank(), self.secure()),
            HYP => self.aarch32(2, 2, self.secure()),
            MONITOR => self.aarch32(3, 3, true),
            _ => self.aarch32(1, self.narrow_bank(), self.secure()),
        }
    }

    /// Whether the CPU has AArch64 at all.
    pub const fn arch64(&self) -> bool {
        self.pfr0 != 0 || self.mmfr0 != 0
    }

    /// The bits of a physical address.
    pub fn phys_bits(&self) -> u8 {
        let code = field(self.mmfr0, 3, 0) as usize;
        let known = PA_RANGE.get(code).copied().filter(|_| self.arch64());
        known.unwrap_or(ArmRegs::default().phys_bits)
    }

    fn aarch32(&self, el: u8, bank: usize, secure: bool) -> ArmRegime {
        ArmRegime { state: ArmState::Aarch32, el, bank, secure }
    }

    fn aarch64(&self, el: u8) -> ArmRegime {
        // EL0 of a host with HCR_EL2.E2H and TGE belongs to EL2.
        let bank = match el {
            0 if self.is_host() => 2,
            0 => 1,
            el => usize::from(el),
        };
        let secure = self.secure() || self.scr.is_some() && el == 3;
        ArmRegime { state: ArmState::Aarch64, el, bank, secure }
    }

    fn secure(&self) -> bool {
        self.scr.is_some_and(|scr| !bit(scr, NS))
    }

    /// Whose registers EL1&0 has in AArch32 state. The secure world's are those
    /// of EL3, if EL3 has AArch32 only.
    fn narrow_bank(&self) -> usize {
        if self.secure() && !self.arch64() { 3 } else { 1 }
    }

    fn is_host(&self) -> bool {
        bit(self.hcr, E2H) && bit(self.hcr, TGE)
    }

    /// What is above EL1 decides; without anything above, the CPU's own state.
    fn el1_is_aarch64(&self) -> bool {
        let el2 = field(self.pfr0, 11, 8) != 0;
        let by_el2 = !el2 || bit(self.hcr, RW) || self.is_host();
        by_el2 && self.scr.is_none_or(|scr| bit(scr, SCR_RW))
    }
}
