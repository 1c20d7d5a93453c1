//! Guest-physical memory: ranges of guest physical addresses, each backed by
//! an address of some source (a file, the emulator's process), or by zeroes,
//! or by nothing that can be read.

use std::sync::Arc;

use thiserror::Error;

use super::{BlockId, FlatRange, FlatView, RegionMap, WHOLE_SPACE, paint::Painter};
use crate::{
    addr::{Address, Gpa},
    memory::{Memory, ReadCause, ReadError},
};

/// Bytes that [`Backing::Zero`] can be sliced as.
static ZEROES: [u8; 4096] = [0; 4096];

/// What the bytes of a range are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Backing<A> {
    /// The source's, from this address on.
    At(A),
    /// All zero, and in no source.
    Zero,
    /// Memory whose bytes the source does not hold.
    Absent,
    /// A device of this name: reading could have side effects.
    Device(Arc<str>),
}

impl<A: Address> Backing<A> {
    /// The backing of what comes `offset` bytes later; past the end of the
    /// source's space there is nothing.
    #[must_use]
    pub fn skip(&self, offset: u64) -> Self {
        match self {
            Self::At(at) => at.checked_add(offset).map_or(Self::Absent, Self::At),
            other => other.clone(),
        }
    }
}

/// A range of guest physical memory; it has at least one byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PhysicalRange<A> {
    start: Gpa,
    last: Gpa,
    backing: Backing<A>,
}

impl<A: Address> PhysicalRange<A> {
    /// `size` bytes from `start` on.
    ///
    /// # Errors
    /// When there is no byte, or the range reaches past the end of the space.
    pub fn new(start: Gpa, size: u128, backing: Backing<A>) -> Result<Self, PhysicalError> {
        if size == 0 || size > WHOLE_SPACE - u128::from(start.0) {
            return Err(PhysicalError::Size { start });
        }
        Ok(Self::of_bounds(start.0, (u128::from(start.0) + size - 1) as u64, backing))
    }

    fn of_bounds(start: u64, last: u64, backing: Backing<A>) -> Self {
        Self { start: Gpa(start), last: Gpa(last), backing }
    }

    /// The first address.
    #[must_use]
    pub fn start(&self) -> Gpa {
        self.start
    }

    /// The last address.
    #[must_use]
    pub fn last(&self) -> Gpa {
        self.last
    }

    /// What the bytes are.
    #[must_use]
    pub fn backing(&self) -> &Backing<A> {
        &self.backing
    }

    /// The source's address of a byte in this range.
    #[inline]
    fn source_of(&self, gpa: u64) -> Option<A> {
        match &self.backing {
            Backing::At(at) => at.checked_add(gpa - self.start.0),
            _ => None,
        }
    }
}

/// Why ranges are no memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PhysicalError {
    /// A range of no bytes, or that reaches past the end of the space.
    #[error("the range at {start} is empty or passes the end of the address space")]
    Size {
        /// Its first address.
        start: Gpa,
    },
    /// Two ranges that hold the same address.
    #[error("the range at {start} starts inside another one")]
    Overlap {
        /// The first address of the second.
        start: Gpa,
    },
}

/// Guest-physical memory over `source`.
///
/// Reads cross ranges; one that meets a hole, a device or absent memory stops
/// there and says so.
#[derive(Clone, Debug)]
pub struct Physical<A, S> {
    /// First addresses alone: what a search has to touch.
    starts: Vec<u64>,
    ranges: Vec<PhysicalRange<A>>,
    source: S,
}

impl<A: Address, S> Physical<A, S> {
    /// Memory of `ranges`, in any order.
    ///
    /// # Errors
    /// When two ranges overlap; [`Physical::layered`] allows it.
    pub fn new(source: S, mut ranges: Vec<PhysicalRange<A>>) -> Result<Self, PhysicalError> {
        ranges.sort_by_key(|range| range.start);
        match ranges.windows(2).find(|pair| pair[0].last >= pair[1].start) {
            Some(pair) => Err(PhysicalError::Overlap { start: pair[1].start }),
            None => Ok(Self::of_sorted(source, ranges)),
        }
    }

    /// Memory of `ranges`, where the earlier in the list hides the later.
    #[must_use]
    pub fn layered(source: S, ranges: &[PhysicalRange<A>]) -> Self {
        let mut painter = Painter::new();
        for range in ranges {
            let (start, last) = (range.start.0, range.last.0);
            painter.fill(start, last, |from| range.backing.skip(from - start));
        }
        let pieces = painter.into_pieces();
        let ranges =
            pieces.map(|(start, last, piece)| PhysicalRange::of_bounds(start, last, piece));
        Self::of_sorted(source, ranges.collect())
    }

