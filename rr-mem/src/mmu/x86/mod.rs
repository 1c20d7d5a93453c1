//! x86 paging: Intel 64 and IA-32 Architectures Software Developer's Manual,
//! volume 3 (253668-083US), chapter "Paging": "32-Bit Paging", "PAE Paging",
//! "4-Level Paging and 5-Level Paging", "Access Rights", "Page-Fault
//! Exceptions".
//!
//! Not here: EPT and NPT, protection keys, LAM, and the PDPTE registers (PAE
//! walks read the four PDPTEs from memory, as a debugger must).

use super::{
    Access, AccessKind, FaultKind, Level, Rights, Rwx,
    walk::{Decoded, Page, Paging, Span, Start, Table},
};
use crate::{
    addr::{Gpa, Gva},
    bits::{bit, field, keep, mask, sign_extend},
    regs::X86Regs,
};

/// The four formats of paging, and none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// CR0.PG = 0.
    Off,
    /// 4-byte entries, two levels.
    Bits32,
    /// 8-byte entries, three levels.
    Pae,
    /// Long mode, CR4.LA57 = 0.
    FourLevel,
    /// Long mode, CR4.LA57 = 1.
    FiveLevel,
}

/// The paging of one x86 CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct X86Paging {
    mode: Mode,
    regs: X86Regs,
    /// Bit 63 where it means XD, else 0.
    xd: u64,
    root: Start<Inherited>,
    /// What each [`Inherited`] means for the page below.
    rights: [Rights; 8],
}

/// A paging-structure entry. Bits are those of "Formats of ... Paging-Structure
/// Entries".
#[derive(Clone, Copy)]
struct Entry(u64);

impl Entry {
    /// Bit 0, P.
    const fn present(self) -> bool {
        bit(self.0, 0)
    }
    /// Bit 7, PS: maps a page, where the level allows one.
    const fn page_size(self) -> bool {
        bit(self.0, 7)
    }
    /// Bit 63, XD. Counts if set at any level; reserved while EFER.NXE = 0.
    const fn execute_disable(self) -> bool {
        bit(self.0, 63)
    }
    /// Bits 51:12, the 4 KB-aligned address of a table or page.
    const fn address(self) -> u64 {
        keep(self.0, 51, 12)
    }
    /// Bits 39:22 of a 4 MB page: 31:22 in place, 39:32 from bits 20:13
    /// (PSE-36).
    const fn pse36_address(self) -> u64 {
        keep(self.0, 31, 22) | field(self.0, 20, 13) << 32
    }
}

/// What the levels above a table allow ("Access Rights"): R/W (bit 1) and U/S
/// (bit 2) count only if set at every level, XD (bit 0, inverted) at any.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Inherited(u8);

impl Inherited {
    const TOP: Self = Self(0b111);

    /// This and `entry`, in which the bit `xd` means XD.
    #[inline]
    const fn and(self, entry: Entry, xd: u64) -> Self {
        let execute = (entry.0 & xd == 0) as u8;
        Self(self.0 & (entry.0 as u8 & 0b110 | execute))
    }
    const fn execute(self) -> bool {
        self.0 & 1 != 0
    }
    const fn writable(self) -> bool {
        self.0 & 1 << 1 != 0
    }
    const fn user(self) -> bool {
        self.0 & 1 << 2 != 0
    }
}

impl X86Paging {
    /// The paging that `regs` switch on ("Paging Modes and Control Bits").
    #[must_use]
    pub fn new(regs: &X86Regs) -> Self {
        let mode = if !regs.paging() {
            Mode::Off
        } else if !regs.physical_address_extension() {
            Mode::Bits32
        } else if !regs.in_long_mode() {
            Mode::Pae
        } else if regs.la57() {
            Mode::FiveLevel
        } else {
            Mode::FourLevel
        };
        let xd = if regs.no_execute_enable() { 1 << 63 } else { 0 };
        let rights = std::array::from_fn(|allowed| Self::rights(regs, Inherited(allowed as u8)));
        Self { mode, regs: *regs, xd, root: Self::root(mode, regs), rights }
    }

    /// Bits of a linear address in this mode.
    #[inline]
    const fn linear_bits(&self) -> u32 {
        match self.mode {
            Mode::Off | Mode::Bits32 | Mode::Pae => 32,
            Mode::FourLevel => 48,
            Mode::FiveLevel => 57,
        }
    }

