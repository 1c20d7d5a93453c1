//! Guest-physical memory: which bytes of a source lie where in the guest.

use std::sync::Arc;

use thiserror::Error;

use crate::{
    addr::{Address, Gpa},
    memory::{Memory, ReadCause, ReadError},
};

/// What lies behind a range of guest-physical addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Backing<A> {
    /// The bytes of the source from this address on.
    At(A),
    /// Bytes that the source leaves out.
    Absent,
    /// A device, by its region's name; never read.
    Device(Arc<str>),
}

/// A range of guest-physical addresses and what lies behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PhysicalRange<A> {
    /// The first address.
    pub gpa: Gpa,
    /// Bytes; at least 1.
    pub len: u64,
    /// What lies behind it.
    pub backing: Backing<A>,
}

/// Why ranges are no memory map.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PhysicalError {
    /// A range that passes the end of the address space.
    #[error("the range at {0} passes the end of the address space")]
    TooLong(Gpa),
}

/// Guest-physical memory over a `source` addressed by `A`: a file's offsets or
/// a process's addresses.
#[derive(Clone, Debug)]
pub struct Physical<A, S> {
    /// First addresses, sorted; beside `ranges`, so that a search touches
    /// little memory.
    starts: Vec<u64>,
    ranges: Vec<PhysicalRange<A>>,
    source: S,
}

impl<A: Address, S: Memory<A>> Physical<A, S> {
    /// The given ranges over `source`. Where ranges overlap, the first given
    /// wins; the others show what is left of them.
    ///
    /// # Errors
    /// When a range passes the end of the address space.
    pub fn new(ranges: Vec<PhysicalRange<A>>, source: S) -> Result<Self, PhysicalError> {
        for range in &ranges {
            let room = u64::MAX - range.gpa.0;
            if range.len.saturating_sub(1) > room {
                return Err(PhysicalError::TooLong(range.gpa));
            }
        }
        let ranges = without_overlaps(ranges);
        let starts = ranges.iter().map(|range| range.gpa.0).collect();
        Ok(Self { starts, ranges, source })
    }

    /// The ranges, sorted, without overlaps.
    #[must_use]
    pub fn ranges(&self) -> &[PhysicalRange<A>] {
        &self.ranges
    }

    /// The range that `gpa` lies in.
    #[inline]
    #[must_use]
    pub fn range(&self, gpa: Gpa) -> Option<&PhysicalRange<A>> {
        let after = self.starts.partition_point(|&start| start <= gpa.0);
        let range = self.ranges.get(after.checked_sub(1)?)?;
        (gpa.0 - range.gpa.0 < range.len).then_some(range)
    }

    /// Where the byte at `gpa` is in the source, and how many more bytes of
    /// its range begin there.
    #[inline]
    #[must_use]
    pub fn locate(&self, gpa: Gpa) -> Option<(A, u64)> {
        let range = self.range(gpa)?;
        let Backing::At(start) = range.backing else { return None };
        let inside = gpa.0 - range.gpa.0;
        Some((start.checked_add(inside)?, range.len - inside))
    }

    /// Reads the part of `dst` that lies in the range of `gpa`: how much.
    fn read_range(&self, gpa: Gpa, dst: &mut [u8]) -> Result<usize, ReadError> {
        let range = self.range(gpa).ok_or_else(|| ReadError::new(gpa, ReadCause::Hole))?;
        let inside = gpa.0 - range.gpa.0;
        let len = (range.len - inside).min(dst.len() as u64) as usize;
        let cause = match &range.backing {
            Backing::Absent => ReadCause::Absent,
            Backing::Device(name) => ReadCause::Device(name.clone()),
            Backing::At(start) => {
                let from = A::from_raw(start.raw().wrapping_add(inside));
                let read = self.source.read(from, &mut dst[..len]);
                return read.map(|()| len).map_err(|error| {
                    let done = error.addr.wrapping_sub(from.raw());
                    ReadError::new(Gpa(gpa.0.wrapping_add(done)), error.cause)
                });
            }
        };
        Err(ReadError::new(gpa, cause))
    }
}

impl<A: Address, S: Memory<A>> Memory for Physical<A, S> {
    fn read(&self, addr: Gpa, dst: &mut [u8]) -> Result<(), ReadError> {
        let mut done = 0;
        while done < dst.len() {
            let gpa = addr
                .checked_add(done as u64)
                .ok_or_else(|| ReadError::new(Gpa(u64::MAX), ReadCause::Hole))?;
            done += self.read_range(gpa, &mut dst[done..])?;
        }
        Ok(())
    }

    #[inline]
    fn slice(&self, addr: Gpa, len: usize) -> Option<&[u8]> {
        let (at, left) = self.locate(addr)?;
        if left < len as u64 {
            return None;
        }
        self.source.slice(at, len)
    }
}

/// Sorts the ranges and cuts away what an earlier one hides.
fn without_overlaps<A: Address>(ranges: Vec<PhysicalRange<A>>) -> Vec<PhysicalRange<A>> {
    let mut kept = std::collections::BTreeMap::<u64, PhysicalRange<A>>::new();
    for range in ranges {
        let mut at = range.gpa.0;
        let mut left = range.len;
        while left > 0 {
            let before = kept.range(..=at).next_back().map(|(_, r)| (r.gpa.0, r.len));
            let covered = before.map_or(0, |(start, len)| {
                (start + (len - 1)).wrapping_add(1).wrapping_sub(at).min(len)
            });
            let hidden = before.is_some_and(|(start, len)| at - start < len);
            let skip = if hidden { covered.min(left) } else { 0 };
            let free = kept.range(at..).next().map_or(u64::MAX, |(start, _)| start - at);
            let take = if hidden { 0 } else { free.min(left) };
            if take > 0 {
                let piece = range.part(at - range.gpa.0, take);
                kept.insert(at, piece);
            }
            left -= skip + take;
            at = at.wrapping_add(skip + take);
        }
    }
    kept.into_values().collect()
}

impl<A: Address> PhysicalRange<A> {
    fn part(&self, offset: u64, len: u64) -> Self {
        let backing = match &self.backing {
            Backing::At(start) => Backing::At(A::from_raw(start.raw().wrapping_add(offset))),
            other => other.clone(),
        };
        Self { gpa: Gpa(self.gpa.0 + offset), len, backing }
    }
}
