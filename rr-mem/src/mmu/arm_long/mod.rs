//! ARM long descriptors: AArch64 stage 1, and AArch32 with TTBCR.EAE = 1
//! (LPAE) or in Hyp mode; one descriptor format. Arm Architecture Reference
//! Manual for A-profile (DDI 0487L.a), "The AArch64 Virtual Memory System
//! Architecture" and "The VMSAv8-32 Long-descriptor translation table format".
//!
//! `regime` chooses the table, `descriptor` reads an entry, this file combines
//! rights and answers.
//!
//! Not here: stage 2, 128-bit descriptors (FEAT_D128), permission indirection
//! and overlays, nested virtualisation (HCR_EL2.NV), HCR_EL2.TGE and DC (the
//! registers' own SCTLR.M decides), EL0's E0PD and NFD, TBID (fetches ignore
//! tags as loads do), PSTATE.UAO and BTI, PAN's exceptions (FEAT_PAN3), MTE.
//!
//! Where QEMU's `gva2gpa` answers otherwise than [`Query::Access`]: 7.2 does not
//! look at the access flag (2.9 does), maps blocks at level 0, ignores bits 9:8
//! with TCR.DS unless the output has 52 bits, and on ARMv7 CPUs ignores bits
//! 47:40 of LPAE descriptors. This file keeps to the manual.
//!
//! [`Query::Access`]: super::Query::Access

mod descriptor;
mod regime;
#[cfg(test)]
mod tests;

use self::{
    descriptor::{Descriptor, Format, next_level},
    regime::{Half, Regime},
};
use super::{
    Access, AccessKind, FaultKind, Level, Rights, Rwx,
    walk::{Decoded, Page, Paging, Span, Start, Table},
};
use crate::{
    addr::{Gpa, Gva},
    bits::{bit, mask},
    regs::ArmRegs,
};

/// The long-descriptor paging of one ARM CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LongPaging {
    regime: Regime,
    halves: [Option<Half>; 2],
    regs: ArmRegs,
}

/// What the table descriptors above allow ("Hierarchical control of ...").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Limits {
    read_only: bool,
    no_user: bool,
    privileged_execute_never: bool,
    execute_never: bool,
}

impl Limits {
    const NONE: Self = Self {
        read_only: false,
        no_user: false,
        privileged_execute_never: false,
        execute_never: false,
    };

    const fn under(self, table: Descriptor) -> Self {
        Self {
            read_only: self.read_only || table.ap_table_read_only(),
            no_user: self.no_user || table.ap_table_no_user(),
            privileged_execute_never: self.privileged_execute_never || table.pxn_table(),
            execute_never: self.execute_never || table.xn_table(),
        }
    }
}

/// What is decided above a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Inherited {
    format: Format,
    limits: Limits,
}

