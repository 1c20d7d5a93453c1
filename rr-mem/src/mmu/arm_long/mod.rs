//! ARM long descriptors: AArch64 stage 1, and AArch32 with TTBCR.EAE = 1
//! (LPAE) or in Hyp mode; one descriptor format. Arm Architecture Reference
//! Manual for A-profile (DDI 0487L.a), "The AArch64 Virtual Memory System
//! Architecture" and "The VMSAv8-32 Long-descriptor translation table format".
//!
//! `regime` chooses the first table, `format` says where descriptors keep
//! addresses, `entry` reads a descriptor, `rights` combines rights and refuses
//! accesses, `indirect` has the rights of indices; this file takes the steps.
//!
//! Refused by the gate: 128-bit descriptors (D128), canonical tags (MTX0, MTX1; MTX), and
//! what `arm` refuses for all formats. Not here, and of no access that is asked about: NFD, PSTATE.UAO and BTI, MTE's tag checks, accesses to guarded control
//! stacks. SCR_EL3.SIF and the security state of a page: what is fetched from another
//! one.
//!
//! Where QEMU's `gva2gpa` answers otherwise than [`Query::Access`]: 7.2 does not
//! look at the access flag (2.9 does), maps blocks at level 0, ignores bits 9:8
//! with TCR.DS unless the output has 52 bits, and on ARMv7 CPUs ignores bits
//! 47:40 of LPAE descriptors. This file keeps to the manual.
//!
//! [`Query::Access`]: super::Query::Access

mod controls;
mod entry;
mod format;
mod indirect;
mod regime;
mod rights;
#[cfg(test)]
mod tests;

use self::{
    controls::{HTCR, SCTLR64, TCR_EL1, TCR_EL2, TCR2_CONTROLS, TTBCR},
    entry::{Descriptor, RightsForm},
    format::{DescriptorFormat, next_level},
    regime::{Half, Regime},
    rights::{Inherited, fault_status},
};
use super::{
    Access, AccessKind, FaultKind, Level, NotModelled, Rights, arm,
    gate::{self, Control},
    walk::{Decoded, Page, Paging, Span, Start, Table},
};
use crate::{
    addr::{Gpa, Gva},
    bits::mask,
    regs::{ArmRegs, Register, Regs},
};

/// The long-descriptor paging of one ARM CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LongPaging {
    regime: Regime,
    halves: [Option<Half>; 2],
    regs: ArmRegs,
    /// Nobody knows PIR, PIRE0 or POR, which count.
    rights_unknown: bool,
}

impl LongPaging {
    /// The paging that `regs` switch on, which are those of one regime.
    ///
    /// # Errors
    /// When they switch on something that is not modelled.
    pub fn new(regs: &ArmRegs) -> Result<Self, NotModelled> {
        let regime = Regime::new(regs);
        let (tcr, sctlr) = Self::controls_of(regime);
        for controls in [&arm::ABOVE[..], tcr, &TCR2_CONTROLS, sctlr] {
            gate::check(controls, regs, |register| Regs::Arm(*regs).get(register))?;
        }
        let halves = regime.halves(regs);
        Ok(Self { regime, halves, regs: *regs, rights_unknown: false })
    }

    /// The same, of a CPU of which nobody knows what indices of rights mean.
    #[must_use]
    pub const fn with_unknown_rights(self) -> Self {
        Self { rights_unknown: true, ..self }
    }

    /// What TCR and SCTLR hold in a regime.
    const fn controls_of(
        regime: Regime,
    ) -> (&'static [Control<ArmRegs>], &'static [Control<ArmRegs>]) {
        match regime {
            Regime::El10 | Regime::El20 => (&TCR_EL1, &SCTLR64),
            Regime::El2 | Regime::El3 => (&TCR_EL2, &SCTLR64),
            Regime::Pl10 => (&TTBCR, &arm::SCTLR32),
            Regime::Hyp => (&HTCR, &arm::SCTLR32),
        }
    }

