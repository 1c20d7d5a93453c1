//! Flat views: the disjoint ranges that a tree of regions comes down to.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{RegionId, WHOLE_SPACE};
use crate::addr::{Gpa, hex};

/// A range of an address space that one region answers for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlatRange {
    /// The region; it terminates.
    pub region: RegionId,
    /// The first address.
    pub start: Gpa,
    /// Bytes, at least 1.
    #[serde(with = "hex")]
    pub size: u128,
    /// The byte of the region that is at `start`.
    #[serde(with = "hex", default)]
    pub offset_in_region: u64,
    /// Read-only, by the region or by what it is seen through.
    #[serde(default)]
    pub readonly: bool,
    /// Persistent, by the region or by what it is seen through.
    #[serde(default)]
    pub nonvolatile: bool,
    /// The region's own.
    #[serde(default)]
    pub romd_mode: bool,
}

impl FlatRange {
    /// The address after the last; up to 2^64.
    #[must_use]
    pub fn end(&self) -> u128 {
        u128::from(self.start.0) + self.size
    }

    /// The last address.
    #[must_use]
    pub fn last(&self) -> Gpa {
        Gpa((self.end() - 1) as u64)
    }

    /// Whether `next` goes on where this range ends, with nothing changed.
    pub(super) fn goes_on_in(&self, next: &Self) -> bool {
        let at_end = Self { start: next.start, size: next.size, ..*self };
        let offset = u128::from(self.offset_in_region) + self.size;
        self.end() == u128::from(next.start.0)
            && offset == u128::from(next.offset_in_region)
            && Self { offset_in_region: next.offset_in_region, ..at_end } == *next
    }
}

/// What is at an address, as `memory_region_find` answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Section {
    /// The region.
    pub region: RegionId,
    /// The byte of the region.
    #[serde(with = "hex")]
    pub offset_within_region: u64,
    /// The address of that byte, not below the one asked for.
    pub offset_within_address_space: Gpa,
    /// Bytes that were asked for and are in this range.
    #[serde(with = "hex")]
    pub size: u128,
    /// See [`FlatRange::readonly`].
    pub readonly: bool,
    /// See [`FlatRange::nonvolatile`].
    pub nonvolatile: bool,
}

/// Why ranges are no flat view.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FlatError {
    /// A range of no bytes, or that reaches past the end of the space.
    #[error("the range at {0} is empty or passes the end of the address space")]
    Size(Gpa),
    /// A range that starts before the one ahead of it has ended.
    #[error("the range at {0} starts before the end of the one ahead of it")]
    Order(Gpa),
}

/// Ranges of an address space: sorted, disjoint, none of them empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<FlatRange>", into = "Vec<FlatRange>")]
pub struct FlatView {
    ranges: Vec<FlatRange>,
}

impl TryFrom<Vec<FlatRange>> for FlatView {
    type Error = FlatError;

    fn try_from(ranges: Vec<FlatRange>) -> Result<Self, FlatError> {
        Self::new(ranges)
    }
}

impl From<FlatView> for Vec<FlatRange> {
    fn from(view: FlatView) -> Self {
        view.ranges
    }
}

impl FlatView {
    /// A view of `ranges`.
    ///
    /// # Errors
    /// When a range is empty or too large, or they are not sorted and disjoint.
    pub fn new(ranges: Vec<FlatRange>) -> Result<Self, FlatError> {
        let sized = |range: &FlatRange| {
            let room = WHOLE_SPACE - u128::from(range.start.0);
            range.size > 0 && range.size <= room
        };
        if let Some(bad) = ranges.iter().find(|range| !sized(range)) {
            return Err(FlatError::Size(bad.start));
        }
        let overlap = ranges.windows(2).find(|pair| pair[0].end() > u128::from(pair[1].start.0));
        overlap.map_or(Ok(()), |pair| Err(FlatError::Order(pair[1].start)))?;
        Ok(Self { ranges })
    }

    /// A view of ranges that are known to be in order.
    pub(super) fn of_sorted(ranges: Vec<FlatRange>) -> Self {
        debug_assert!(Self::new(ranges.clone()).is_ok());
        Self { ranges }
    }

    /// The ranges in order of address.
    #[must_use]
    pub fn ranges(&self) -> &[FlatRange] {
        &self.ranges
    }