    /// The memory that `view`, a flat view of `map`, shows; `backing` says
    /// what the first byte of a RAM block is backed by. Without an answer the
    /// block is absent. What is not read like memory is a device.
    #[must_use]
    pub fn of_view(
        map: &RegionMap,
        view: &FlatView,
        source: S,
        mut backing: impl FnMut(BlockId) -> Option<Backing<A>>,
    ) -> Self {
        let mut ranges = Vec::with_capacity(view.ranges().len());
        for range in view.ranges() {
            view_range(map, range, &mut backing, &mut ranges);
        }
        Self::of_sorted(source, ranges)
    }

    fn of_sorted(source: S, ranges: Vec<PhysicalRange<A>>) -> Self {
        let starts = ranges.iter().map(|range| range.start.0).collect();
        Self { starts, ranges, source }
    }

    /// The ranges in order of address.
    #[must_use]
    pub fn ranges(&self) -> &[PhysicalRange<A>] {
        &self.ranges
    }

    /// Where the bytes come from.
    #[must_use]
    pub fn source(&self) -> &S {
        &self.source
    }

    /// The source's address of a byte, and how many bytes of its range are
    /// left from there (at least 1); `None` where the source has none.
    #[must_use]
    pub fn locate(&self, gpa: Gpa) -> Option<(A, u64)> {
        let range = self.range_at(gpa.0)?;
        let at = range.source_of(gpa.0)?;
        Some((at, (range.last.0 - gpa.0).saturating_add(1)))
    }

    /// The range that holds an address.
    #[must_use]
    pub fn at(&self, gpa: Gpa) -> Option<&PhysicalRange<A>> {
        self.range_at(gpa.0)
    }

    #[inline]
    fn range_at(&self, gpa: u64) -> Option<&PhysicalRange<A>> {
        let after = self.starts.partition_point(|&start| start <= gpa);
        let range = self.ranges.get(after.checked_sub(1)?)?;
        (gpa <= range.last.0).then_some(range)
    }
}

/// Appends what `range` shows; a RAM block that ends early leaves the rest
/// absent.
fn view_range<A: Address>(
    map: &RegionMap,
    range: &FlatRange,
    backing: &mut impl FnMut(BlockId) -> Option<Backing<A>>,
    ranges: &mut Vec<PhysicalRange<A>>,
) {
    let region = map.region(range.region);
    let (start, last) = (range.start.0, range.last().0);
    let block = region.ram_block.filter(|_| region.reads_like_memory());
    let Some(block) = block else {
        let device = Backing::Device(region.display_name().into());
        return ranges.push(PhysicalRange::of_bounds(start, last, device));
    };
    let offset = range.offset_in_region;
    let held = map.block(block).used_length.saturating_sub(offset);
    let here = backing(block).unwrap_or(Backing::Absent).skip(offset);
    let absent_from = start.checked_add(held).filter(|&from| from <= last);
    if held > 0 {
        let held_last = absent_from.map_or(last, |from| from - 1);
        ranges.push(PhysicalRange::of_bounds(start, held_last, here));
    }
    if let Some(from) = absent_from {
        ranges.push(PhysicalRange::of_bounds(from, last, Backing::Absent));
    }
}

impl<A: Address, S: Memory<A>> Physical<A, S> {
    /// Fills `dst`, which is no longer than `range` goes on from `gpa`.
    fn read_in_range(
        &self,
        range: &PhysicalRange<A>,
        gpa: u64,
        dst: &mut [u8],
    ) -> Result<(), ReadError> {
        let fail = |cause| Err(ReadError::new(Gpa(gpa), cause));
        match &range.backing {
            Backing::Zero => dst.fill(0),
            Backing::Absent => return fail(ReadCause::Absent),
            Backing::Device(name) => return fail(ReadCause::Device(name.clone())),
            Backing::At(_) => match range.source_of(gpa) {
                Some(at) => self.read_source(at, gpa, dst)?,
                None => return fail(ReadCause::Absent),
            },
        }
        Ok(())
    }

    /// Reads the source; its errors become ours, at the guest's address.
    fn read_source(&self, at: A, gpa: u64, dst: &mut [u8]) -> Result<(), ReadError> {
        self.source.read(at, dst).map_err(|error| {
            let done = error.addr.wrapping_sub(at.raw());
            let cause = match error.cause {
                // The guest has memory there: it is the source that has not.
                ReadCause::Hole => ReadCause::Absent,
                cause => cause,
            };
            ReadError::new(Gpa(gpa.wrapping_add(done)), cause)
        })
    }
}

