//! ARM tables before ARMv7: those of ARMv4 and ARMv5, and of ARMv6 with SCTLR.XP
//! = 0. ARM Architecture Reference Manual (DDI 0100I), part B, "Virtual Memory
//! System Architecture", "The System Control Coprocessor", "Fast Context Switch
//! Extension"; for ARMv7-A (DDI 0406C.d), appendices "ARMv6 Differences" and
//! "ARMv4 and ARMv5 Differences"; for the extended small pages of XScale, Intel
//! XScale Core Developer's Manual, "Extended Page Attributes".
//!
//! `entry` reads a descriptor, `rights` combines rights and refuses accesses;
//! this file chooses the first table and takes the steps.
//!
//! A page has four subpages with rights of their own. Where these differ, a
//! subpage counts as the page: 16 KB of a large one, 1 KB of a small one (ARM1176
//! Technical Reference Manual, DDI 0301H, "Hardware page table translation").
//!
//! Refused by the gate: what came with ARMv6 in an older CPU (XP, EE, TCR), an access
//! flag (FA). Not here: cacheability, and the P bit of first-level descriptors.
//!
//! QEMU differs with SCTLR.XP = 0 in two answers: it takes the supersections of
//! ARMv6 for sections, and the descriptor 0b11, which is reserved in ARMv6, for a
//! fine table.

mod controls;
mod entry;
mod rights;
#[cfg(test)]
mod tests;

use self::{
    controls::{OLD, SCTLR_CONTROLS, V6},
    entry::{First, Second},
    rights::Inherited,
};
use super::{
    Access, FaultKind, Level, NotModelled, Rights, arm, arm_short,
    gate::{self, Control},
    walk::{Decoded, Page, Paging, Span, Start, Table},
};
use crate::{
    addr::{Gpa, Gva},
    bits::{bit, field, keep, mask},
    regs::{ArmRegs, Register, Regs},
};

/// The paging of one ARM CPU with the tables of ARMv4 and ARMv5.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LegacyPaging {
    regs: ArmRegs,
    /// Nobody knows DACR, or SCTLR.
    rights_unknown: bool,
}

impl LegacyPaging {
    /// The paging that `regs` switch on, whose tables have subpages.
    ///
    /// # Errors
    /// When they switch on something that is not modelled.
    pub fn new(regs: &ArmRegs) -> Result<Self, NotModelled> {
        let own: &[_] = if regs.version < 6 { &OLD } else { &V6 };
        for controls in [&arm::ABOVE[..], &SCTLR_CONTROLS, own] {
            gate::check(controls, regs, |register| Regs::Arm(*regs).get(register))?;
        }
        Ok(Self { regs: *regs, rights_unknown: false })
    }

    /// The same, of a CPU of which nobody knows what decides rights.
    #[must_use]
    pub const fn with_unknown_rights(self) -> Self {
        Self { rights_unknown: true, ..self }
    }

    /// ARMv6, which took fine tables out and brought TTBCR.
    const fn v6(&self) -> bool {
        self.regs.version >= 6
    }

    /// TTBCR.N, bits 2:0: TTBR0 maps the lowest 2^(32-N) bytes. 0 before ARMv6.
    const fn n(&self) -> u32 {
        field(self.regs.tcr, 2, 0) as u32
    }

    /// TTBCR.PD0, bit 4, with the Security Extensions: no walks with TTBR0.
    const fn pd0(&self) -> bool {
        bit(self.regs.tcr, 4)
    }

    /// TTBCR.PD1, bit 5, with the Security Extensions: no walks with TTBR1.
    const fn pd1(&self) -> bool {
        bit(self.regs.tcr, 5)
    }

    /// Without the MMU the 4 GB are one page.
    const OFF: Page = Page { base: Gpa(0), shift: 32, rights: Rights::ALL };

    const fn first_level(base: u64, bits: u8) -> Table<Inherited> {
        Table {
            base: Gpa(base),
            level: Level::First,
            shift: 20,
            bits,
            inherited: Inherited { domain: 0 },
        }
    }

    /// TTBR0's table: 2^(14-N) bytes, aligned to its size. `None` with PD0.
    fn low_table(&self) -> Option<Table<Inherited>> {
        let base = keep(self.regs.ttbr0, 31, 14 - self.n());
        (!self.pd0()).then(|| Self::first_level(base, 12 - self.n() as u8))
    }

    /// TTBR1's table: always 16 KB. `None` with PD1.
    fn high_table(&self) -> Option<Table<Inherited>> {
        (!self.pd1()).then(|| Self::first_level(keep(self.regs.ttbr1, 31, 14), 12))
    }

    /// Whether TTBR1 maps `gva`.
    const fn is_high(&self, gva: Gva) -> bool {
        arm::modified(&self.regs, gva).0 >> (32 - self.n()) != 0
    }