    /// Whether every bit above the linear address is as the mode wants it.
    #[inline]
    const fn canonical(&self, gva: Gva) -> bool {
        match self.mode {
            Mode::FourLevel | Mode::FiveLevel => sign_extend(gva.0, self.linear_bits()) == gva.0,
            Mode::Off | Mode::Bits32 | Mode::Pae => gva.0 >> 32 == 0,
        }
    }

    /// The whole address space as one page: CR0.PG = 0.
    const OFF: Page = Page { base: Gpa(0), shift: 32, rights: Rights::ALL };

    fn root(mode: Mode, regs: &X86Regs) -> Start<Inherited> {
        let cr3 = regs.cr3;
        let (level, base, shift, bits) = match mode {
            Mode::Off => return Start::Off(Self::OFF),
            Mode::Bits32 => (Level::Pd, keep(cr3, 31, 12), 22, 10),
            // CR3[31:5]: the four PDPTEs are 32-byte aligned.
            Mode::Pae => (Level::Pdpt, keep(cr3, 31, 5), 30, 2),
            Mode::FourLevel => (Level::Pml4, keep(cr3, 51, 12), 39, 9),
            Mode::FiveLevel => (Level::Pml5, keep(cr3, 51, 12), 48, 9),
        };
        Start::Table(Table {
            base: Gpa(regs.through_a20(base)),
            level,
            shift,
            bits,
            inherited: Inherited::TOP,
        })
    }

    /// Whether `entry` at `level` maps a page.
    #[inline]
    const fn maps_page(&self, level: Level, entry: Entry) -> bool {
        match level {
            Level::Pt => true,
            _ if !entry.page_size() => false,
            Level::Pd => !matches!(self.mode, Mode::Bits32) || self.regs.page_size_extensions(),
            Level::Pdpt => !matches!(self.mode, Mode::Pae),
            _ => false,
        }
    }

    #[inline]
    fn inherit(&self, table: &Table<Inherited>, entry: Entry) -> Inherited {
        // PDPTEs of PAE paging hold no rights: their R/W, U/S and XD bits are
        // reserved.
        if self.mode == Mode::Pae && table.level == Level::Pdpt {
            return table.inherited;
        }
        // The 32-bit entries of 32-bit paging have no bit 63.
        table.inherited.and(entry, self.xd)
    }

    /// "Determination of Access Rights", without what RFLAGS.AC decides.
    const fn rights(regs: &X86Regs, combined: Inherited) -> Rights {
        let (writable, user) = (combined.writable(), combined.user());
        Rights {
            kernel: Rwx {
                r: true,
                w: writable || !regs.write_protect(),
                x: combined.execute() && !(user && regs.smep()),
            },
            user: Rwx { r: user, w: user && writable, x: user && combined.execute() },
        }
    }

    #[inline]
    fn page(&self, table: &Table<Inherited>, entry: Entry) -> Page {
        let base = if self.mode == Mode::Bits32 && table.level == Level::Pd {
            entry.pse36_address()
        } else {
            // The PAT bit (12) of a large page lies below its size.
            entry.address() & !mask(u32::from(table.shift))
        };
        Page {
            base: Gpa(base),
            shift: table.shift,
            rights: self.rights[usize::from(self.inherit(table, entry).0)],
        }
    }

    #[inline]
    fn next_table(&self, table: &Table<Inherited>, entry: Entry) -> Table<Inherited> {
        let (level, bits) = match (self.mode, table.level) {
            (Mode::Bits32, _) => (Level::Pt, 10),
            (_, Level::Pml5) => (Level::Pml4, 9),
            (_, Level::Pml4) => (Level::Pdpt, 9),
            (_, Level::Pdpt) => (Level::Pd, 9),
            _ => (Level::Pt, 9),
        };
        Table {
            base: Gpa(self.output(entry.address())),
            level,
            shift: table.shift - bits,
            bits,
            inherited: self.inherit(table, entry),
        }
    }

    /// The bits of a valid entry that must be 0 ("Reserved Bits" of each
    /// format), as a mask.
    fn reserved_bits(&self, level: Level, entry: Entry) -> u64 {
        let above_phys = keep(!mask(u32::from(self.regs.phys_bits)), 51, 0);
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
}

impl Paging for X86Paging {
    type Inherited = Inherited;

