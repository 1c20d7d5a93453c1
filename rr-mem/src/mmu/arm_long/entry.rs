//! Descriptors of the long format: "VMSAv8-64 descriptor formats" and
//! "VMSAv8-32 Long-descriptor translation table format descriptors".

use crate::{bits::bit, mmu::Level};

/// A descriptor of the long format.
#[derive(Clone, Copy)]
pub(super) struct Descriptor(pub u64);

impl Descriptor {
    /// Bit 0: the descriptor is valid.
    pub const fn valid(self) -> bool {
        bit(self.0, 0)
    }
    /// Bit 1: a table (levels above 3) or a page (level 3), no block.
    pub const fn table_or_page(self) -> bool {
        bit(self.0, 1)
    }
    /// Bit 6, AP\[1\]: EL0 may access it too.
    pub const fn user(self) -> bool {
        bit(self.0, 6)
    }
    /// Bit 7, AP\[2\]: read-only.
    pub const fn read_only(self) -> bool {
        bit(self.0, 7)
    }
    /// Bit 10, AF.
    pub const fn access_flag(self) -> bool {
        bit(self.0, 10)
    }
    /// Bit 51, DBM: with TCR.HD, AP\[2\] only means "clean".
    pub const fn dirty_bit_modifier(self) -> bool {
        bit(self.0, 51)
    }
    /// Bit 53, PXN: EL1 may not execute it.
    pub const fn privileged_execute_never(self) -> bool {
        bit(self.0, 53)
    }
    /// Bit 54: UXN, EL0 may not execute it; XN in a regime of one privilege.
    pub const fn execute_never(self) -> bool {
        bit(self.0, 54)
    }
    /// Bit 59, PXNTable.
    pub const fn pxn_table(self) -> bool {
        bit(self.0, 59)
    }
    /// Bit 60: UXNTable, or XNTable in a regime of one privilege.
    pub const fn xn_table(self) -> bool {
        bit(self.0, 60)
    }
    /// Bit 61, APTable\[0\]: no access from EL0 below.
    pub const fn ap_table_no_user(self) -> bool {
        bit(self.0, 61)
    }
    /// Bit 62, APTable\[1\]: no writes below.
    pub const fn ap_table_read_only(self) -> bool {
        bit(self.0, 62)
    }

    /// The names of the attributes that are set, of a block or page.
    pub fn leaf_names(self, level: Level, user: bool) -> Vec<&'static str> {
        const NAMES: [(u32, &str); 5] =
            [(7, "RO"), (10, "AF"), (11, "nG"), (51, "DBM"), (52, "CONTIGUOUS")];
        const USER: [(u32, &str); 3] = [(6, "USER"), (53, "PXN"), (54, "UXN")];
        let kind = if level == Level::Level3 { "PAGE" } else { "BLOCK" };
        let rights = if user { &USER[..] } else { &[(54, "XN")] };
        self.named(kind, NAMES.iter().chain(rights))
    }

    /// The names of the attributes that are set, of a table.
    pub fn table_names(self, user: bool) -> Vec<&'static str> {
        const NAMES: [(u32, &str); 2] = [(62, "APTABLE_RO"), (63, "NSTABLE")];
        const USER: [(u32, &str); 3] =
            [(61, "APTABLE_NO_USER"), (60, "UXNTABLE"), (59, "PXNTABLE")];
        let rights = if user { &USER[..] } else { &[(60, "XNTABLE")] };
        self.named("TABLE", NAMES.iter().chain(rights))
    }

    fn named<'a>(
        self,
        kind: &'static str,
        names: impl Iterator<Item = &'a (u32, &'static str)>,
    ) -> Vec<&'static str> {
        let set = names.filter(|(n, _)| bit(self.0, *n)).map(|(_, name)| *name);
        std::iter::once(kind).chain(set).collect()
    }
}
