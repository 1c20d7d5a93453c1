//! Two moments of one guest: which pages changed, and which mappings.
//!
//! Bytes are compared in parallel, in place where sources are mapped files.
//! Page tables are compared by what they map, not by their bytes.

use std::ops::{ControlFlow, RangeInclusive};

use rayon::prelude::*;

use crate::{
    addr::{Gpa, Gva, PAGE, RangeSet},
    memory::Memory,
    mmu::{Mapping, Merge, Progression, VirtualSpace},
};

/// Bytes that one thread compares at a time.
const CHUNK: u64 = 1 << 20;

/// A page that is not the same in both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChangedPage {
    /// Its first byte that was compared.
    pub gpa: Gpa,
    /// The first byte that differs, counted from there.
    pub first: u64,
    /// How many differ.
    pub bytes: u64,
}

/// What a comparison of bytes found.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Changes {
    /// By ascending address.
    pub pages: Vec<ChangedPage>,
    /// Pages that could not be read in one of the two.
    pub unread: RangeSet,
}

/// Compares the bytes of two memories at `ranges`; `progress` hears how many
/// bytes are done, from any thread.
pub fn pages<A, B>(a: &A, b: &B, ranges: &RangeSet, progress: &(dyn Fn(u64) + Sync)) -> Changes
where
    A: Memory + Sync + ?Sized,
    B: Memory + Sync + ?Sized,
{
    let chunks: Vec<_> = ranges.iter().flat_map(chunks).collect();
    let compared: Vec<Changes> = chunks
        .into_par_iter()
        .map(|(first, last)| {
            let changes = chunk(a, b, first, last);
            progress(last - first + 1);
            changes
        })
        .collect();
    let mut pages = Vec::new();
    let mut unread = Vec::new();
    for changes in compared {
        pages.extend(changes.pages);
        unread.extend(changes.unread.iter().map(|(first, last)| first..=last));
    }
    Changes { pages, unread: unread.into_iter().collect() }
}

/// A range in pieces that end at multiples of their size.
fn chunks((first, last): (u64, u64)) -> impl Iterator<Item = (u64, u64)> {
    pieces(first, last, CHUNK)
}

fn pieces(first: u64, last: u64, size: u64) -> impl Iterator<Item = (u64, u64)> {
    let mut next = Some(first);
    std::iter::from_fn(move || {
        let from = next.filter(|from| *from <= last)?;
        let to = last.min(from | (size - 1));
        next = to.checked_add(1);
        Some((from, to))
    })
}

fn chunk<A, B>(a: &A, b: &B, first: u64, last: u64) -> Changes
where
    A: Memory + ?Sized,
    B: Memory + ?Sized,
{
    let mut changes = Changes::default();
    let len = (last - first + 1) as usize;
    if let (Some(a), Some(b)) = (a.slice(Gpa(first), len), b.slice(Gpa(first), len)) {
        compare(first, a, b, &mut changes.pages);
        return changes;
    }
    let (mut left, mut right) = (vec![0; len], vec![0; len]);
    if a.read(Gpa(first), &mut left).is_ok() && b.read(Gpa(first), &mut right).is_ok() {
        compare(first, &left, &right, &mut changes.pages);
        return changes;
    }
    let mut unread = Vec::new();
    for (from, to) in pieces(first, last, PAGE) {
        let len = (to - from + 1) as usize;
        let (left, right) = (&mut left[..len], &mut right[..len]);
        if a.read(Gpa(from), left).is_ok() && b.read(Gpa(from), right).is_ok() {
            compare(from, left, right, &mut changes.pages);
        } else {
            unread.push(from..=to);
        }
    }
    changes.unread = unread.into_iter().collect();
    changes
}

/// Compares bytes that begin at `first` page by page, if they differ at all.
fn compare(first: u64, a: &[u8], b: &[u8], found: &mut Vec<ChangedPage>) {
    let last = first + (a.len() as u64 - 1);
    for (from, to) in pieces(first, last, PAGE) {
        let part = (from - first) as usize..=(to - first) as usize;
        let (a, b) = (&a[part.clone()], &b[part]);
        if a != b {
            found.push(ChangedPage {
                gpa: Gpa(from),
                first: first_difference(a, b),
                bytes: differences(a, b),
            });
        }
    }
}

/// The first byte that differs.
fn first_difference(a: &[u8], b: &[u8]) -> u64 {
    const BLOCK: usize = 64;
    let blocks = a.chunks(BLOCK).zip(b.chunks(BLOCK));
    let same = blocks.take_while(|(a, b)| a == b).count() * BLOCK;
    let rest = a.iter().zip(b).skip(same);
    (same + rest.take_while(|(a, b)| a == b).count()) as u64
}

