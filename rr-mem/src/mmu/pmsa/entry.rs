//! What the registers of a region mean: "CP15 c6, Memory region programming registers"
//! (DDI 0406C.d), "MPU Region Attribute and Size Register" (DDI 0403E.e), "PRBAR" and
//! "PRLAR" (DDI 0568).

use super::PmsaPaging;
use crate::{
    bits::{bit, field, keep, mask},
    regs::{MpuKind, MpuRegion},
};

/// log2 of the smallest region of PMSAv7 with subregions.
const SUBREGIONS: u32 = 8;
/// Subregions of a region.
const EIGHT: u64 = 8;
/// log2 of what the addresses of PMSAv8's regions are aligned to.
const V8_SHIFT: u32 = 6;

/// A region.
#[derive(Clone, Copy, Debug)]
pub(super) enum Region {
    V7(V7),
    V8(V8),
}

/// A region of PMSAv7: base, size and attributes.
#[derive(Clone, Copy, Debug)]
pub(super) struct V7 {
    base: u64,
    rasr: u64,
}

/// A region of PMSAv8: PRBAR and PRLAR.
#[derive(Clone, Copy, Debug)]
pub(super) struct V8 {
    prbar: u64,
    prlar: u64,
}

impl V7 {
    /// DRSR.En, RASR.ENABLE: bit 0.
    const fn enabled(self) -> bool {
        bit(self.rasr, 0)
    }
    /// RSize, SIZE: bits 5:1, one less than log2 of the bytes.
    const fn shift(self) -> u32 {
        field(self.rasr, 5, 1) as u32 + 1
    }
    /// Bits 15:8: a disabled subregion each, if the region is large enough.
    const fn subregion_disabled(self, number: u64) -> bool {
        self.shift() >= SUBREGIONS && field(self.rasr, 15, 8) >> number & 1 != 0
    }
    /// Size 0 is reserved, and so is a base within a region of that size.
    const fn valid(self) -> bool {
        self.shift() > 1 && self.base & mask(self.shift()) == 0
    }
    /// AP, bits 26:24; bits 10:8 of DRACR.
    pub const fn ap(self) -> u64 {
        field(self.rasr, 26, 24)
    }
    /// XN, bit 28; bit 12 of DRACR.
    pub const fn xn(self) -> bool {
        bit(self.rasr, 28)
    }

    fn contains(self, address: u64) -> bool {
        if address < self.base || (address - self.base) >> self.shift() != 0 {
            return false;
        }
        // Without subregions none is disabled.
        let eighth = self.shift().saturating_sub(3);
        !self.subregion_disabled((address - self.base) >> eighth & mask(3))
    }

    fn borders(self) -> impl Iterator<Item = u64> {
        let parts =
            if field(self.rasr, 15, 8) != 0 && self.shift() >= SUBREGIONS { EIGHT } else { 1 };
        (0..=parts).map(move |part| self.base + (part << self.shift()) / parts)
    }
}

impl V8 {
    /// PRLAR.EN, bit 0.
    const fn enabled(self) -> bool {
        bit(self.prlar, 0)
    }
    /// PRBAR.BASE, bits 31:6.
    const fn base(self) -> u64 {
        keep(self.prbar, 31, V8_SHIFT)
    }
    /// PRLAR.LIMIT, bits 31:6: the last address has ones below.
    const fn last(self) -> u64 {
        keep(self.prlar, 31, V8_SHIFT) | mask(V8_SHIFT)
    }
    /// PRBAR.AP\[2\], bit 2: read-only.
    pub const fn read_only(self) -> bool {
        bit(self.prbar, 2)
    }
    /// PRBAR.AP\[1\], bit 1: lets EL0 in.
    pub const fn user(self) -> bool {
        bit(self.prbar, 1)
    }
    /// PRBAR.XN, bit 0.
    pub const fn xn(self) -> bool {
        bit(self.prbar, 0)
    }
}

impl Region {
    pub fn new(kind: MpuKind, of: MpuRegion) -> Self {
        let (base, attributes) = (u64::from(of.base), u64::from(of.attributes));
        match kind {
            MpuKind::V8R => Self::V8(V8 { prbar: base, prlar: attributes }),
            _ => Self::V7(V7 { base, rasr: attributes }),
        }
    }

    pub fn enabled(&self) -> bool {
        match self {
            Self::V7(of) => of.enabled() && of.valid(),
            Self::V8(of) => of.enabled(),
        }
    }

    pub fn contains(&self, address: u64) -> bool {
        match self {
            Self::V7(of) => of.contains(address),
            Self::V8(of) => (of.base()..=of.last()).contains(&address),
        }
    }

    /// Where it begins and ends, and where its subregions do.
    pub fn borders(self) -> Vec<u64> {
        match self {
            Self::V7(of) => of.borders().collect(),
            Self::V8(of) => vec![of.base(), of.last() + 1],
        }
    }

    /// Its first address.
    pub const fn base(&self) -> u64 {
        match self {
            Self::V7(of) => of.base,
            Self::V8(of) => of.base(),
        }
    }

    /// RASR; of PMSAv8 PRBAR, and PRLAR above it.
    pub const fn raw(&self) -> u64 {
        match self {
            Self::V7(of) => of.rasr,
            Self::V8(of) => of.prbar | of.prlar << 32,
        }
    }
}

impl PmsaPaging {
    /// The names of what is set in a region's attributes.
    pub(super) fn names(&self, raw: u64) -> Vec<&'static str> {
        const V7: [(u32, &str); 7] = [
            (24, "AP[0]"),
            (25, "AP[1]"),
            (26, "AP[2]"),
            (28, "XN"),
            (18, "S"),
            (17, "C"),
            (16, "B"),
        ];
        const V8: [(u32, &str); 3] = [(1, "USER"), (2, "RO"), (0, "XN")];
        let v8 = self.kind() == MpuKind::V8R;
        let names = if v8 { V8.as_slice() } else { V7.as_slice() };
        let set = names.iter().filter(|(number, _)| bit(raw, *number)).map(|(_, name)| *name);
        let holes = !v8 && field(raw, 15, 8) != 0 && field(raw, 5, 1) as u32 + 1 >= SUBREGIONS;
        set.chain(holes.then_some("SRD")).collect()
    }
}
