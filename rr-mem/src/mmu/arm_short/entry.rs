//! What the bits of a descriptor mean: "Short-descriptor translation table
//! first-level descriptor formats" and those of the second level.

use super::ShortPaging;
use crate::{
    bits::{bit, field, keep},
    mmu::Level,
};

/// A first-level descriptor. Bits are those of "Short-descriptor translation
/// table first-level descriptor formats".
#[derive(Clone, Copy)]
pub(super) struct First(pub u64);

impl First {
    /// Bits 1:0 are 0b00: no mapping.
    pub const fn invalid(self) -> bool {
        field(self.0, 1, 0) == 0b00
    }
    /// Bits 1:0 are 0b01: a second-level table.
    pub const fn table(self) -> bool {
        field(self.0, 1, 0) == 0b01
    }
    /// Bits 1:0 are 0b11: a section with PXN, reserved before ARMv7.
    pub const fn section_pxn(self) -> bool {
        field(self.0, 1, 0) == 0b11
    }
    /// Bit 18 of a section: it is a supersection, 16 MB.
    pub const fn supersection(self) -> bool {
        bit(self.0, 18)
    }
    /// Bits 31:10: the second-level table, 1 KB of it.
    pub const fn table_address(self) -> u64 {
        keep(self.0, 31, 10)
    }
    /// Bits 31:20: the section, 1 MB.
    pub const fn section_address(self) -> u64 {
        keep(self.0, 31, 20)
    }
    /// PA\[39:24\]: 31:24 in place, 35:32 from bits 23:20, 39:36 from bits 8:5.
    pub const fn supersection_address(self) -> u64 {
        keep(self.0, 31, 24) | field(self.0, 23, 20) << 32 | field(self.0, 8, 5) << 36
    }
    /// Bits 8:5: the domain. A supersection's is 0: its bits hold an address.
    pub const fn domain(self) -> u8 {
        if !self.table() && self.supersection() { 0 } else { field(self.0, 8, 5) as u8 }
    }
    /// Bit 2 of a table, PXN.
    pub const fn table_pxn(self) -> bool {
        bit(self.0, 2)
    }
    /// The rights of a section: bit 0 PXN, 4 XN, 15 AP\[2\], 11:10 AP\[1:0\].
    pub const fn attributes(self) -> Attributes {
        Attributes {
            ap: (field(self.0, 15, 15) << 2 | field(self.0, 11, 10)) as u8,
            xn: bit(self.0, 4),
            pxn: bit(self.0, 0),
        }
    }
}

/// A second-level descriptor. Bits are those of "Short-descriptor translation
/// table second-level descriptor formats".
#[derive(Clone, Copy)]
pub(super) struct Second(pub u64);

impl Second {
    /// Bits 1:0 are 0b00: no mapping.
    pub const fn invalid(self) -> bool {
        field(self.0, 1, 0) == 0b00
    }
    /// Bit 1: a small page, 4 KB; otherwise a large page, 64 KB.
    pub const fn small(self) -> bool {
        bit(self.0, 1)
    }
    /// Bits 31:12: the small page.
    pub const fn small_address(self) -> u64 {
        keep(self.0, 31, 12)
    }
    /// Bits 31:16: the large page.
    pub const fn large_address(self) -> u64 {
        keep(self.0, 31, 16)
    }
    /// Bit 0 of a small page, bit 15 of a large one.
    pub const fn xn(self) -> bool {
        bit(self.0, if self.small() { 0 } else { 15 })
    }
    /// The rights of a page: 9 AP\[2\], 5:4 AP\[1:0\]; PXN is its table's.
    pub const fn attributes(self, pxn: bool) -> Attributes {
        Attributes {
            ap: (field(self.0, 9, 9) << 2 | field(self.0, 5, 4)) as u8,
            xn: self.xn(),
            pxn,
        }
    }
}

/// What a section or page says of accesses to it.
#[derive(Clone, Copy)]
pub(super) struct Attributes {
    /// AP\[2:0\].
    pub ap: u8,
    pub xn: bool,
    pub pxn: bool,
}

impl Attributes {
    /// AP\[0\] while SCTLR.AFE = 1.
    pub const fn access_flag(self) -> bool {
        self.ap & 1 != 0
    }
}

impl ShortPaging {
    /// The names of the bits of the descriptor `raw` that are set.
    pub(super) fn names(&self, level: Level, raw: u64, leaf: bool) -> Vec<&'static str> {
        let (name, ng, s) = match level {
            Level::First if First(raw).invalid() => return Vec::new(),
            Level::First if !leaf => {
                let pxn = self.table_pxn(First(raw)).then_some("PXN");
                return ["TABLE"].into_iter().chain(pxn).collect();
            }
            Level::First if First(raw).supersection() => ("SUPERSECTION", 17, 16),
            Level::First => ("SECTION", 17, 16),
            _ if Second(raw).invalid() => return Vec::new(),
            _ if Second(raw).small() => ("SMALL", 11, 10),
            _ => ("LARGE", 11, 10),
        };
        let attributes = match level {
            Level::First => First(raw).attributes(),
            _ => Second(raw).attributes(false),
        };
        let mut flags = vec![name];
        flags.extend(self.permission_names(attributes));
        flags.extend(bit(raw, s).then_some("S"));
        flags.extend(bit(raw, ng).then_some("nG"));
        flags
    }

    /// The names of the permission bits that are set.
    fn permission_names(&self, attributes: Attributes) -> impl Iterator<Item = &'static str> {
        let Attributes { ap, xn, pxn } = attributes;
        let names = if self.access_flag_enable() {
            [(0b001, "AF"), (0b010, "USER"), (0b100, "RO")]
        } else {
            [(0b001, "AP[0]"), (0b010, "AP[1]"), (0b100, "AP[2]")]
        };
        let ap = names.into_iter().filter(move |(mask, _)| ap & mask != 0).map(|(_, name)| name);
        ap.chain(xn.then_some("XN")).chain(pxn.then_some("PXN"))
    }
}
