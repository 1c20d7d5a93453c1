//! Memory protection units: Arm Architecture Reference Manual for ARMv7-A and ARMv7-R
//! (DDI 0406C.d), chapter "Protected Memory System Architecture (PMSA)"; for ARMv7-M
//! (DDI 0403E.e), "Protected Memory System Architecture, PMSAv7"; the supplement for
//! ARMv8-R AArch32 (DDI 0568), "Protected Memory System Architecture".
//!
//! There are no tables: every address is its own physical one, and a region says who may
//! use it. `entry` reads a region, `rights` combines rights and refuses accesses; this
//! file finds the region that decides.
//!
//! Present is what a region, the background region or the default memory map covers. Not
//! here: PMSAv5 and the M profile of ARMv8, whose SAU and IDAU part addresses by
//! security; memory attributes. What the manuals leave unpredictable is as in QEMU: a
//! region that is not aligned to its size counts as disabled, reserved permissions
//! forbid all access.

mod controls;
mod entry;
mod rights;
#[cfg(test)]
mod tests;

use self::{
    controls::{MPU_CTRL_CONTROLS, SCTLR_CONTROLS},
    entry::Region,
};
use super::{
    Access, FaultKind, Level, NotModelled, Step, arm,
    gate::{self, Control},
    walk::{Decoded, Page, Paging, Span, Start, Table},
};
use crate::{
    addr::{Gpa, Gva},
    bits::{bit, mask},
    regs::{ArmRegs, MpuKind, MpuRegion, Register, Regs},
};

/// log2 of the address space.
const SPACE: u8 = 32;
/// Where the default memory maps and the Private Peripheral Bus begin and end.
const MAP_BORDERS: [u64; 5] = [0x8000_0000, 0xe000_0000, PPB_END, 0xf000_0000, 1 << 32];
/// The default memory map of the M profile changes at multiples of this.
const MAP_STEP: u64 = 0x2000_0000;
/// The Private Peripheral Bus of the M profile.
const PPB: u64 = 0xe000_0000;
const PPB_END: u64 = 0xe010_0000;

/// What decides on an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Decision {
    /// The region of this number.
    Region(usize),
    /// The default memory map, for everybody.
    Default,
    /// The background region: the default memory map, for the privileged.
    Background,
    /// No region, and there is no background region.
    Nothing,
    /// Several regions of PMSAv8.
    Several,
}

/// The MPU of one ARM CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PmsaPaging {
    regs: ArmRegs,
}

impl PmsaPaging {
    /// The protection that `regs` switch on.
    ///
    /// # Errors
    /// When they switch on something that is not modelled.
    pub fn new(regs: &ArmRegs) -> Result<Self, NotModelled> {
        for controls in [&arm::ABOVE[..], &MPU_CTRL_CONTROLS, &SCTLR_CONTROLS] {
            gate::check(controls, regs, |register| Regs::Arm(*regs).get(register))?;
        }
        Ok(Self { regs: *regs })
    }

    const fn kind(&self) -> MpuKind {
        self.regs.mpu.kind
    }

    const fn is_m(&self) -> bool {
        self.kind().is_m()
    }

    /// SCTLR.M, bit 0. Of the M profile MPU_CTRL.ENABLE, bit 0, and HFNMIENA, bit 1,
    /// without which it is off while the priority is negative.
    const fn is_on(&self) -> bool {
        let control = self.regs.mpu.control as u64;
        match self.is_m() {
            true => bit(control, 0) && (bit(control, 1) || !self.regs.mpu.negative),
            false => bit(self.regs.sctlr, 0),
        }
    }

    /// SCTLR.BR, bit 17; MPU_CTRL.PRIVDEFENA, bit 2.
    const fn has_background(&self) -> bool {
        match self.is_m() {
            true => bit(self.regs.mpu.control as u64, 2),
            false => bit(self.regs.sctlr, 17),
        }
    }

