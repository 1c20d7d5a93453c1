//! What the bits of a descriptor mean: "First-level descriptors", "Second-level
//! descriptors" of DDI 0100I.

use super::LegacyPaging;
use crate::{
    bits::{bit, field, keep},
    mmu::Level,
};

/// A first-level descriptor ("First-level descriptor format").
#[derive(Clone, Copy)]
pub(super) struct First(pub u64);

impl First {
    /// Bits 1:0 are 0b01: a coarse second-level table.
    pub const fn coarse(self) -> bool {
        field(self.0, 1, 0) == 0b01
    }
    /// Bits 1:0 are 0b10: a section, or a supersection.
    pub const fn section(self) -> bool {
        field(self.0, 1, 0) == 0b10
    }
    /// Bits 1:0 are 0b11: a fine second-level table; reserved in ARMv6.
    pub const fn fine(self) -> bool {
        field(self.0, 1, 0) == 0b11
    }
    /// Bit 18 of a section, from ARMv6 on: it is a supersection, 16 MB.
    pub const fn supersection(self) -> bool {
        bit(self.0, 18)
    }
    /// Bits 31:10: the coarse table, 1 KB of it.
    pub const fn coarse_address(self) -> u64 {
        keep(self.0, 31, 10)
    }
    /// Bits 31:12: the fine table, 4 KB of it.
    pub const fn fine_address(self) -> u64 {
        keep(self.0, 31, 12)
    }
    /// Bits 31:20: the section, 1 MB.
    pub const fn section_address(self) -> u64 {
        keep(self.0, 31, 20)
    }
    /// Bits 31:24: the supersection, 16 MB.
    pub const fn supersection_address(self) -> u64 {
        keep(self.0, 31, 24)
    }
    /// Bits 8:5: the domain.
    pub const fn domain(self) -> u8 {
        field(self.0, 8, 5) as u8
    }
    /// Bits 11:10 of a section: AP.
    pub const fn ap(self) -> u8 {
        field(self.0, 11, 10) as u8
    }
}

/// A second-level descriptor ("Coarse page tables", "Fine page tables").
#[derive(Clone, Copy)]
pub(super) struct Second(pub u64);

impl Second {
    /// Bits 1:0 are 0b01: a large page, 64 KB.
    pub const fn large(self) -> bool {
        field(self.0, 1, 0) == 0b01
    }
    /// Bits 1:0 are 0b10: a small page, 4 KB.
    pub const fn small(self) -> bool {
        field(self.0, 1, 0) == 0b10
    }
    /// Bits 1:0 are 0b11 in a fine table: a tiny page, 1 KB.
    pub const fn tiny(self) -> bool {
        field(self.0, 1, 0) == 0b11
    }
    /// Bits 1:0 are 0b11 in a coarse table: an extended small page, 4 KB, of ARMv6
    /// and XScale. The same bits as [`Second::tiny`].
    pub const fn extended(self) -> bool {
        self.tiny()
    }
    /// Bits 31:16: the large page.
    pub const fn large_address(self) -> u64 {
        keep(self.0, 31, 16)
    }
    /// Bits 31:12: the small page.
    pub const fn small_address(self) -> u64 {
        keep(self.0, 31, 12)
    }
    /// Bits 31:10: the tiny page.
    pub const fn tiny_address(self) -> u64 {
        keep(self.0, 31, 10)
    }
    /// AP of subpage `number`, 0 to 3: bits 5:4, 7:6, 9:8, 11:10. A tiny or an
    /// extended page has the first alone.
    pub const fn ap(self, number: u32) -> u8 {
        field(self.0, 5 + 2 * number, 4 + 2 * number) as u8
    }
    /// Whether its four subpages have different rights.
    pub const fn divided(self) -> bool {
        let first = self.ap(0);
        let alike = self.ap(1) == first && self.ap(2) == first && self.ap(3) == first;
        (self.large() || self.small()) && !alike
    }
}

/// The bits of AP0 to AP3.
const SUBPAGES: [&str; 8] =
    ["AP0[0]", "AP0[1]", "AP1[0]", "AP1[1]", "AP2[0]", "AP2[1]", "AP3[0]", "AP3[1]"];

impl LegacyPaging {
    /// The names of the bits of the descriptor `raw` that are set.
    pub(super) fn names(&self, level: Level, raw: u64, leaf: bool) -> Vec<&'static str> {
        if level == Level::First {
            return self.first_names(First(raw), leaf);
        }
        let entry = Second(raw);
        let (name, subpages) = match () {
            () if !leaf => return Vec::new(),
            () if entry.large() => ("LARGE", &SUBPAGES[..]),
            () if entry.small() => ("SMALL", &SUBPAGES[..]),
            // A tiny or an extended page, by its table.
            () => ("PAGE", &SUBPAGES[..2]),
        };
        let set = (4..).zip(subpages).filter(|(at, _)| bit(raw, *at)).map(|(_, name)| *name);
        [name].into_iter().chain(set).collect()
    }

    fn first_names(&self, entry: First, leaf: bool) -> Vec<&'static str> {
        match () {
            () if entry.coarse() => return vec!["COARSE"],
            () if entry.fine() && !self.v6() => return vec!["FINE"],
            () if !leaf => return Vec::new(),
            () => {}
        }
        let kind = if self.v6() && entry.supersection() { "SUPERSECTION" } else { "SECTION" };
        let ap = [(0b01, "AP[0]"), (0b10, "AP[1]")];
        let set = ap.into_iter().filter(|(mask, _)| entry.ap() & mask != 0).map(|(_, name)| name);
        [kind].into_iter().chain(set).collect()
    }
}
