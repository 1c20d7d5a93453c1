//! Descriptors of the long format: "VMSAv8-64 descriptor formats" and
//! "VMSAv8-32 Long-descriptor translation table format descriptors".

use crate::{
    bits::{bit, field},
    mmu::Level,
};

/// How a block or page says its rights.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum RightsForm {
    /// Bits for EL0 and for the regime's own level.
    Two,
    /// Bits for the regime's only level.
    One,
    /// An index into PIR and PIRE0.
    Index,
}

/// The names of PIIndex.
const PERMISSION_INDICES: [&str; 16] = [
    "PI0", "PI1", "PI2", "PI3", "PI4", "PI5", "PI6", "PI7", "PI8", "PI9", "PI10", "PI11", "PI12",
    "PI13", "PI14", "PI15",
];

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
    /// PIIndex, bits 54, 53, 51, and 6, of permission indirection.
    pub const fn permission_index(self) -> u32 {
        (field(self.0, 54, 53) << 2 | field(self.0, 51, 51) << 1 | field(self.0, 6, 6)) as u32
    }
    /// Bit 7, nDirty, of permission indirection: not written yet.
    pub const fn clean(self) -> bool {
        bit(self.0, 7)
    }
    /// POIndex, bits 62:60, of permission overlays.
    pub const fn overlay_index(self) -> u32 {
        field(self.0, 62, 60) as u32
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
    pub fn leaf_names(self, level: Level, rights: RightsForm) -> Vec<&'static str> {
        const TWO: [(u32, &str); 8] = [
            (7, "RO"),
            (10, "AF"),
            (11, "nG"),
            (51, "DBM"),
            (52, "CONTIGUOUS"),
            (6, "USER"),
            (53, "PXN"),
            (54, "UXN"),
        ];
        const ONE: [(u32, &str); 6] =
            [(7, "RO"), (10, "AF"), (11, "nG"), (51, "DBM"), (52, "CONTIGUOUS"), (54, "XN")];
        const INDEX: [(u32, &str); 4] = [(7, "nDIRTY"), (10, "AF"), (11, "nG"), (52, "CONTIGUOUS")];
        let kind = if level == Level::Level3 { "PAGE" } else { "BLOCK" };
        let bits = match rights {
            RightsForm::Two => &TWO[..],
            RightsForm::One => &ONE,
            RightsForm::Index => &INDEX,
        };
        let mut names = self.named(kind, bits);
        if rights == RightsForm::Index {
            names.push(PERMISSION_INDICES[self.permission_index() as usize]);
        }
        names
    }

    /// The names of the attributes that are set, of a table.
    pub fn table_names(self, rights: RightsForm) -> Vec<&'static str> {
        const TWO: [(u32, &str); 5] = [
            (62, "APTABLE_RO"),
            (63, "NSTABLE"),
            (61, "APTABLE_NO_USER"),
            (60, "UXNTABLE"),
            (59, "PXNTABLE"),
        ];
        const ONE: [(u32, &str); 3] = [(62, "APTABLE_RO"), (63, "NSTABLE"), (60, "XNTABLE")];
        const INDEX: [(u32, &str); 1] = [(63, "NSTABLE")];
        let bits = match rights {
            RightsForm::Two => &TWO[..],
            RightsForm::One => &ONE,
            RightsForm::Index => &INDEX,
        };
        self.named("TABLE", bits)
    }

    fn named(self, kind: &'static str, bits: &[(u32, &'static str)]) -> Vec<&'static str> {
        let set = bits.iter().filter(|(n, _)| bit(self.0, *n)).map(|(_, name)| *name);
        std::iter::once(kind).chain(set).collect()
    }
}