    /// The whole output address space as one page: SCTLR.M = 0.
    fn off(&self) -> Page {
        let bits = if self.regime.aarch64() { self.regs.phys_bits.min(52) } else { 32 };
        Page { base: Gpa(0), shift: bits, rights: Rights::ALL }
    }

    /// "The effects of disabling a stage of address translation": the address
    /// without its tag must be a physical one.
    fn start_off(&self, gva: Gva) -> Result<Start<Inherited>, (FaultKind, Level)> {
        let tagged = self.regime.ignores_low_top_byte(self.regs.tcr);
        let address = if tagged { gva.0 & mask(56) } else { gva.0 };
        let page = self.off();
        match (address >> page.shift, self.regime.aarch64()) {
            (0, _) => Ok(Start::Off(page)),
            (_, true) => Err((FaultKind::AddressSize, Level::Level0)),
            (_, false) => Err((FaultKind::Translation, Level::Level1)),
        }
    }

    /// How blocks and pages say their rights.
    const fn rights_form(&self) -> RightsForm {
        match (self.regime.indirect(&self.regs), self.regime.has_user()) {
            (true, _) => RightsForm::Index,
            (false, true) => RightsForm::Two,
            (false, false) => RightsForm::One,
        }
    }

    fn maps_page(format: DescriptorFormat, level: Level, entry: Descriptor) -> bool {
        match level {
            Level::Level3 => entry.table_or_page(),
            _ => !entry.table_or_page() && format.blocks_at(level),
        }
    }

    fn next_table(table: &Table<Inherited>, entry: Descriptor) -> Table<Inherited> {
        let Inherited { format, limits, bars } = table.inherited;
        let level = next_level(table.level);
        let limits = if format.hierarchical { limits.under(entry) } else { limits };
        Table {
            base: format.address(entry, format.granule.bits()),
            level,
            shift: format.granule.shift(level),
            bits: format.granule.stride(),
            inherited: Inherited { format, limits, bars },
        }
    }

    fn page(&self, table: &Table<Inherited>, entry: Descriptor) -> Page {
        Page {
            base: table.inherited.format.address(entry, table.shift),
            shift: table.shift,
            rights: self.rights(table.inherited, entry),
        }
    }

    fn span(half: &Half) -> Option<Span<Inherited>> {
        let table = half.root().ok()?;
        Some(Span {
            gva: Gva(half.first & !mask(u32::from(table.shift + table.bits))),
            addresses: Gva(half.first)..=Gva(half.last),
            start: Start::Table(table),
        })
    }
}

/// What steers walks of long descriptors, by register.
pub(super) fn controls() -> Vec<(&'static str, &'static [Control<ArmRegs>])> {
    vec![
        ("ARM, TTBCR of long descriptors", &TTBCR),
        ("ARM, HTCR", &HTCR),
        ("AArch64, SCTLR_ELx", &SCTLR64),
        ("AArch64, TCR_EL1, and TCR_EL2 of EL2&0", &TCR_EL1),
        ("AArch64, TCR_EL2, TCR_EL3", &TCR_EL2),
        ("AArch64, TCR2_ELx", &TCR2_CONTROLS),
    ]
}

impl Paging for LongPaging {
    type Inherited = Inherited;