    fn mode(&self) -> &'static str {
        match self.mode {
            Mode::Off => "paging off",
            Mode::Bits32 => "32-bit paging",
            Mode::Pae => "PAE paging",
            Mode::FourLevel => "4-level paging",
            Mode::FiveLevel => "5-level paging",
        }
    }

    #[inline]
    fn entry_bytes(&self) -> u64 {
        if self.mode == Mode::Bits32 { 4 } else { 8 }
    }

    #[inline]
    fn start(&self, gva: Gva) -> Result<Start<Inherited>, (FaultKind, Level)> {
        if !self.canonical(gva) {
            return Err((FaultKind::NonCanonical, Level::Pml4));
        }
        Ok(self.root)
    }

    fn base_register(&self, _: Gva) -> &'static str {
        "CR3"
    }

    fn spans(&self) -> Vec<Span<Inherited>> {
        let start = self.root;
        let low = |bits| Span { gva: Gva(0), addresses: Gva(0)..=Gva(mask(bits)), start };
        match self.mode {
            Mode::Off | Mode::Pae | Mode::Bits32 => vec![low(32)],
            Mode::FourLevel | Mode::FiveLevel => {
                let half = self.linear_bits() - 1;
                let addresses = Gva(!mask(half))..=Gva(u64::MAX);
                vec![low(half), Span { gva: Gva(!mask(half + 1)), addresses, start }]
            }
        }
    }

    #[inline]
    fn output(&self, physical: u64) -> u64 {
        self.regs.through_a20(physical)
    }

    fn linear_shift(&self) -> u8 {
        if self.regs.a20 { 64 } else { 20 }
    }

    // A result in memory, not in registers, costs more than the decoding.
    #[inline(always)]
    fn decode(&self, table: &Table<Inherited>, raw: u64) -> Decoded<Inherited> {
        let entry = Entry(raw);
        if !entry.present() {
            Decoded::Invalid(FaultKind::NotPresent)
        } else if self.maps_page(table.level, entry) {
            Decoded::Page(self.page(table, entry))
        } else {
            Decoded::Table(self.next_table(table, entry))
        }
    }

    fn malformed(&self, table: &Table<Inherited>, raw: u64) -> Option<FaultKind> {
        let reserved = self.reserved_bits(table.level, Entry(raw)) & raw;
        (reserved != 0).then_some(FaultKind::ReservedBit)
    }

    fn refused(
        &self,
        _: &Table<Inherited>,
        _: u64,
        page: &Page,
        access: Access,
    ) -> Option<FaultKind> {
        // "Access Rights": a supervisor data access to a user page while
        // CR4.SMAP = 1 and RFLAGS.AC = 0. U/S shows as the user's right to read.
        let data = access.kind != AccessKind::Execute;
        let smap = data && !access.user && page.rights.user.r && self.regs.smap() && !self.regs.ac;
        (smap || !page.rights.allow(access)).then_some(FaultKind::Protection)
    }

    /// "Page-Fault Exceptions": the error code.
    fn status(&self, kind: FaultKind, _: Level, access: Access) -> Option<u32> {
        let present = match kind {
            FaultKind::NotPresent => false,
            FaultKind::ReservedBit | FaultKind::Protection => true,
            // #GP(0), not #PF.
            _ => return None,
        };
        let nx = self.regs.physical_address_extension() && self.regs.no_execute_enable();
        let fetch = access.kind == AccessKind::Execute && (nx || self.regs.smep());
        let flags = [
            present,
            access.kind == AccessKind::Write,
            access.user,
            kind == FaultKind::ReservedBit,
            fetch,
        ];
        Some(flags.iter().rev().fold(0, |code, &set| code << 1 | u32::from(set)))
    }

    fn flags(&self, _: Level, raw: u64, leaf: bool) -> Vec<&'static str> {
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
            .filter(|(n, _)| bit(raw, *n) && (*n < 6 || leaf))
            .map(|(_, name)| *name)
            .collect();
        let large = leaf && Entry(raw).page_size();
        flags.extend(large.then_some("PSE"));
        flags.extend((leaf && bit(raw, 8)).then_some("GLOBAL"));
        let nx = self.mode != Mode::Bits32 && Entry(raw).execute_disable();
        flags.extend(nx.then_some("NX"));
        flags
    }
}

#[cfg(test)]
mod tests;
