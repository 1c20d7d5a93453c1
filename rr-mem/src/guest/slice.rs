//! The part of a guest's memory that a question depends on: the tables that its
//! walks read, and the pages that it is about.

use std::ops::RangeInclusive;

use thiserror::Error;

use super::{Guest, Missing};
use crate::{
    addr::{Gpa, Gva, PAGE, RangeSet},
    memory::{Memory, ReadError, Recorder},
    mmu::{Merge, Progression, SpaceLimits, Unreadable, VirtualSpace},
};

/// Mappings that one range of virtual addresses may consist of.
const MOST_MAPPINGS: usize = 1 << 22;

/// What is asked for.
#[derive(Clone, Debug, Default)]
pub struct SliceContents {
    /// Virtual addresses: their pages, and the tables that lead to them.
    pub gva: Vec<RangeInclusive<Gva>>,
    /// Physical addresses: their pages.
    pub gpa: Vec<RangeInclusive<Gpa>>,
    /// Every table of the address space.
    pub space: bool,
}

/// What a question stands on.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Needed {
    /// The bytes of tables, those of the range that was asked for.
    pub tables: RangeSet,
    /// The pages.
    pub data: RangeSet,
    /// Virtual ranges of which nothing is mapped.
    pub unmapped: Vec<RangeInclusive<Gva>>,
    /// Tables that could not be read: what they map is not known.
    pub unreadable: Vec<Unreadable>,
    /// Whether the tables are larger than any kernel's: not all were read.
    pub truncated: bool,
}

/// Why no answer can be given.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SliceError {
    /// The source lacks something.
    #[error("{0}")]
    Missing(#[from] Missing),
    /// More mappings than can be listed.
    #[error("{0} to {1} has too many mappings")]
    TooMany(Gva, Gva),
}

impl<M: Memory> Guest<M> {
    /// The memory that `wanted` depends on, whether or not the source has it.
    ///
    /// # Errors
    /// When registers or memory are missing, or a range is mapped to beyond all
    /// reason.
    pub fn needed(&self, wanted: &SliceContents) -> Result<Needed, SliceError> {
        let memory = Recorder::new(self.memory()?);
        let mut needed = Needed::default();
        let mut data: Vec<_> = wanted.gpa.iter().map(|r| r.start().0..=r.end().0).collect();
        for range in &wanted.gva {
            let space = self.recorded(&memory, whole_pages(range))?;
            let found = mapped(&space, range)?;
            if found.is_empty() {
                needed.unmapped.push(range.clone());
            }
            data.extend(found);
            needed.note(&space);
        }
        if wanted.space {
            let space = self.recorded(&memory, Gva(0)..=Gva(u64::MAX))?;
            needed.note(&space);
        }
        needed.data = data.into_iter().collect::<RangeSet>().aligned(PAGE);
        Ok(Needed { tables: memory.ranges(), ..needed })
    }

    /// The mappings of a range, read through `memory`, of tables that are known.
    fn recorded(
        &self,
        memory: &Recorder<&M>,
        range: RangeInclusive<Gva>,
    ) -> Result<VirtualSpace, Missing> {
        let known = self.mmu()?.range_without(range.clone(), &self.unknown_tables);
        if known.is_empty() && !self.unknown_tables.is_empty() {
            return Err(Missing::Table(self.mmu()?.base_register(*range.start())));
        }
        Ok(VirtualSpace::within(self.mmu()?, memory, known, SpaceLimits::default()))
    }
}

impl Needed {
    fn note(&mut self, space: &VirtualSpace) {
        self.unreadable.extend_from_slice(space.unreadable());
        self.truncated |= space.truncated();
    }
}

fn whole_pages(range: &RangeInclusive<Gva>) -> RangeInclusive<Gva> {
    let mask = PAGE - 1;
    Gva(range.start().0 & !mask)..=Gva(range.end().0 | mask)
}

/// The physical addresses behind a range of virtual ones.
fn mapped(
    space: &VirtualSpace,
    range: &RangeInclusive<Gva>,
) -> Result<Vec<RangeInclusive<u64>>, SliceError> {
    let pages = whole_pages(range);
    let mut found = Vec::new();
    for mapping in space.mappings(Merge::Physical) {
        let Some(part) = mapping.clipped(*pages.start(), *pages.end()) else { continue };
        let more = match part.progression {
            Progression::Same(unit) => unit - 1,
            Progression::Linear | Progression::Scattered => part.last.0 - part.gva.0,
        };
        let first = match part.progression {
            Progression::Same(unit) => part.gpa.0 & !(unit - 1),
            Progression::Linear | Progression::Scattered => part.gpa.0,
        };
        found.push(first..=first.saturating_add(more));
        if found.len() > MOST_MAPPINGS {
            return Err(SliceError::TooMany(*range.start(), *range.end()));
        }
    }
    Ok(found)
}

/// Memory of which only some bytes are shown: the others are zeros.
#[derive(Debug)]
#[non_exhaustive]
pub struct Redacted<'a, M> {
    /// The memory.
    pub memory: M,
    /// What is shown.
    pub shown: &'a RangeSet,
}

impl<M: Memory> Memory for Redacted<'_, M> {
    fn read(&self, addr: Gpa, dst: &mut [u8]) -> Result<(), ReadError> {
        let Some(more) = (dst.len() as u64).checked_sub(1) else { return Ok(()) };
        let result = self.memory.read(addr, dst);
        let last = addr.0.saturating_add(more);
        let mut hidden = 0;
        for (first, last) in self.shown.within(addr.0, last) {
            dst[hidden..(first - addr.0) as usize].fill(0);
            hidden = (last - addr.0) as usize + 1;
        }
        dst[hidden..].fill(0);
        result
    }
}
