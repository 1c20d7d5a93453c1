//! ARM short descriptors, AArch32 only: Arm Architecture Reference Manual for
//! A-profile (DDI 0487L.a), "The VMSAv8-32 Short-descriptor translation table
//! format", "Selecting between TTBR0 and TTBR1, VMSAv8-32 Short-descriptor
//! translation table format", "Memory access control", "Fault status codes".
//! VMSAv7 (DDI 0406C.d, chapter "Virtual Memory System Architecture") differs
//! in nothing that matters here.
//!
//! `entry` reads a descriptor, `rights` combines rights and refuses accesses;
//! this file chooses the first table and takes the steps.
//!
//! A first-level descriptor 0b11 is a section with PXN, as on every CPU with
//! that bit; ARMv6 has none. With ARMv6 (SCTLR.XP = 1), SCTLR.S and SCTLR.R decide
//! on AP = 0b000 (DDI 0100I, "Access permissions").
//!
//! Not here: TEX remap and cacheability (they change no address), TTBR.NOS and
//! the other cache hints of the walk, the tables of ARMv5 and of SCTLR.XP = 0
//! (`arm_legacy`). What `arm` refuses for all formats of ARM is not here either.
//!
//! QEMU 7.2 differs in one answer: a manager's page is never checked for the
//! access flag there; the manual's walk checks it before the domain.

mod controls;
mod entry;
mod rights;
#[cfg(test)]
mod tests;

use self::{
    controls::TTBCR_CONTROLS,
    entry::{First, Second},
    rights::Inherited,
};
use super::{
    Access, FaultKind, Level, NotModelled, arm,
    gate::{self, Control},
    walk::{Decoded, Page, Paging, Span, Start, Table},
};
use crate::{
    addr::{Gpa, Gva},
    regs::{ArmRegs, Register, Regs},
};
pub(super) use rights::{Domain, fault_status};

/// The short-descriptor paging of one ARM CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShortPaging {
    regs: ArmRegs,
    /// Nobody knows DACR.
    domains_unknown: bool,
}

impl ShortPaging {
    /// The paging that `regs` switch on; they are those of the PL1&0 regime in
    /// AArch32 state with TTBCR.EAE = 0.
    ///
    /// # Errors
    /// When they switch on something that is not modelled.
    pub fn new(regs: &ArmRegs) -> Result<Self, NotModelled> {
        for controls in [&arm::ABOVE[..], &TTBCR_CONTROLS, &arm::SCTLR32] {
            gate::check(controls, regs, |register| Regs::Arm(*regs).get(register))?;
        }
        Ok(Self { regs: *regs, domains_unknown: false })
    }

    /// The same, of a CPU whose DACR nobody knows.
    #[must_use]
    pub const fn with_unknown_domains(self) -> Self {
        Self { domains_unknown: true, ..self }
    }

    /// PXN of a table. ARMv6 has none.
    const fn table_pxn(&self, entry: First) -> bool {
        entry.table_pxn() && self.regs.version >= 7
    }

    fn section(&self, entry: First) -> Page {
        let (base, shift) = if entry.supersection() {
            (entry.supersection_address(), 24)
        } else {
            (entry.section_address(), 20)
        };
        Page { base: Gpa(base), shift, rights: self.rights(entry.domain(), entry.attributes()) }
    }

    fn page(&self, inherited: Inherited, entry: Second) -> Page {
        let (base, shift) =
            if entry.small() { (entry.small_address(), 12) } else { (entry.large_address(), 16) };
        let rights = self.rights(inherited.domain, entry.attributes(inherited.pxn));
        Page { base: Gpa(base), shift, rights }
    }

    fn decode_first(&self, entry: First) -> Decoded<Inherited> {
        if entry.invalid() || entry.section_pxn() && self.regs.version < 7 {
            Decoded::Invalid(FaultKind::Translation)
        } else if entry.table() {
            Decoded::Table(Table {
                base: Gpa(entry.table_address()),
                level: Level::Second,
                shift: 12,
                bits: 8,
                inherited: Inherited { domain: entry.domain(), pxn: self.table_pxn(entry) },
            })
        } else {
            Decoded::Page(self.section(entry))
        }
    }
}

/// What steers walks of short descriptors, by register.
pub(super) fn controls() -> Vec<(&'static str, &'static [Control<ArmRegs>])> {
    vec![
        ("ARM, above all regimes", &arm::ABOVE),
        ("ARM, SCTLR in AArch32 state", &arm::SCTLR32),
        ("ARM, TTBCR of short descriptors", &TTBCR_CONTROLS),
    ]
}

impl Paging for ShortPaging {
    type Inherited = Inherited;

    fn mode(&self) -> &'static str {
        if self.regs.mmu_on() { "AArch32 short descriptors" } else { "AArch32, MMU off" }
    }

    #[inline]
    fn entry_bytes(&self) -> u64 {
        4
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
            self.decode_first(First(raw))
        } else if Second(raw).invalid() {
            Decoded::Invalid(FaultKind::Translation)
        } else {
            Decoded::Page(self.page(table.inherited, Second(raw)))
        }
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
        fault_status(kind, level)
    }

    fn flags(&self, level: Level, raw: u64, leaf: bool) -> Vec<&'static str> {
        self.names(level, raw, leaf)
    }
}