    fn mode(&self) -> &'static str {
        match (self.regs.mmu_on(), self.regime.aarch64()) {
            (true, _) => self.regime.name(),
            (false, true) => "AArch64, MMU off",
            (false, false) => "AArch32, MMU off",
        }
    }

    #[inline]
    fn entry_bytes(&self) -> u64 {
        8
    }

    fn granule(&self) -> u64 {
        let roots = self.halves.iter().flatten().filter_map(|half| half.root().ok());
        let shifts = roots.map(|table| table.inherited.format.granule.bits());
        1 << shifts.min().unwrap_or(12)
    }

    #[inline]
    fn big_endian(&self) -> bool {
        self.regs.big_endian_tables()
    }

    #[inline]
    fn start(&self, gva: Gva) -> Result<Start<Inherited>, (FaultKind, Level)> {
        if !self.regs.mmu_on() {
            return self.start_off(gva);
        }
        let half = self.halves.iter().flatten().find(|half| half.contains(gva));
        let half = half.ok_or((FaultKind::Translation, self.regime.top_level()))?;
        half.start(gva).map(Start::Table)
    }

    /// TCR.E0PDn: no half for EL0. TCR.TBIDn: no tags for instruction fetches.
    #[inline]
    fn barred(&self, gva: Gva, access: Access) -> Option<(FaultKind, Level)> {
        let fetch = access.kind == AccessKind::Execute;
        if !self.regs.mmu_on() {
            let tagged = fetch && self.regime.fetches_low_top_byte(self.regs.tcr);
            return (tagged && gva.0 > mask(56)).then_some((FaultKind::AddressSize, Level::Level0));
        }
        let half = self.halves.iter().flatten().find(|half| half.contains(gva))?;
        let barred = access.user && half.bars_user || fetch && half.bars_fetches(gva);
        barred.then_some((FaultKind::Translation, Level::Level0))
    }

    fn base_register(&self, gva: Gva) -> Register {
        let high = self.halves[1].is_some_and(|half| half.contains(gva));
        if high { Register::Ttbr1 } else { Register::Ttbr0 }
    }

    /// Both halves. AArch32 may divide its 4 GB within an entry of a level 1
    /// table: one size 0, the other above 2.
    fn spans(&self) -> Vec<Span<Inherited>> {
        if !self.regs.mmu_on() {
            let off = self.off();
            let addresses = Gva(0)..=Gva(mask(u32::from(off.shift)));
            return vec![Span { gva: Gva(0), addresses, start: Start::Off(off) }];
        }
        self.halves.iter().flatten().filter_map(Self::span).collect()
    }

    #[inline]
    fn decode(&self, table: &Table<Inherited>, raw: u64) -> Decoded<Inherited> {
        let entry = Descriptor(raw);
        let format = table.inherited.format;
        let page = Self::maps_page(format, table.level, entry);
        if !entry.valid() || !page && !entry.table_or_page() {
            Decoded::Invalid(FaultKind::Translation)
        } else if format.unreachable(entry) {
            Decoded::Invalid(FaultKind::AddressSize)
        } else if page {
            Decoded::Page(self.page(table, entry))
        } else {
            Decoded::Table(Self::next_table(table, entry))
        }
    }

    fn malformed(&self, table: &Table<Inherited>, raw: u64) -> Option<FaultKind> {
        let oversized = table.inherited.format.oversized(Descriptor(raw));
        oversized.then_some(FaultKind::AddressSize)
    }

    /// RES0 bits of "VMSAv8-64 descriptor formats": those of an address below
    /// the size of what it points to.
    fn should_be_zero(&self, table: &Table<Inherited>, raw: u64) -> u64 {
        let format = table.inherited.format;
        let leaf = Self::maps_page(format, table.level, Descriptor(raw));
        format.address_padding(Descriptor(raw), leaf.then_some(table.shift))
    }

    fn refused(
        &self,
        table: &Table<Inherited>,
        raw: u64,
        page: &Page,
        access: Access,
    ) -> Option<FaultKind> {
        self.forbidden(table.inherited, Descriptor(raw), page, access)
    }

    fn status(&self, kind: FaultKind, level: Level, _: Access) -> Option<u32> {
        fault_status(kind, level)
    }

    fn flags(&self, level: Level, raw: u64, leaf: bool) -> Vec<&'static str> {
        let entry = Descriptor(raw);
        match (entry.valid(), leaf) {
            (false, _) => Vec::new(),
            (true, true) => entry.leaf_names(level, self.rights_form()),
            (true, false) if entry.table_or_page() => entry.table_names(self.rights_form()),
            (true, false) => vec!["RESERVED"],
        }
    }
}
