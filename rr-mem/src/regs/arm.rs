//! The ARM registers that steer stage-1 translation: Arm Architecture
//! Reference Manual for A-profile (DDI 0487), "AArch64 System Register
//! Descriptions" and "AArch32 System Register Descriptions".

use serde::{Deserialize, Serialize};

use super::mpu::{Mpu, MpuKind};
use super::register::{Entry, Info, Register, Values};
use crate::{addr::hex, bits::bit};

/// The execution state that owns the translation regime.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum ArmState {
    /// AArch32: short descriptors, or long ones when TTBCR.EAE is set.
    Aarch32,
    /// AArch64.
    Aarch64,
}

/// System registers of one ARM CPU: those of the regime in force. At EL2 or
/// EL3 they are that level's own (TTBR0_EL2, TCR_EL2, ...; Hyp mode: HTTBR,
/// HTCR, HSCTLR).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ArmRegs {
    /// Execution state.
    pub state: ArmState,
    /// Current exception level, 0 to 3; 0 uses the EL1&0 regime.
    pub el: u8,
    /// TTBR0 (64 bits; the short format uses the low 32).
    #[serde(with = "hex")]
    pub ttbr0: u64,
    /// TTBR1.
    #[serde(with = "hex")]
    pub ttbr1: u64,
    /// TCR_ELx, or TTBCR in AArch32 state.
    #[serde(with = "hex")]
    pub tcr: u64,
    /// SCTLR_ELx, or SCTLR.
    #[serde(with = "hex")]
    pub sctlr: u64,
    /// DACR: the domain access rights of the short format.
    #[serde(with = "hex")]
    pub dacr: u64,
    /// HCR_EL2; E2H (bit 34) turns EL2 into the EL2&0 regime.
    #[serde(with = "hex")]
    pub hcr: u64,
    /// VTTBR_EL2: the second stage's tables, which no walk here follows.
    #[serde(with = "hex")]
    pub vttbr: u64,
    /// VTCR_EL2.
    #[serde(with = "hex")]
    pub vtcr: u64,
    /// PSTATE.PAN: privileged data accesses to user pages fault.
    pub pan: bool,
    /// ID_AA64MMFR0_EL1.PARange as bits: the physical address size.
    pub phys_bits: u8,
    /// FCSEIDR, before ARMv7: bits 31:25 are put before the lowest 32 MB of
    /// addresses.
    #[serde(with = "hex")]
    pub fcseidr: u64,
    /// TCR2_ELx.
    #[serde(with = "hex")]
    pub tcr2: u64,
    /// SCTLR2_ELx.
    #[serde(with = "hex")]
    pub sctlr2: u64,
    /// PIR_ELx: what each permission index allows the regime's own level.
    #[serde(with = "hex")]
    pub pir: u64,
    /// PIRE0_ELx: what it allows EL0.
    #[serde(with = "hex")]
    pub pire0: u64,
    /// POR_ELx: what each overlay index leaves to the regime's own level.
    #[serde(with = "hex")]
    pub por: u64,
    /// POR_EL0: what it leaves to EL0.
    #[serde(with = "hex")]
    pub por_el0: u64,
    /// GPCCR_EL3: the granule protection tables of FEAT_RME.
    #[serde(with = "hex")]
    pub gpccr: u64,
    /// The version of the architecture, 4 to 9: before 7, AArch32 may have other
    /// tables.
    pub version: u8,
    /// An XScale, whose coarse tables of ARMv5 have extended small pages. Elsewhere
    /// what means these is reserved, so that they are usual.
    pub xscale: bool,
    /// The MPU that stands instead of an MMU, if one does.
    pub mpu: Mpu,
}

impl Default for ArmRegs {
    fn default() -> Self {
        Self::new(ArmState::Aarch64)
    }
}

impl ArmRegs {
    /// SCTLR.M, bit 0: the MMU is on.
    pub const SCTLR_M: u64 = 1;
    /// TTBCR.EAE, bit 31: long descriptors in AArch32 state.
    pub const TTBCR_EAE: u64 = 1 << 31;
    /// SCTLR.AFE, bit 29: AP\[0\] is the access flag in short descriptors.
    pub const SCTLR_AFE: u64 = 1 << 29;

    /// The usual kernel at EL1 with the MMU on: AArch64 with 4 KB granules and
    /// 48-bit addresses in both halves; AArch32 with short descriptors, the
    /// table base in TTBR0 and every domain a client.
    #[must_use]
    pub const fn new(state: ArmState) -> Self {
        let tcr = match state {
            ArmState::Aarch32 => 0,
            // T0SZ and T1SZ 16, TG0 = 4 KB, TG1 (0b10) = 4 KB, IPS = 48 bits.
            ArmState::Aarch64 => 16 | 16 << 16 | 0b10 << 30 | 0b101 << 32,
        };
        Self {
            state,
            el: 1,
            ttbr0: 0,
            ttbr1: 0,
            tcr,
            sctlr: Self::SCTLR_M,
            dacr: 0x5555_5555,
            hcr: 0,
            vttbr: 0,
            vtcr: 0,
            pan: false,
            phys_bits: 52,
            fcseidr: 0,
            tcr2: 0,
            sctlr2: 0,
            pir: 0,
            pire0: 0,
            por: 0,
            por_el0: 0,
            gpccr: 0,
            version: match state {
                ArmState::Aarch32 => 7,
                ArmState::Aarch64 => 8,
            },
            xscale: true,
            mpu: Mpu::NONE,
        }
    }

