//! Which parts of a guest's memory a source has.

use crate::{
    addr::{Address, Gpa, RangeSet},
    image::ImageMemory,
    region::physical::{Backing, PhysicalMemory, PhysicalRange},
};

/// Which parts of a guest's memory a source has.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Coverage {
    /// Where the source holds bytes: first address, length.
    pub held: Vec<(Gpa, u64)>,
    /// Where the guest has memory, whether or not the source holds its bytes.
    pub memory: RangeSet,
    /// Where the source has the bytes, or knows them to be zeros.
    pub readable: RangeSet,
}

impl Coverage {
    pub(super) fn of_image(memory: &ImageMemory) -> Self {
        let held = memory.held();
        let zeros = ranges(memory, |backing| matches!(backing, Backing::Zero));
        Self { readable: zeros.or(&range_set(&held)), held, memory: no_device(memory) }
    }

    pub(super) fn of_view<A: Address, S>(memory: &PhysicalMemory<A, S>) -> Self {
        let at = |range: &&PhysicalRange<A>| matches!(range.backing, Backing::At(_));
        let held: Vec<_> =
            memory.ranges().iter().filter(at).map(|range| (range.gpa, range.len)).collect();
        Self { readable: range_set(&held), held, memory: no_device(memory) }
    }
}

fn no_device<A: Address, S>(memory: &PhysicalMemory<A, S>) -> RangeSet {
    ranges(memory, |backing| !matches!(backing, Backing::Device(_)))
}

/// The ranges with such a backing.
fn ranges<A: Address, S>(
    memory: &PhysicalMemory<A, S>,
    wanted: impl Fn(&Backing<A>) -> bool,
) -> RangeSet {
    let ranges = memory.ranges().iter().filter(|range| wanted(&range.backing));
    ranges.map(|range| range.gpa.0..=range.gpa.0 + (range.len - 1)).collect()
}

/// Ranges given by first address and length.
fn range_set(ranges: &[(Gpa, u64)]) -> RangeSet {
    ranges.iter().map(|(gpa, len)| gpa.0..=gpa.0 + (len - 1)).collect()
}