impl<A: Address, S: Memory<A>> Memory<Gpa> for Physical<A, S> {
    fn read(&self, addr: Gpa, dst: &mut [u8]) -> Result<(), ReadError> {
        let mut done = 0;
        while done < dst.len() {
            // Past the end of the space nothing is, not its start.
            let here = addr.0.checked_add(done as u64);
            let range = here.and_then(|here| Some((here, self.range_at(here)?)));
            let Some((here, range)) = range else {
                let hole = Gpa(addr.0.wrapping_add(done as u64));
                return Err(ReadError::new(hole, ReadCause::Hole));
            };
            let left = usize::try_from(range.last.0 - here).unwrap_or(usize::MAX);
            let len = left.saturating_add(1).min(dst.len() - done);
            self.read_in_range(range, here, &mut dst[done..done + len])?;
            done += len;
        }
        Ok(())
    }

    #[inline]
    fn slice(&self, addr: Gpa, len: usize) -> Option<&[u8]> {
        let range = self.range_at(addr.0)?;
        let more = (len as u64).saturating_sub(1);
        if range.last.0 - addr.0 < more {
            return None;
        }
        match &range.backing {
            Backing::At(at) => self.source.slice(at.checked_add(addr.0 - range.start.0)?, len),
            Backing::Zero => ZEROES.get(..len),
            Backing::Absent | Backing::Device(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        addr::FileOffset,
        memory::SliceMemory,
        region::{MemoryRegion, RamBlock, RegionId},
    };

    type Range = PhysicalRange<FileOffset>;
    type Source = SliceMemory<'static, FileOffset>;

    /// Eight bytes, at offset 0x100 of the source.
    static BYTES: [u8; 8] = [1, 2, 3, 4, 5, 6, 7, 8];

    fn source() -> Source {
        SliceMemory::new(FileOffset(0x100), &BYTES)
    }

    fn range(start: u64, size: u128, backing: Backing<FileOffset>) -> Range {
        PhysicalRange::new(Gpa(start), size, backing).expect("a range")
    }

    fn at(offset: u64) -> Backing<FileOffset> {
        Backing::At(FileOffset(offset))
    }

    fn device() -> Backing<FileOffset> {
        Backing::Device("uart".into())
    }

    fn memory(ranges: Vec<Range>) -> Physical<FileOffset, Source> {
        Physical::new(source(), ranges).expect("disjoint")
    }

    /// The bytes that were read, and the failure, if any.
    fn read<S: Memory<Gpa>>(memory: &S, gpa: u64, len: usize) -> (Vec<u8>, Option<ReadError>) {
        let mut dst = vec![0xee; len];
        let error = memory.read(Gpa(gpa), &mut dst).err();
        (dst, error)
    }

    #[test]
    fn reads_cross_ranges_of_all_kinds_of_backing() {
        let memory = memory(vec![
            range(0x12, 2, Backing::Zero),
            range(0x10, 2, at(0x106)),
            range(0x14, 4, at(0x100)),
        ]);
        assert_eq!(read(&memory, 0x10, 7), (vec![7, 8, 0, 0, 1, 2, 3], None));
        assert_eq!(memory.slice(Gpa(0x15), 3), Some(&[2, 3, 4][..]));
        assert_eq!(memory.slice(Gpa(0x12), 2), Some(&[0, 0][..]));
        assert_eq!(memory.slice(Gpa(0x11), 2), None);
    }

    #[test]
    fn a_read_stops_at_the_first_byte_that_cannot_be_had_and_says_why() {
        let memory = memory(vec![
            range(0, 2, at(0x100)),
            range(4, 2, at(0x102)),
            range(6, 2, device()),
            range(8, 2, Backing::Absent),
            range(10, 4, at(0x106)),
        ]);
        let failed = |gpa, cause| Some(ReadError::new(Gpa(gpa), cause));
        assert_eq!(read(&memory, 1, 3), (vec![2, 0xee, 0xee], failed(2, ReadCause::Hole)));
        let uart = ReadCause::Device("uart".into());
        assert_eq!(read(&memory, 5, 2), (vec![4, 0xee], failed(6, uart.clone())));
        assert_eq!(read(&memory, 7, 1), (vec![0xee], failed(7, uart)));
        assert_eq!(read(&memory, 8, 1), (vec![0xee], failed(8, ReadCause::Absent)));
        let cut = (vec![7, 8, 0xee, 0xee], failed(12, ReadCause::Absent));
        assert_eq!(read(&memory, 10, 4), cut);
        assert_eq!(memory.slice(Gpa(10), 3), None);
        assert_eq!(memory.slice(Gpa(6), 1), None);
    }

    #[test]
    fn the_last_byte_can_be_read_and_nothing_comes_after_it() {
        let memory = memory(vec![range(u64::MAX, 1, at(0x107)), range(0, 1, at(0x100))]);
        let (bytes, error) = read(&memory, u64::MAX, 2);
        assert_eq!((bytes, error.map(|error| error.addr)), (vec![8, 0xee], Some(0)));
        assert_eq!(memory.slice(Gpa(u64::MAX), 1), Some(&[8][..]));
        assert_eq!(memory.slice(Gpa(u64::MAX), 2), None);
        assert_eq!(memory.locate(Gpa(u64::MAX)), Some((FileOffset(0x107), 1)));
    }

    #[test]
    fn addresses_past_the_end_of_the_source_are_absent() {
        let memory = memory(vec![range(0, 16, at(u64::MAX))]);
        assert_eq!(memory.locate(Gpa(0)), Some((FileOffset(u64::MAX), 16)));
        assert_eq!(memory.locate(Gpa(1)), None);
        assert_eq!(read(&memory, 1, 1).1.map(|error| error.kind()), Some("absent"));
    }

    #[test]
    fn locate_answers_the_source_address_and_what_is_left() {
        let memory = memory(vec![range(0x10, 8, at(0x100)), range(0x20, 8, device())]);
        assert_eq!(memory.locate(Gpa(0x13)), Some((FileOffset(0x103), 5)));
        for gpa in [0xf, 0x18, 0x20] {
            assert_eq!(memory.locate(Gpa(gpa)), None);
        }
        assert_eq!(memory.at(Gpa(0x20)).map(PhysicalRange::backing), Some(&device()));
    }

    #[test]
    fn overlapping_ranges_are_an_error_or_layers() {
        let ranges = vec![range(2, 2, Backing::Zero), range(0, 8, at(0x100))];
        let error = Physical::new(source(), ranges.clone()).expect_err("they overlap");
        assert_eq!(error, PhysicalError::Overlap { start: Gpa(2) });
        let memory = Physical::layered(source(), &ranges);
        assert_eq!(read(&memory, 0, 8).0, [1, 2, 0, 0, 5, 6, 7, 8]);
        let none = PhysicalRange::new(Gpa(1), WHOLE_SPACE, at(0));
        assert_eq!(none, Err(PhysicalError::Size { start: Gpa(1) }));
    }

    /// One region of 8 bytes with a RAM block of `held` bytes.
    fn ram(held: u64, region: MemoryRegion) -> (RegionMap, FlatView) {
        let name = Some("ram".to_owned());
        let region = MemoryRegion { name, size: 8, ram_block: Some(BlockId(0)), ..region };
        let block = RamBlock { used_length: held, ..RamBlock::default() };
        let map = RegionMap::new(vec![region], vec![block], Vec::new()).expect("a map");
        let range = FlatRange {
            region: RegionId(0),
            start: Gpa(0x10),
            size: 6,
            offset_in_region: 2,
            readonly: false,
            nonvolatile: false,
            romd_mode: false,
        };
        (map, FlatView::new(vec![range]).expect("a view"))
    }

    fn of_view(held: u64, region: MemoryRegion) -> Physical<FileOffset, Source> {
        let (map, view) = ram(held, region);
        Physical::of_view(&map, &view, source(), |_| Some(at(0x100)))
    }

    #[test]
    fn a_view_is_backed_by_its_blocks_as_far_as_they_go() {
        let region = || MemoryRegion { ram: true, ..MemoryRegion::default() };
        assert_eq!(read(&of_view(8, region()), 0x10, 6), (vec![3, 4, 5, 6, 7, 8], None));
        let (bytes, error) = read(&of_view(5, region()), 0x10, 4);
        assert_eq!((bytes, error.map(|error| error.addr)), (vec![3, 4, 5, 0xee], Some(0x13)));
        assert_eq!(of_view(2, region()).ranges().len(), 1);
        let (map, view) = ram(8, region());
        let nothing = Physical::of_view(&map, &view, source(), |_| None);
        assert_eq!(read(&nothing, 0x10, 1).1.map(|error| error.kind()), Some("absent"));
    }

    #[test]
    fn only_ram_rom_and_rom_devices_in_rom_mode_are_read() {
        let kind = |region| read(&of_view(8, region), 0x10, 1).1.map(|error| error.kind());
        let plain = MemoryRegion::default;
        assert_eq!(kind(MemoryRegion { rom_device: true, romd_mode: true, ..plain() }), None);
        for region in [
            plain(),
            MemoryRegion { rom_device: true, ..plain() },
            MemoryRegion { ram: true, ram_device: true, ..plain() },
            MemoryRegion { ram: true, iommu: true, ..plain() },
        ] {
            assert_eq!(kind(region), Some("device"));
        }
    }
}