    /// The range that holds an address.
    #[must_use]
    pub fn at(&self, gpa: Gpa) -> Option<&FlatRange> {
        self.first_ending_after(gpa).filter(|range| range.start <= gpa)
    }

    /// The first range that has a byte in `gpa..gpa + size`, cut to it.
    ///
    /// A `size` of 0 is taken as 1. (QEMU, asked for 0 bytes, does not find a
    /// range by its own first byte.)
    #[must_use]
    pub fn find(&self, gpa: Gpa, size: u64) -> Option<Section> {
        let end = u128::from(gpa.0) + u128::from(size.max(1));
        let range = self.first_ending_after(gpa)?;
        let start = range.start.max(gpa);
        let size = end.min(range.end()).checked_sub(u128::from(start.0))?;
        (size > 0).then(|| Section {
            region: range.region,
            offset_within_region: range.offset_in_region.wrapping_add(start.0 - range.start.0),
            offset_within_address_space: start,
            size,
            readonly: range.readonly,
            nonvolatile: range.nonvolatile,
        })
    }

    #[inline]
    fn first_ending_after(&self, gpa: Gpa) -> Option<&FlatRange> {
        let index = self.ranges.partition_point(|range| range.end() <= u128::from(gpa.0));
        self.ranges.get(index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(start: u64, size: u128) -> FlatRange {
        let offset_in_region = 0x100;
        FlatRange {
            region: RegionId(0),
            start: Gpa(start),
            size,
            offset_in_region,
            readonly: true,
            nonvolatile: false,
            romd_mode: false,
        }
    }

    #[test]
    fn ranges_must_be_sorted_disjoint_and_inside_the_space() {
        let bad = |ranges: &[FlatRange]| FlatView::new(ranges.to_vec()).expect_err("no view");
        assert_eq!(bad(&[range(0, 0)]), FlatError::Size(Gpa(0)));
        assert_eq!(bad(&[range(1, WHOLE_SPACE)]), FlatError::Size(Gpa(1)));
        assert_eq!(bad(&[range(0, u128::MAX)]), FlatError::Size(Gpa(0)));
        assert_eq!(bad(&[range(0, 2), range(1, 2)]), FlatError::Order(Gpa(1)));
        assert!(FlatView::new(vec![range(0, WHOLE_SPACE)]).is_ok());
    }

    #[test]
    fn find_answers_the_first_range_that_is_touched_cut_to_the_question() {
        let view = FlatView::new(vec![range(0x10, 0x10), range(0x30, 0x10)]).expect("a view");
        let found = view.find(Gpa(0x18), 0x100).expect("is there");
        assert_eq!((found.offset_within_region, found.size), (0x108, 8));
        let found = view.find(Gpa(0x20), 0x14).expect("reaches the second");
        assert_eq!(found.offset_within_address_space, Gpa(0x30));
        assert_eq!((found.offset_within_region, found.size, found.readonly), (0x100, 4, true));
        assert_eq!(view.find(Gpa(0x20), 0x10), None);
        assert_eq!(view.find(Gpa(0x40), u64::MAX), None);
    }

    #[test]
    fn a_size_of_nothing_is_taken_as_one_byte() {
        let view = FlatView::new(vec![range(0x10, 0x10)]).expect("a view");
        assert_eq!(view.find(Gpa(0x10), 0), view.find(Gpa(0x10), 1));
        assert!(view.find(Gpa(0x10), 0).is_some());
    }

    #[test]
    fn the_last_byte_of_the_space_is_found() {
        let view = FlatView::new(vec![range(u64::MAX, 1)]).expect("a view");
        assert_eq!(view.find(Gpa(u64::MAX), u64::MAX).map(|found| found.size), Some(1));
        assert_eq!(view.at(Gpa(u64::MAX)).map(FlatRange::last), Some(Gpa(u64::MAX)));
        assert_eq!(view.at(Gpa(u64::MAX - 1)), None);
    }

    #[test]
    fn views_are_checked_when_read() {
        let json = r#"[{"region":0,"start":"0x0","size":"0x10000000000000000"}]"#;
        let view: FlatView = serde_json::from_str(json).expect("a view");
        assert_eq!(view.ranges()[0].size, WHOLE_SPACE);
        let json = r#"[{"region":0,"start":"0x1","size":"0x10000000000000000"}]"#;
        assert!(serde_json::from_str::<FlatView>(json).is_err());
    }
}