    fn decode_first(&self, entry: First) -> Decoded<Inherited> {
        let domain = entry.domain();
        let table = |base, shift, bits| {
            let inherited = Inherited { domain };
            Decoded::Table(Table { base: Gpa(base), level: Level::Second, shift, bits, inherited })
        };
        if entry.coarse() {
            table(entry.coarse_address(), 12, 8)
        } else if entry.section() {
            Decoded::Page(self.section(entry))
        } else if entry.fine() && !self.v6() {
            table(entry.fine_address(), FINE, 10)
        } else {
            Decoded::Invalid(FaultKind::Translation)
        }
    }

    fn section(&self, entry: First) -> Page {
        let (base, shift) = if self.v6() && entry.supersection() {
            (entry.supersection_address(), 24)
        } else {
            (entry.section_address(), 20)
        };
        let rights = self.rights(self.section_domain(entry), entry.ap());
        Page { base: Gpa(base), shift, rights }
    }

    /// The page that the entry of a coarse or fine table maps, with the rights of its
    /// first byte.
    fn page(&self, table: &Table<Inherited>, entry: Second) -> Option<Page> {
        let extended = self.v6() || self.regs.xscale;
        let (base, shift) = match table.shift {
            _ if entry.large() => (entry.large_address(), 16),
            _ if entry.small() => (entry.small_address(), 12),
            FINE if entry.tiny() => (entry.tiny_address(), 10),
            _ if entry.extended() && extended => (entry.small_address(), 12),
            _ => return None,
        };
        let rights = self.rights(table.inherited.domain, entry.ap(0));
        Some(Page { base: Gpa(base), shift, rights })
    }
}

/// log2 of what an entry of a fine table maps.
const FINE: u8 = 10;

/// What steers these walks, by register.
pub(super) fn controls() -> Vec<(&'static str, &'static [Control<ArmRegs>])> {
    vec![
        ("ARM before v7, with subpages: SCTLR", &SCTLR_CONTROLS),
        ("ARMv4 and ARMv5: TTBCR", &OLD),
        ("ARMv6 with SCTLR.XP = 0: TTBCR", &V6),
    ]
}

impl Paging for LegacyPaging {
    type Inherited = Inherited;

    fn mode(&self) -> &'static str {
        if self.regs.mmu_on() { "AArch32 descriptors with subpages" } else { "AArch32, MMU off" }
    }

    #[inline]
    fn entry_bytes(&self) -> u64 {
        4
    }

    /// A tiny page, or a quarter of a small one.
    fn granule(&self) -> u64 {
        1 << FINE
    }

    #[inline]
    fn big_endian(&self) -> bool {
        self.regs.big_endian_tables()
    }

    #[inline]
    fn modified(&self, gva: Gva) -> Gva {
        arm::modified(&self.regs, gva)
    }

    #[inline]
    fn start(&self, gva: Gva) -> Result<Start<Inherited>, (FaultKind, Level)> {
        const FAULT: (FaultKind, Level) = (FaultKind::Translation, Level::First);
        if gva.0 >> 32 != 0 {
            return Err(FAULT);
        }
        if !self.regs.mmu_on() {
            return Ok(Start::Off(Self::OFF));
        }
        let table = if self.is_high(gva) { self.high_table() } else { self.low_table() };
        table.map(Start::Table).ok_or(FAULT)
    }

    fn base_register(&self, gva: Gva) -> Register {
        if self.is_high(gva) { Register::Ttbr1 } else { Register::Ttbr0 }
    }

    fn spans(&self) -> Vec<Span<Inherited>> {
        let all = Gva(0)..=Gva(mask(32));
        if !self.regs.mmu_on() {
            let start = Start::Off(Self::OFF);
            return vec![Span { gva: Gva(0), addresses: all, start }];
        }
        let border = 1 << 32 >> self.n();
        arm::spans(&self.regs, border, self.low_table(), self.high_table())
    }

    #[inline]
    fn decode(&self, table: &Table<Inherited>, raw: u64) -> Decoded<Inherited> {
        if table.level == Level::First {
            return self.decode_first(First(raw));
        }
        let page = self.page(table, Second(raw));
        page.map_or(Decoded::Invalid(FaultKind::Translation), Decoded::Page)
    }

    #[inline]
    fn part(&self, table: &Table<Inherited>, raw: u64, page: Page, inside: u64) -> Page {
        let entry = Second(raw);
        if table.level == Level::First || !entry.divided() {
            return page;
        }
        let shift = page.shift - 2;
        let number = inside >> shift;
        let rights = self.rights(table.inherited.domain, entry.ap(number as u32));
        Page { base: Gpa(page.base.0 | number << shift), shift, rights }
    }

    fn malformed(&self, _: &Table<Inherited>, _: u64) -> Option<FaultKind> {
        None
    }

    fn refused(
        &self,
        table: &Table<Inherited>,
        raw: u64,
        page: &Page,
        access: Access,
    ) -> Option<FaultKind> {
        self.forbidden(table, raw, page, access)
    }

    fn status(&self, kind: FaultKind, level: Level, _: Access) -> Option<u32> {
        arm_short::fault_status(kind, level)
    }

    fn flags(&self, level: Level, raw: u64, leaf: bool) -> Vec<&'static str> {
        self.names(level, raw, leaf)
    }
}
