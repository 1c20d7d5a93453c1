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
    Access, FaultKind, Level, NotModelled, arm, arm_short,
    gate::{self, Control},
    walk::{Decoded, Page, Paging, Span, Start, Table},
};
use crate::{
    addr::{Gpa, Gva},
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
        arm::start(&self.regs, gva)
    }

    fn base_register(&self, gva: Gva) -> Register {
        arm::base_register(&self.regs, gva)
    }

    fn spans(&self) -> Vec<Span<Inherited>> {
        arm::spans(&self.regs)
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
