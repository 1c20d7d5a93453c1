//! The paging of one CPU, whatever its architecture.

use std::ops::RangeInclusive;

use super::{
    Access, NotModelled, Query, Step, Translation, Walk, WalkError, arm, arm_legacy, arm_long,
    arm_short,
    gate::{self, ControlLine},
    pmsa,
    walk::{self, Paging},
    x86,
};
use crate::{
    addr::Gva,
    memory::Memory,
    regs::{Cpu, Register, Regs},
};

/// The paging registers of one CPU at one moment, decoded: which tables, of
/// which format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mmu {
    /// x86, every mode.
    X86(x86::X86Paging),
    /// ARM before v7: tables with subpages.
    ArmLegacy(arm_legacy::LegacyPaging),
    /// ARM, AArch32 with short descriptors.
    ArmShort(arm_short::ShortPaging),
    /// ARM, long descriptors: AArch64, and AArch32 with LPAE.
    ArmLong(arm_long::LongPaging),
    /// ARM, an MPU: regions, and no tables.
    Pmsa(pmsa::PmsaPaging),
}

/// Runs `$body` with `$paging` bound to the architecture's paging.
macro_rules! each_paging {
    ($mmu:expr, $paging:ident => $body:expr) => {
        match $mmu {
            Mmu::X86($paging) => $body,
            Mmu::ArmLegacy($paging) => $body,
            Mmu::ArmShort($paging) => $body,
            Mmu::ArmLong($paging) => $body,
            Mmu::Pmsa($paging) => $body,
        }
    };
}
pub(crate) use each_paging;

impl Mmu {
    /// The paging that `regs` switch on.
    ///
    /// # Errors
    /// When they switch on something that no walker models.
    pub fn new(regs: &Regs) -> Result<Self, NotModelled> {
        match regs {
            Regs::X86(regs) => x86::X86Paging::new(regs).map(Mmu::X86),
            Regs::Arm(regs) if regs.mpu.exists() => pmsa::PmsaPaging::new(regs).map(Mmu::Pmsa),
            Regs::Arm(regs) if regs.long_descriptors() => {
                arm_long::LongPaging::new(regs).map(Mmu::ArmLong)
            }
            Regs::Arm(regs) if regs.subpages() => {
                arm_legacy::LegacyPaging::new(regs).map(Mmu::ArmLegacy)
            }
            Regs::Arm(regs) => arm_short::ShortPaging::new(regs).map(Mmu::ArmShort),
        }
    }

    /// The paging of `cpu`. Rights that depend on a register which nobody knows are
    /// unknown.
    ///
    /// # Errors
    /// As [`Mmu::new`].
    pub fn of(cpu: &Cpu) -> Result<Self, NotModelled> {
        let mmu = Self::new(&cpu.regs)?;
        if cpu.undecided_rights().is_none() {
            return Ok(mmu);
        }
        Ok(match mmu {
            Mmu::ArmShort(short) => Mmu::ArmShort(short.with_unknown_domains()),
            Mmu::ArmLegacy(legacy) => Mmu::ArmLegacy(legacy.with_unknown_rights()),
            Mmu::ArmLong(long) => Mmu::ArmLong(long.with_unknown_rights()),
            other => other,
        })
    }

    /// Where `gva` is mapped, whatever the rights: the debug view, which is
    /// what `panda_virt_to_phys` answers on x86.
    ///
    /// # Errors
    /// [`WalkError::Fault`] when it is not mapped, [`WalkError::Unreadable`]
    /// when a table entry could not be read.
    #[inline]
    pub fn translate<M: Memory + ?Sized>(
        &self,
        memory: &M,
        gva: Gva,
    ) -> Result<Translation, WalkError> {
        self.query(memory, gva, Query::Presence)
    }

    /// As [`Mmu::translate`], for the question `query`.
    ///
    /// # Errors
    /// As [`Mmu::translate`]; an access that is not allowed is a fault too.
    #[inline]
    pub fn query<M: Memory + ?Sized>(
        &self,
        memory: &M,
        gva: Gva,
        query: Query,
    ) -> Result<Translation, WalkError> {
        each_paging!(self, paging => walk::walk(paging, memory, gva, query, |_| {}))
    }

