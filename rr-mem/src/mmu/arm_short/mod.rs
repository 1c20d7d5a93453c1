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
    Access, FaultKind, Level, NotModelled, Rights, arm,
    gate::{self, Control},
    walk::{Decoded, Page, Paging, Span, Start, Table},
};
use crate::{
    addr::{Gpa, Gva},
    bits::{bit, field, keep, mask},
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

    /// TTBCR.N, bits 2:0: TTBR0 maps the lowest 2^(32-N) bytes.
    const fn n(&self) -> u32 {
        field(self.regs.tcr, 2, 0) as u32
    }

    /// TTBCR.PD0, bit 4: no walks with TTBR0.
    const fn pd0(&self) -> bool {
        bit(self.regs.tcr, 4)
    }

    /// TTBCR.PD1, bit 5: no walks with TTBR1.
    const fn pd1(&self) -> bool {
        bit(self.regs.tcr, 5)
    }

    /// Without the MMU the 4 GB are one page.
    const OFF: Page = Page { base: Gpa(0), shift: 32, rights: Rights::ALL };

    /// PXN of a table. ARMv6 has none.
    const fn table_pxn(&self, entry: First) -> bool {
        entry.table_pxn() && self.regs.version >= 7
    }

    const fn first_level(base: u64, bits: u8) -> Table<Inherited> {
        let inherited = Inherited { domain: 0, pxn: false };
        Table { base: Gpa(base), level: Level::First, shift: 20, bits, inherited }
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

    /// Whether TTBR1 maps `gva`: N is not 0 and a bit of VA\[31:32-N\] is set.
    const fn is_high(&self, gva: Gva) -> bool {
        arm::modified(&self.regs, gva).0 >> (32 - self.n()) != 0
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
        let gva = Gva(0);
        if !self.regs.mmu_on() {
            let addresses = gva..=Gva(mask(32));
            return vec![Span { gva, addresses, start: Start::Off(Self::OFF) }];
        }
        let border = 1 << 32 >> self.n();
        arm::spans(&self.regs, border, self.low_table(), self.high_table())
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
