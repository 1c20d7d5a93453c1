//! Sets of numbers as sorted ranges: which addresses are held, wanted, left out.

use std::ops::RangeInclusive;

/// A set of 64-bit numbers, kept as ranges that neither overlap nor touch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RangeSet {
    ranges: Vec<RangeInclusive<u64>>,
}

impl RangeSet {
    /// The ranges, lowest first; the last number of each is in it.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (u64, u64)> + DoubleEndedIterator + '_ {
        self.ranges.iter().map(|range| (*range.start(), *range.end()))
    }

    /// Whether nothing is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// How many numbers are in it.
    #[must_use]
    pub fn count(&self) -> u128 {
        self.iter().map(|(first, last)| u128::from(last - first) + 1).sum()
    }

    /// How many aligned blocks of `size`, a power of two, have a number in it.
    #[must_use]
    pub fn blocks(&self, size: u64) -> u64 {
        self.aligned(size).iter().map(|(first, last)| (last - first) / size + 1).sum()
    }

    /// Every aligned block of `size`, a power of two, that has a number in it.
    #[must_use]
    pub fn aligned(&self, size: u64) -> Self {
        let mask = size - 1;
        self.iter().map(|(first, last)| first & !mask..=last | mask).collect()
    }

    /// What of `first..=last` is in it, lowest first.
    pub fn within(&self, first: u64, last: u64) -> impl Iterator<Item = (u64, u64)> + '_ {
        let start = self.ranges.partition_point(|range| *range.end() < first);
        let here = self.ranges[start..].iter().take_while(move |range| *range.start() <= last);
        here.map(move |range| (first.max(*range.start()), last.min(*range.end())))
    }

    /// What is in both.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        let (mut mine, mut others) = (self.iter().peekable(), other.iter().peekable());
        let mut ranges = Vec::new();
        while let (Some(&(first, last)), Some(&(from, to))) = (mine.peek(), others.peek()) {
            if first.max(from) <= last.min(to) {
                ranges.push(first.max(from)..=last.min(to));
            }
            if last <= to {
                mine.next();
            } else {
                others.next();
            }
        }
        Self { ranges }
    }

    /// What is in this one only.
    #[must_use]
    pub fn without(&self, other: &Self) -> Self {
        self.and(&other.complement())
    }

    /// What is in either.
    #[must_use]
    pub fn or(&self, other: &Self) -> Self {
        self.ranges.iter().chain(&other.ranges).cloned().collect()
    }

    /// All numbers that are not in it.
    fn complement(&self) -> Self {
        let mut ranges = Vec::new();
        let mut next = Some(0);
        for (first, last) in self.iter() {
            if let Some(start) = next.filter(|&start| start < first) {
                ranges.push(start..=first - 1);
            }
            next = last.checked_add(1);
        }
        ranges.extend(next.map(|start| start..=u64::MAX));
        Self { ranges }
    }
}

impl FromIterator<RangeInclusive<u64>> for RangeSet {
    fn from_iter<I: IntoIterator<Item = RangeInclusive<u64>>>(ranges: I) -> Self {
        let mut all: Vec<_> = ranges.into_iter().filter(|range| !range.is_empty()).collect();
        all.sort_unstable_by_key(|range| *range.start());
        let mut ranges: Vec<RangeInclusive<u64>> = Vec::new();
        for range in all {
            match ranges.last_mut() {
                Some(last) if *range.start() <= last.end().saturating_add(1) => {
                    *last = *last.start()..=*last.end().max(range.end());
                }
                _ => ranges.push(range),
            }
        }
        Self { ranges }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn set(ranges: &[(u64, u64)]) -> RangeSet {
        ranges.iter().map(|&(first, last)| first..=last).collect()
    }

    #[test]
    fn ranges_that_touch_are_one_up_to_the_end_of_the_space() {
        let all = set(&[(8, u64::MAX), (0, 3), (4, 7)]);
        assert_eq!(all.iter().collect::<Vec<_>>(), [(0, u64::MAX)]);
        assert_eq!(all.count(), 1 << 64);
        assert!(set(&[(0, 9)]).without(&all).is_empty());
        assert_eq!(set(&[(0x1fff, 0x2000)]).blocks(0x1000), 2);
    }

    proptest! {
        #[test]
        fn sets_agree_with_sets_of_single_numbers(
            a in proptest::collection::vec((0u64..64, 0u64..8), 0..8),
            b in proptest::collection::vec((0u64..64, 0u64..8), 0..8),
        ) {
            let ranges = |list: &[(u64, u64)]| -> RangeSet {
                list.iter().map(|&(first, more)| first..=first + more).collect()
            };
            let (a, b) = (ranges(&a), ranges(&b));
            let has = |set: &RangeSet, n| set.iter().any(|(first, last)| first <= n && n <= last);
            for n in 0..80 {
                prop_assert_eq!(has(&a.and(&b), n), has(&a, n) && has(&b, n));
                prop_assert_eq!(has(&a.or(&b), n), has(&a, n) || has(&b, n));
                prop_assert_eq!(a.within(n, n).count() == 1, has(&a, n));
                prop_assert_eq!(has(&a.without(&b), n), has(&a, n) && !has(&b, n));
            }
        }
    }
}