    /// Whether the regime is AArch64's.
    #[must_use]
    pub const fn arch64(&self) -> bool {
        matches!(self.state, ArmState::Aarch64)
    }

    /// SCTLR.M: the MMU is on.
    #[must_use]
    pub const fn mmu_on(&self) -> bool {
        self.sctlr & Self::SCTLR_M != 0 && !self.mpu.exists()
    }

    /// SCTLR.EE, bit 25: descriptors are big-endian.
    #[must_use]
    pub const fn big_endian_tables(&self) -> bool {
        bit(self.sctlr, 25)
    }

    /// The registers that rights by index take: "Stage 1 Indirect permissions", "Stage 1
    /// permission overlays"; TCR2_ELx.PIE, POE and E0POE, at EL3 TCR_EL3.PIE and POE.
    pub(super) fn permission_registers(&self) -> [Option<Register>; 4] {
        let (pie, poe) = match self.el {
            3 => (bit(self.tcr, 35), bit(self.tcr, 36)),
            _ => (bit(self.tcr2, 1), bit(self.tcr2, 3)),
        };
        let counts = |register, on: bool| (on && self.arch64()).then_some(register);
        [
            counts(Register::Pir, pie),
            counts(Register::Pire0, pie && self.el < 3),
            counts(Register::Por, poe),
            counts(Register::PorEl0, bit(self.tcr2, 2) && self.el < 3),
        ]
    }

    /// SCTLR.XP, bit 23, of ARMv6: short descriptors without subpages.
    #[must_use]
    pub const fn xp(&self) -> bool {
        bit(self.sctlr, 23)
    }

    /// SCTLR.WXN, bit 19: what can be written cannot be executed.
    #[must_use]
    pub const fn wxn(&self) -> bool {
        bit(self.sctlr, 19)
    }

    /// Whether tables are those of ARMv4 and ARMv5: before ARMv6, or with SCTLR.XP
    /// = 0.
    #[must_use]
    pub const fn subpages(&self) -> bool {
        !self.arch64() && (self.version < 6 || self.version == 6 && !self.xp())
    }

    /// Whether descriptors have the long format.
    #[must_use]
    pub const fn long_descriptors(&self) -> bool {
        match self.state {
            ArmState::Aarch64 => true,
            // Hyp mode (EL2) has long descriptors only.
            ArmState::Aarch32 if self.version < 7 => false,
            ArmState::Aarch32 => self.tcr & Self::TTBCR_EAE != 0 || self.el == 2,
        }
    }
}