/// How many bytes differ. They are counted in blocks so small that a byte holds
/// the count, because the processor adds many bytes at once.
fn differences(a: &[u8], b: &[u8]) -> u64 {
    const BLOCK: usize = 128;
    let blocks = a.chunks(BLOCK).zip(b.chunks(BLOCK));
    let one =
        |(a, b): (&[u8], &[u8])| -> u8 { a.iter().zip(b).map(|(a, b)| u8::from(a != b)).sum() };
    blocks.map(|block| u64::from(one(block))).sum()
}

/// How what a range of virtual addresses maps has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// It was not mapped before.
    Mapped,
    /// It is not mapped any more.
    Unmapped,
    /// To other physical addresses.
    Remapped,
    /// To the same, with other rights or in pages of another size.
    Rights,
}

impl Change {
    /// A short stable name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mapped => "mapped",
            Self::Unmapped => "unmapped",
            Self::Remapped => "remapped",
            Self::Rights => "rights",
        }
    }
}

/// A range of virtual addresses that is mapped in another way than before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChangedMapping {
    /// The first address.
    pub gva: Gva,
    /// The last.
    pub last: Gva,
    /// How.
    pub change: Change,
    /// What it mapped before.
    pub before: Option<Mapping>,
    /// What it maps now.
    pub after: Option<Mapping>,
}

/// Every range within `range` that `before` and `after` map in different ways,
/// lowest first, until `each` breaks off. Lossless: there may be billions.
pub fn mappings(
    before: &VirtualSpace,
    after: &VirtualSpace,
    range: RangeInclusive<Gva>,
    mut each: impl FnMut(&ChangedMapping) -> ControlFlow<()>,
) -> ControlFlow<()> {
    let within = |mapping: Mapping| mapping.clipped(*range.start(), *range.end());
    let mut old = before.mappings(Merge::Physical).filter_map(within).peekable();
    let mut new = after.mappings(Merge::Physical).filter_map(within).peekable();
    let (mut left, mut right) = (old.next(), new.next());
    while left.is_some() || right.is_some() {
        let last = common_end(left.as_ref(), right.as_ref());
        let gva = starts(left.as_ref(), right.as_ref());
        let part = |side: &Option<Mapping>| side.and_then(|side| side.clipped(gva, last));
        let (was, is) = (part(&left), part(&right));
        if let Some(change) = change(was.as_ref(), is.as_ref()) {
            each(&ChangedMapping { gva, last, change, before: was, after: is })?;
        }
        let behind = |side: Option<Mapping>| {
            let next = last.0.checked_add(1).map(Gva);
            side.and_then(|side| side.clipped(next?, side.last))
        };
        left = behind(left).or_else(|| old.next());
        right = behind(right).or_else(|| new.next());
    }
    ControlFlow::Continue(())
}

/// Where the lower of both starts.
fn starts(left: Option<&Mapping>, right: Option<&Mapping>) -> Gva {
    let gvas = left.into_iter().chain(right).map(|mapping| mapping.gva);
    gvas.min().unwrap_or_default()
}

/// How far from there on the same ones of both are there, and go on alike.
fn common_end(left: Option<&Mapping>, right: Option<&Mapping>) -> Gva {
    let start = starts(left, right);
    let both = left.into_iter().chain(right);
    let ends = both.map(|side| if side.gva > start { Gva(side.gva.0 - 1) } else { side.last });
    let end = ends.min().unwrap_or(start);
    match (left, right) {
        (Some(left), Some(right)) if left.progression != right.progression => {
            let units = [left, right].map(|side| match side.progression {
                Progression::Same(unit) => unit,
                Progression::Linear | Progression::Scattered => 1 << 63,
            });
            end.min(Gva(start.0 | (units[0].min(units[1]) - 1)))
        }
        _ => end,
    }
}

fn change(before: Option<&Mapping>, after: Option<&Mapping>) -> Option<Change> {
    match (before, after) {
        (None, None) => None,
        (None, Some(_)) => Some(Change::Mapped),
        (Some(_), None) => Some(Change::Unmapped),
        (Some(was), Some(is)) if was.gpa != is.gpa || was.progression != is.progression => {
            Some(Change::Remapped)
        }
        (Some(was), Some(is)) if was.rights != is.rights || was.page_size != is.page_size => {
            Some(Change::Rights)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_byte_that_differs_and_their_number_are_found_anywhere() {
        let old = vec![7; PAGE as usize];
        for places in [&[0][..], &[4095], &[63, 64], &[127, 128, 129, 4000], &[1000]] {
            let mut new = old.clone();
            places.iter().for_each(|place| new[*place] = 8);
            let mut found = Vec::new();
            compare(0x1000, &old, &new, &mut found);
            let (first, bytes) = (places[0] as u64, places.len() as u64);
            assert_eq!(found, [ChangedPage { gpa: Gpa(0x1000), first, bytes }]);
        }
    }

    #[test]
    fn a_page_of_which_all_differs_counts_every_byte() {
        let (old, new) = (vec![0; PAGE as usize - 1], vec![255; PAGE as usize - 1]);
        assert_eq!((first_difference(&old, &new), differences(&old, &new)), (0, PAGE - 1));
    }
}
