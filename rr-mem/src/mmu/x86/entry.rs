//! What the bits of an entry mean: "Formats of ... Paging-Structure Entries",
//! with the reserved bits of each format.

use super::{Mode, X86Paging};
use crate::{
    bits::{bit, field, keep, mask},
    mmu::Level,
};

/// A paging-structure entry. Bits are those of "Formats of ... Paging-Structure
/// Entries".
#[derive(Clone, Copy)]
pub(super) struct Entry(pub u64);

impl Entry {
    /// Bit 0, P.
    pub const fn present(self) -> bool {
        bit(self.0, 0)
    }
    /// Bit 7, PS: maps a page, where the level allows one.
    pub const fn page_size(self) -> bool {
        bit(self.0, 7)
    }
    /// Bit 63, XD. Counts if set at any level; reserved while EFER.NXE = 0.
    pub const fn execute_disable(self) -> bool {
        bit(self.0, 63)
    }
    /// Bits 51:12, the 4 KB-aligned address of a table or page; an encryption bit
    /// among them is none of it.
    pub const ADDRESS: u64 = keep(u64::MAX, 51, 12);
    /// Bits 62:59 of a page's entry, the protection key.
    pub const fn key(self) -> u64 {
        field(self.0, 62, 59)
    }
    /// Bits 39:22 of a 4 MB page: 31:22 in place, 39:32 from bits 20:13
    /// (PSE-36).
    pub const fn pse36_address(self) -> u64 {
        keep(self.0, 31, 22) | field(self.0, 20, 13) << 32
    }
}

/// The names of protection keys.
const KEYS: [&str; 16] = [
    "PKEY=0", "PKEY=1", "PKEY=2", "PKEY=3", "PKEY=4", "PKEY=5", "PKEY=6", "PKEY=7", "PKEY=8",
    "PKEY=9", "PKEY=10", "PKEY=11", "PKEY=12", "PKEY=13", "PKEY=14", "PKEY=15",
];

impl X86Paging {
    /// Whether `entry` at `level` maps a page.
    #[inline]
    pub(super) const fn maps_page(&self, level: Level, entry: Entry) -> bool {
        match level {
            Level::Pt => true,
            _ if !entry.page_size() => false,
            Level::Pd => !matches!(self.mode, Mode::Bits32) || self.regs.page_size_extensions(),
            Level::Pdpt => !matches!(self.mode, Mode::Pae),
            _ => false,
        }
    }

    /// The bits of a valid entry that must be 0 ("Reserved Bits" of each
    /// format), as a mask.
    pub(super) fn reserved_bits(&self, level: Level, entry: Entry) -> u64 {
        let above_phys =
            keep(!mask(u32::from(self.regs.phys_bits)), 51, 0) & !self.regs.encryption_mask();
        let xd = if self.regs.no_execute_enable() { 0 } else { 1 << 63 };
        let leaf = self.maps_page(level, entry);
        match (self.mode, level) {
            (Mode::Bits32, Level::Pd) if leaf => {
                // Bits above MAXPHYADDR among 39:32 sit in 20:13; 21 is always reserved.
                1 << 21 | field(above_phys, 39, 32) << 13
            }
            (Mode::Off | Mode::Bits32, _) => 0,
            // Bits 8:5 and 2:1. Bit 5 is left out: TCG sets it as an accessed bit
            // there, and the PDPTEs in use were checked when CR3 was loaded.
            (Mode::Pae, Level::Pdpt) => above_phys | keep(u64::MAX, 63, 52) | 0b1_1100_0110,
            (Mode::Pae, _) => {
                above_phys | keep(u64::MAX, 62, 52) | xd | Self::below_large_page(level, leaf)
            }
            (_, Level::Pml5 | Level::Pml4) => above_phys | xd | 1 << 7,
            (_, Level::Pdpt) if leaf && !self.regs.pages_1g => above_phys | xd | 1 << 7,
            _ => above_phys | xd | Self::below_large_page(level, leaf),
        }
    }

    /// Address bits of a large page that lie below its size, without PAT (12).
    const fn below_large_page(level: Level, leaf: bool) -> u64 {
        match level {
            Level::Pd if leaf => keep(u64::MAX, 20, 13),
            Level::Pdpt if leaf => keep(u64::MAX, 29, 13),
            _ => 0,
        }
    }

    /// The names of the bits of `entry` that are set.
    pub(super) fn names(&self, entry: Entry, leaf: bool) -> Vec<&'static str> {
        const NAMES: [(u32, &str); 7] = [
            (0, "PRESENT"),
            (1, "RW"),
            (2, "USER"),
            (3, "PWT"),
            (4, "PCD"),
            (5, "ACCESSED"),
            (6, "DIRTY"),
        ];
        let mut flags: Vec<_> = NAMES
            .iter()
            .filter(|(n, _)| bit(entry.0, *n) && (*n < 6 || leaf))
            .map(|(_, name)| *name)
            .collect();
        let large = leaf && entry.page_size();
        flags.extend(large.then_some("PSE"));
        flags.extend((leaf && bit(entry.0, 8)).then_some("GLOBAL"));
        let nx = self.mode != Mode::Bits32 && entry.execute_disable();
        flags.extend(nx.then_some("NX"));
        let of_user = self.regs.user_keys() && bit(entry.0, 2);
        let keys = leaf && (of_user || self.regs.supervisor_keys());
        flags.extend(keys.then(|| KEYS[entry.key() as usize]));
        flags.extend(self.encrypts(entry).then_some("ENCRYPTED"));
        flags
    }

    /// Whether the guest encrypts the page of the entry `leaf`. Without 8-byte entries
    /// none says so.
    pub(in crate::mmu) fn encrypts_page(&self, leaf: u64) -> Option<bool> {
        let wide = !matches!(self.mode, Mode::Off | Mode::Bits32);
        (wide && self.regs.encryption_mask() != 0).then(|| self.encrypts(Entry(leaf)))
    }

    /// Whether `entry` has the encryption bit. The entries of 32-bit paging have none.
    pub(super) const fn encrypts(&self, entry: Entry) -> bool {
        entry.0 & self.regs.encryption_mask() != 0
    }
}
