//! An opened source as one CPU sees it.

use std::{ops::RangeInclusive, sync::Arc};

use super::{Attached, Coverage, Remark};
use crate::{
    addr::{Gva, RangeSet},
    advice::Advice,
    guest::{Gap, Guest, Missing},
    image::CoreNote,
    mmu::{Mmu, Roots, SpaceLimits, VirtualSpace, find_roots, usual_shapes},
    region::monitor::Style,
    regs::{Arch, Cpu, OtherArch, Register},
};

/// An opened source: the guest as one CPU sees it, and what is known of where it
/// came from.
#[non_exhaustive]
pub struct Opened {
    /// The guest.
    pub guest: Guest,
    /// Its CPU's number.
    pub number: u64,
    /// Every CPU of the source by its number; the chosen one as the guest has it.
    pub cpus: Vec<(u64, Cpu)>,
    /// Which memory the source has.
    pub coverage: Arc<Coverage>,
    /// What is worth saying.
    pub remarks: Vec<Remark>,
    /// The architecture, where the source or the user names it.
    pub arch: Option<Arch>,
    /// The guest's architecture, if no walker models it and none other was asked for.
    pub other: Option<OtherArch>,
    /// The CPU, with usual values where nobody knows better.
    pub cpu: Cpu,
    /// Whether what decides the format of tables is the guest's, not merely usual.
    pub mode_known: bool,
    /// The place in the map of the address space that memory is seen through, if
    /// it is not the one called `memory`.
    pub address_space: Option<usize>,
    /// What other programs noted in the source.
    pub core_notes: Vec<CoreNote>,
    /// Whose text the region map was read from.
    pub style: Option<Style>,
    /// What it is seen in.
    pub source: Arc<Attached>,
}

impl Opened {
    /// Every mapping within `range`, and what is left out because nobody knows the
    /// register that holds the base of its tables.
    ///
    /// # Errors
    /// As [`Guest::space`].
    pub fn space(&self, range: RangeInclusive<Gva>) -> Result<(VirtualSpace, Vec<Gap>), Missing> {
        let mmu = self.guest.mmu()?;
        let unknown = self.guest.unknown_tables().iter().copied();
        let within = |register: &Register| mmu.range_without(range.clone(), &[*register]) != range;
        let gap = |register: Register| Gap {
            what: format!("{register} is not known, its half is left out"),
            advice: Advice::Give(register.setting()),
        };
        let left_out = unknown.filter(within).map(gap).collect();
        Ok((self.guest.space(range, SpaceLimits::default())?, left_out))
    }

    /// What is worth saying of the answer that `gva` is not mapped.
    #[must_use]
    pub fn remarks_on_unmapped(&self, gva: Gva) -> Vec<Remark> {
        self.guest.isolated(gva).map(Remark::Isolation).into_iter().collect()
    }

    /// Where the guest has memory, whether or not the source holds it or knows.
    #[must_use]
    pub fn all_memory(&self) -> RangeSet {
        let memory = &self.coverage.memory;
        let (Ok(map), Ok(view)) = (self.guest.regions(), self.guest.flat_view()) else {
            return memory.clone();
        };
        let ranges = view.ranges().iter();
        let by_map = ranges.filter(|range| map.region(range.region).reads_like_memory());
        memory.or(&by_map.map(|range| range.start.0..=range.last().0).collect())
    }

    /// Plausible table bases in memory: of the CPU's format, or of any usual one
    /// where that is not known. `progress` hears the bytes scanned so far.
    ///
    /// # Errors
    /// When there is no memory.
    pub fn roots(&self, progress: &mut dyn FnMut(u64)) -> Result<Roots, Missing> {
        let memory = self.guest.memory()?;
        self.other.map_or(Ok(()), |other| Err(Missing::Walker(other)))?;
        let regs = self.cpu.regs;
        let shapes = if self.mode_known {
            Mmu::new(&regs).map_err(Missing::NotModelled)?;
            vec![regs]
        } else {
            usual_shapes(&regs)
        };
        Ok(find_roots(&shapes, memory, &self.coverage.held, progress))
    }

    /// Whether an address can be translated and read.
    ///
    /// # Errors
    /// What is missing.
    pub fn translates(&self) -> Result<(), Missing> {
        self.guest.mmu().map(drop).and(self.guest.memory().map(drop))
    }
}