    fn regions(&self) -> impl DoubleEndedIterator<Item = (usize, Region)> + '_ {
        let region = |of: &MpuRegion| Region::new(self.kind(), *of);
        let all = self.regs.mpu.regions().iter().map(region).enumerate();
        all.filter(|(_, region)| region.enabled())
    }

    /// "Memory access control": the highest region of PMSAv7 that has the address, the
    /// only one of PMSAv8, or else the background region.
    fn decide(&self, address: u64) -> Decision {
        let ppb = self.is_m() && (PPB..PPB_END).contains(&address);
        if !self.is_on() || ppb {
            return Decision::Default;
        }
        let mut having = self.regions().rev().filter(|(_, region)| region.contains(address));
        let first = having.next().map(|(number, _)| number);
        match first {
            Some(_) if self.kind() == MpuKind::V8R && having.next().is_some() => Decision::Several,
            Some(number) => Decision::Region(number),
            None if self.has_background() => Decision::Background,
            None => Decision::Nothing,
        }
    }

    /// log2 of the largest aligned block around `address` on which one thing decides,
    /// by one default memory map.
    fn block(&self, address: u64) -> u8 {
        let regions = self.regions().flat_map(|(_, region)| region.borders());
        let borders = MAP_BORDERS.into_iter().chain((0..8).map(|step| step * MAP_STEP));
        let shift = borders.chain(regions).filter_map(|border| {
            // The bytes on both sides of a border are in no common block.
            let other = if border > address { border } else { border.checked_sub(1)? };
            (other ^ address).checked_ilog2()
        });
        shift.min().unwrap_or(0).min(u32::from(SPACE)) as u8
    }

    fn page(&self, address: u64, decision: Decision) -> Page {
        let shift = self.block(address);
        let base = address & !mask(u32::from(shift));
        Page { base: Gpa(base), shift, rights: self.rights(address, decision) }
    }

    /// Where one aligned block begins behind another.
    fn blocks(&self) -> impl Iterator<Item = (Gva, u8)> + '_ {
        let next = |(gva, shift): &(Gva, u8)| {
            let gva = gva.0 + (1u64 << *shift);
            (gva >> SPACE == 0).then(|| (Gva(gva), self.block(gva)))
        };
        std::iter::successors(Some((Gva(0), self.block(0))), next)
    }
}

/// What steers MPUs, by register.
pub(super) fn controls() -> Vec<(&'static str, &'static [Control<ArmRegs>])> {
    vec![
        ("ARM, SCTLR of an MPU", &SCTLR_CONTROLS),
        ("ARM, MPU_CTRL of the M profile", &MPU_CTRL_CONTROLS),
    ]
}

impl Paging for PmsaPaging {
    type Inherited = ();

    fn mode(&self) -> &'static str {
        match (self.kind(), self.is_on()) {
            (MpuKind::V7M, true) => "PMSAv7-M, MPU on",
            (MpuKind::V7M, false) => "PMSAv7-M, MPU off",
            (MpuKind::V8R, true) => "PMSAv8-R, MPU on",
            (MpuKind::V8R, false) => "PMSAv8-R, MPU off",
            (_, true) => "PMSAv7-R, MPU on",
            (_, false) => "PMSAv7-R, MPU off",
        }
    }

    fn entry_bytes(&self) -> u64 {
        8
    }

    /// Of the smallest region.
    fn granule(&self) -> u64 {
        if self.kind() == MpuKind::V8R { 64 } else { 32 }
    }

    fn start(&self, gva: Gva) -> Result<Start<()>, (FaultKind, Level)> {
        if gva.0 >> SPACE != 0 {
            return Err((FaultKind::Background, Level::Region));
        }
        match self.decide(gva.0) {
            Decision::Nothing => Err((FaultKind::Background, Level::Region)),
            Decision::Several => Err((FaultKind::Overlap, Level::Region)),
            decision => Ok(Start::Off(self.page(gva.0, decision))),
        }
    }

    /// There is none: no register has to be known but the regions.
    fn base_register(&self, _: Gva) -> Register {
        Register::Pmsa
    }

    fn spans(&self) -> Vec<Span<()>> {
        let span = |(gva, shift): (Gva, u8)| {
            let addresses = gva..=Gva(gva.0 | mask(u32::from(shift)));
            let start = self.start(gva).ok()?;
            Some(Span { gva, addresses, start })
        };
        self.blocks().filter_map(span).collect()
    }

    fn region(&self, gva: Gva) -> Option<Step> {
        let Decision::Region(number) = self.decide(gva.0) else { return None };
        let region = Region::new(self.kind(), *self.regs.mpu.regions().get(number)?);
        let (at, raw) = (Gpa(region.base()), region.raw());
        Some(Step { level: Level::Region, index: number as u64, at, raw, leaf: true })
    }

    fn refused_untranslated(&self, gva: Gva, page: &Page, access: Access) -> Option<FaultKind> {
        self.forbidden(gva.0, page, access)
    }

    /// No entry is ever read.
    fn decode(&self, _: &Table<()>, _: u64) -> Decoded<()> {
        Decoded::Invalid(FaultKind::Background)
    }

    fn malformed(&self, _: &Table<()>, _: u64) -> Option<FaultKind> {
        None
    }

    fn refused(&self, _: &Table<()>, _: u64, _: &Page, _: Access) -> Option<FaultKind> {
        None
    }

    fn status(&self, kind: FaultKind, _: Level, access: Access) -> Option<u32> {
        self.fault_status(kind, access)
    }

    fn flags(&self, _: Level, raw: u64, _: bool) -> Vec<&'static str> {
        self.names(raw)
    }
}