impl LongPaging {
    /// The paging that `regs` switch on, which are those of one regime.
    #[must_use]
    pub fn new(regs: &ArmRegs) -> Self {
        let regime = Regime::new(regs);
        Self { regime, halves: regime.halves(regs), regs: *regs }
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

    fn maps_page(format: Format, level: Level, entry: Descriptor) -> bool {
        match level {
            Level::Level3 => entry.table_or_page(),
            _ => !entry.table_or_page() && format.blocks_at(level),
        }
    }

    fn next_table(table: &Table<Inherited>, entry: Descriptor) -> Table<Inherited> {
        let Inherited { format, limits } = table.inherited;
        let level = next_level(table.level);
        let limits = if format.hierarchical { limits.under(entry) } else { limits };
        Table {
            base: format.address(entry, format.granule.bits()),
            level,
            shift: format.granule.shift(level),
            bits: format.granule.stride(),
            inherited: Inherited { format, limits },
        }
    }

    fn page(&self, table: &Table<Inherited>, entry: Descriptor) -> Page {
        Page {
            base: table.inherited.format.address(entry, table.shift),
            shift: table.shift,
            rights: self.rights(table.inherited.limits, entry),
        }
    }

    /// "Data accesses permissions" and "Instruction execution permissions" of
    /// direct permissions. With TCR.HD a clean page (AP\[2\], DBM) is writable:
    /// the CPU clears AP\[2\] on the first write.
    fn rights(&self, limits: Limits, entry: Descriptor) -> Rights {
        let clean = entry.dirty_bit_modifier() && self.regime.sets_dirty_state(self.regs.tcr);
        let writable = !limits.read_only && (!entry.read_only() || clean);
        let xn = entry.execute_never() || limits.execute_never;
        if !self.regime.has_user() {
            let kernel = Rwx { r: true, w: writable, x: !(xn || writable && self.regs.wxn()) };
            return Rights { kernel, user: Rwx::default() };
        }
        let user = entry.user() && !limits.no_user;
        let pxn = entry.privileged_execute_never() || limits.privileged_execute_never;
        self.two_privileges(writable, user, xn, pxn)
    }

    fn two_privileges(&self, writable: bool, user: bool, xn: bool, pxn: bool) -> Rights {
        let user_writable = user && writable;
        let wxn = self.regs.wxn();
        let (kernel_x, user_x) = if self.regime.aarch64() {
            // What EL0 may write, EL1 may not execute. EL0 needs no right to
            // read what it executes.
            (!pxn && !user_writable, !xn)
        } else {
            // XN holds for both, and fetching needs the right to read.
            (!(xn || pxn || user_writable && self.uwxn()), user && !xn)
        };
        Rights {
            kernel: Rwx { r: true, w: writable, x: kernel_x && !(writable && wxn) },
            user: Rwx { r: user, w: user_writable, x: user_x && !(user_writable && wxn) },
        }
    }

    /// SCTLR.UWXN, bit 20, AArch32 only: what the user can write, the kernel
    /// cannot execute.
    const fn uwxn(&self) -> bool {
        bit(self.regs.sctlr, 20)
    }

    fn span(half: &Half) -> Option<Span<Inherited>> {
        let table = half.root.ok()?;
        Some(Span {
            gva: Gva(half.first & !mask(u32::from(table.shift + table.bits))),
            addresses: Gva(half.first)..=Gva(half.last),
            start: Start::Table(table),
        })
    }
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
        let roots = self.halves.iter().flatten().filter_map(|half| half.root.ok());
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
        half.root.map(Start::Table)
    }

    fn base_register(&self, gva: Gva) -> &'static str {
        let high = self.halves[1].is_some_and(|half| half.contains(gva));
        if high { "TTBR1" } else { "TTBR0" }
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
        _: &Table<Inherited>,
        raw: u64,
        page: &Page,
        access: Access,
    ) -> Option<FaultKind> {
        if !Descriptor(raw).access_flag() && !self.regime.sets_access_flags(self.regs.tcr) {
            return Some(FaultKind::AccessFlag);
        }
        // PSTATE.PAN: no privileged data access to what the user can read.
        let data = access.kind != AccessKind::Execute;
        let pan = data && !access.user && self.regs.pan && page.rights.user.r;
        (pan || !page.rights.allow(access)).then_some(FaultKind::Permission)
    }

    /// "ESR_ELx, ISS encoding for an exception from a Data Abort": DFSC; the
    /// same numbers as DFSR.STATUS with TTBCR.EAE = 1.
    fn status(&self, kind: FaultKind, level: Level, _: Access) -> Option<u32> {
        let kind_bits = match kind {
            FaultKind::AddressSize if level == Level::LevelMinus1 => return Some(0b10_1001),
            FaultKind::Translation if level == Level::LevelMinus1 => return Some(0b10_1011),
            FaultKind::AddressSize => 0b0000,
            FaultKind::Translation => 0b0100,
            FaultKind::AccessFlag => 0b1000,
            FaultKind::Permission => 0b1100,
            _ => return None,
        };
        Some(kind_bits | level_number(level))
    }

    fn flags(&self, level: Level, raw: u64, leaf: bool) -> Vec<&'static str> {
        let entry = Descriptor(raw);
        let user = self.regime.has_user();
        match (entry.valid(), leaf) {
            (false, _) => Vec::new(),
            (true, true) => entry.leaf_names(level, user),
            (true, false) if entry.table_or_page() => entry.table_names(user),
            (true, false) => vec!["RESERVED"],
        }
    }
}

/// Bits 1:0 of a fault status: the level, 0 to 3.
const fn level_number(level: Level) -> u32 {
    match level {
        Level::Level1 => 1,
        Level::Level2 => 2,
        Level::Level3 => 3,
        _ => 0,
    }
}
