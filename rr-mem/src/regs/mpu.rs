//! What an MPU holds: Arm Architecture Reference Manual for ARMv7-A and ARMv7-R (DDI
//! 0406C.d), "CP15 c6, Memory region programming registers"; for ARMv7-M (DDI
//! 0403E.e), "MPU Region Attribute and Size Register"; the supplement for ARMv8-R
//! AArch32 (DDI 0568), "PRBAR", "PRLAR".
//!
//! Not here: what regions mean, which is the walk's affair.

use serde::{Deserialize, Serialize};

/// Which regions an MPU has. Numbers are those of the register PMSA.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum MpuKind {
    /// None: the CPU has an MMU.
    #[default]
    None,
    /// Some that are not known, or of which no walk here knows the meaning.
    Unknown,
    /// PMSAv6 and PMSAv7 of the R profile.
    V7R,
    /// PMSAv6 and PMSAv7 of the M profile.
    V7M,
    /// PMSAv8-32 of the R profile.
    V8R,
}

impl MpuKind {
    pub(crate) const ALL: [Self; 5] = [Self::None, Self::Unknown, Self::V7R, Self::V7M, Self::V8R];

    /// Of the M profile.
    #[must_use]
    pub const fn is_m(self) -> bool {
        matches!(self, Self::V7M)
    }

    pub(super) fn from_number(number: u64) -> Self {
        let known = Self::ALL.get(usize::try_from(number).unwrap_or(usize::MAX));
        known.copied().unwrap_or(Self::Unknown)
    }
}

/// A region, as its registers hold it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct MpuRegion {
    /// DRBAR or MPU_RBAR; PRBAR.
    pub base: u32,
    /// MPU_RASR; of the R profile DRSR, and DRACR in its upper half. Of PMSAv8 PRLAR.
    pub attributes: u32,
}

/// An MPU.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Mpu {
    /// Which regions it has.
    pub kind: MpuKind,
    /// MPU_CTRL, of the M profile; the R profile has SCTLR.
    pub control: u32,
    /// Of the M profile: the priority of execution is negative, as in HardFault and
    /// NMI and while FAULTMASK is set.
    pub negative: bool,
    /// How many regions it has.
    count: u8,
    regions: [MpuRegion; Self::MOST],
}

impl Mpu {
    /// Regions that an MPU has, at most.
    pub const MOST: usize = 32;

    /// An MMU is there instead.
    pub const NONE: Self = Self {
        kind: MpuKind::None,
        control: 0,
        negative: false,
        count: 0,
        regions: [MpuRegion { base: 0, attributes: 0 }; Self::MOST],
    };

    /// An MPU with these regions, of which more than [`Mpu::MOST`] are none.
    #[must_use]
    pub fn new(kind: MpuKind, regions: &[MpuRegion]) -> Self {
        Self { kind, ..Self::NONE }.with_regions(regions)
    }

    /// The same with these regions instead.
    #[must_use]
    pub fn with_regions(self, regions: &[MpuRegion]) -> Self {
        if regions.len() > Self::MOST {
            return Self { kind: MpuKind::Unknown, ..self };
        }
        let mut all = [MpuRegion::default(); Self::MOST];
        all[..regions.len()].copy_from_slice(regions);
        Self { count: regions.len() as u8, regions: all, ..self }
    }

    /// Its regions, by number.
    #[must_use]
    pub fn regions(&self) -> &[MpuRegion] {
        &self.regions[..usize::from(self.count).min(Self::MOST)]
    }

    /// Whether the CPU has one, instead of an MMU.
    #[must_use]
    pub const fn exists(&self) -> bool {
        !matches!(self.kind, MpuKind::None)
    }
}