    /// As [`Mmu::query`], with every table entry that was read on the way.
    pub fn walk<M: Memory + ?Sized>(&self, memory: &M, gva: Gva, query: Query) -> Walk {
        let mut steps = Vec::with_capacity(5);
        let result = each_paging!(self, paging => walk::walk(paging, memory, gva, query, |step| steps.push(step)));
        Walk { gva, steps, result }
    }

    /// The mode, in the manual's words.
    #[must_use]
    pub fn mode(&self) -> &'static str {
        each_paging!(self, paging => paging.mode())
    }

    /// The register that holds the base of the tables of `gva`, by the manual's
    /// name: CR3, TTBR0, or TTBR1.
    #[must_use]
    pub fn base_register(&self, gva: Gva) -> Register {
        each_paging!(self, paging => paging.base_register(gva))
    }

    /// The part of `range` whose tables are not below `registers`; empty if
    /// nothing is left.
    #[must_use]
    pub fn range_without(
        &self,
        range: RangeInclusive<Gva>,
        registers: &[Register],
    ) -> RangeInclusive<Gva> {
        let spans = each_paging!(self, paging => paging.addresses());
        spans
            .into_iter()
            .filter(|span| registers.contains(&self.base_register(*span.start())))
            .fold(range, |range, span| cut(&range, &span))
    }

    /// Bytes of the smallest page (of the lower half, where the halves differ).
    #[must_use]
    pub fn granule(&self) -> u64 {
        each_paging!(self, paging => paging.granule())
    }

    /// Bytes of a table entry: 4 or 8.
    #[must_use]
    pub fn entry_bytes(&self) -> u64 {
        each_paging!(self, paging => paging.entry_bytes())
    }

    /// Whether the guest encrypts the page that was `found`, where its entries can say
    /// so.
    #[must_use]
    pub fn encrypts(&self, found: &Translation) -> Option<bool> {
        let Mmu::X86(paging) = self else { return None };
        paging.encrypts_page(found.leaf)
    }

    /// The decoded flags of `step`'s entry, by the manual's names.
    #[must_use]
    pub fn flags(&self, step: &Step) -> Vec<&'static str> {
        each_paging!(self, paging => paging.flags(step.level, step.raw, step.leaf))
    }
}

/// The unknown register that decides whether `access` succeeds, if there is one: it is
/// asked for by name, never guessed. Where addresses lead is [`Cpu::undecided`]'s
/// matter.
pub(crate) fn undecided_access(cpu: &Cpu, access: Access) -> Option<Register> {
    if !cpu.regs.paging_is_on() {
        return None;
    }
    let unknown = |(register, counts): &(Register, bool)| {
        (*counts && !cpu.knows(*register)).then_some(*register)
    };
    cpu.undecided_rights().or_else(|| match &cpu.regs {
        Regs::X86(regs) => x86::deciding(regs, access).iter().find_map(unknown),
        Regs::Arm(_) => arm::deciding(access).iter().find_map(unknown),
    })
}

/// The mode that `regs` switch on, in the manual's words.
#[must_use]
pub fn mode(regs: &Regs) -> &'static str {
    Mmu::new(regs).map_or("not modelled", |mmu| mmu.mode())
}

/// What steers each kind of paging, and what a walk makes of it, for docs/limits.md.
#[doc(hidden)]
#[must_use]
pub fn controls() -> Vec<(&'static str, Vec<ControlLine>)> {
    let x86 = [("x86", gate::lines(&x86::CONTROLS))];
    let short = arm_short::controls().into_iter().chain(arm_legacy::controls());
    let arm = short.chain(arm_long::controls()).chain(pmsa::controls());
    x86.into_iter().chain(arm.map(|(name, controls)| (name, gate::lines(controls)))).collect()
}

/// `range` without `part`, which is one end of it, or not in it.
fn cut(range: &RangeInclusive<Gva>, part: &RangeInclusive<Gva>) -> RangeInclusive<Gva> {
    let (first, last) = (*range.start(), *range.end());
    let left = match (part.start().0.checked_sub(1), part.end().0.checked_add(1)) {
        (Some(before), _) if first < *part.start() => Some(first..=last.min(Gva(before))),
        (_, Some(behind)) => Some(first.max(Gva(behind))..=last),
        _ => None,
    };
    left.unwrap_or(Gva(1)..=Gva(0))
}