/// The registers of ARM, in the order of answers.
pub(super) static REGISTERS: [Entry<ArmRegs>; 25] = [
    Entry::new(
        Info::new(Register::El, "EL", "el", "ARM: current exception level, 0 to 3")
            .takes(Values::Range(0, 3)),
        |regs| regs.el.into(),
        |regs, value| regs.el = value as u8,
    ),
    Entry::new(
        Info::new(Register::Ttbr0, "TTBR0", "ttbr0", "ARM: TTBR0 of the regime in force")
            .table_base(),
        |regs| regs.ttbr0,
        |regs, value| regs.ttbr0 = value,
    ),
    Entry::new(
        Info::new(Register::Ttbr1, "TTBR1", "ttbr1", "ARM: TTBR1").table_base(),
        |regs| regs.ttbr1,
        |regs, value| regs.ttbr1 = value,
    ),
    Entry::new(
        Info::new(Register::Tcr, "TCR", "tcr", "ARM: TCR_ELx, or TTBCR in AArch32 state")
            .chooses_mode()
            .or("ttbcr"),
        |regs| regs.tcr,
        |regs, value| regs.tcr = value,
    ),
    Entry::new(
        Info::new(Register::Sctlr, "SCTLR", "sctlr", "ARM: SCTLR"),
        |regs| regs.sctlr,
        |regs, value| regs.sctlr = value,
    ),
    Entry::new(
        Info::new(Register::Dacr, "DACR", "dacr", "ARM: DACR, the domains of short descriptors"),
        |regs| regs.dacr,
        |regs, value| regs.dacr = value,
    ),
    Entry::new(
        Info::new(Register::Hcr, "HCR", "hcr", "ARM: HCR_EL2 (E2H matters at EL2)"),
        |regs| regs.hcr,
        |regs, value| regs.hcr = value,
    ),
    Entry::new(
        Info::new(Register::Vttbr, "VTTBR", "vttbr", "ARM: VTTBR_EL2").not_given(),
        |regs| regs.vttbr,
        |regs, value| regs.vttbr = value,
    ),
    Entry::new(
        Info::new(Register::Vtcr, "VTCR", "vtcr", "ARM: VTCR_EL2").not_given(),
        |regs| regs.vtcr,
        |regs, value| regs.vtcr = value,
    ),
    Entry::new(
        Info::new(Register::Pan, "PAN", "pan", "ARM: PSTATE.PAN").takes(Values::Switch),
        |regs| regs.pan.into(),
        |regs, value| regs.pan = value != 0,
    ),
    Entry::new(
        super::PHYS_BITS,
        |regs| regs.phys_bits.into(),
        |regs, value| regs.phys_bits = value as u8,
    ),
    Entry::new(
        Info::new(Register::FcseIdr, "FCSEIDR", "fcseidr", "ARM before v7: FCSEIDR")
            .rare()
            .unremarkable(),
        |regs| regs.fcseidr,
        |regs, value| regs.fcseidr = value,
    ),
    Entry::new(
        Info::new(Register::Tcr2, "TCR2", "tcr2", "ARM: TCR2_ELx").rare(),
        |regs| regs.tcr2,
        |regs, value| regs.tcr2 = value,
    ),
    Entry::new(
        Info::new(Register::Sctlr2, "SCTLR2", "sctlr2", "ARM: SCTLR2_ELx").rare().unremarkable(),
        |regs| regs.sctlr2,
        |regs, value| regs.sctlr2 = value,
    ),
    Entry::new(
        Info::new(Register::Pir, "PIR", "pir", "ARM: PIR_ELx, the permission indices")
            .rare()
            .unremarkable(),
        |regs| regs.pir,
        |regs, value| regs.pir = value,
    ),
    Entry::new(
        Info::new(Register::Pire0, "PIRE0", "pire0", "ARM: PIRE0_ELx, those of EL0")
            .rare()
            .unremarkable(),
        |regs| regs.pire0,
        |regs, value| regs.pire0 = value,
    ),
    Entry::new(
        Info::new(Register::Por, "POR", "por", "ARM: POR_ELx, the permission overlay")
            .rare()
            .unremarkable(),
        |regs| regs.por,
        |regs, value| regs.por = value,
    ),
    Entry::new(
        Info::new(Register::PorEl0, "POR_EL0", "por_el0", "ARM: POR_EL0, that of EL0")
            .rare()
            .unremarkable(),
        |regs| regs.por_el0,
        |regs, value| regs.por_el0 = value,
    ),
    Entry::new(
        Info::new(Register::Gpccr, "GPCCR", "gpccr", "ARM: GPCCR_EL3").rare().unremarkable(),
        |regs| regs.gpccr,
        |regs, value| regs.gpccr = value,
    ),
    Entry::new(
        Info::new(
            Register::ArmVersion,
            "ARM_VERSION",
            "arm_version",
            "ARM: the version of the architecture, 4 to 9",
        )
        .takes(Values::Range(4, 9))
        .rare()
        .unremarkable(),
        |regs| regs.version.into(),
        |regs, value| regs.version = value as u8,
    ),
    Entry::new(
        Info::new(Register::Pmsa, "PMSA", "pmsa", "ARM: the kind of MPU, 0 for none")
            .takes(Values::Range(0, MpuKind::ALL.len() as u64 - 1))
            .feature()
            .unremarkable(),
        |regs| regs.mpu.kind as u64,
        |regs, value| regs.mpu.kind = MpuKind::from_number(value),
    ),
    Entry::new(
        Info::new(Register::MpuCtrl, "MPU_CTRL", "mpu_ctrl", "ARM, M profile: MPU_CTRL")
            .takes(Values::Range(0, 0xffff_ffff))
            .feature()
            .unremarkable(),
        |regs| regs.mpu.control.into(),
        |regs, value| regs.mpu.control = value as u32,
    ),
    Entry::new(
        Info::new(
            Register::NegativePriority,
            "NEGATIVE_PRIORITY",
            "negative_priority",
            "ARM, M profile: whether the priority of execution is negative",
        )
        .takes(Values::Switch)
        .feature()
        .unremarkable(),
        |regs| regs.mpu.negative.into(),
        |regs, value| regs.mpu.negative = value != 0,
    ),
    Entry::new(
        Info::new(
            Register::Xscale,
            "XSCALE",
            "xscale",
            "ARMv5: whether coarse tables have extended small pages, as XScale's do",
        )
        .takes(Values::Switch)
        .rare()
        .unremarkable(),
        |regs| regs.xscale.into(),
        |regs, value| regs.xscale = value != 0,
    ),
    Entry::new(
        Info::new(Register::State, "STATE", "state", "ARM: the execution state, 32 or 64")
            .takes(Values::Either(32, 64))
            .feature()
            .unremarkable(),
        |regs| if regs.arch64() { 64 } else { 32 },
        |regs, value| {
            regs.state = if value == 64 { ArmState::Aarch64 } else { ArmState::Aarch32 };
        },
    ),
];
