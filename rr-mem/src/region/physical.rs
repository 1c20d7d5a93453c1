//! Guest-physical memory: ranges of guest physical addresses. Each is backed by
//! a source (a file, the emulator's process), by zeros, or by nothing that can
//! be read.

use std::sync::Arc;

use thiserror::Error;

use super::{BlockId, FlatRange, FlatView, RegionMap, paint::Painter};
use crate::{
    addr::{Address, Gpa},
    memory::{Memory, ReadCause, ReadError, ZEROES},
};

/// What lies behind a range of guest-physical addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Backing<A> {
    /// The bytes of the source from this address on.
    At(A),
    /// Bytes that are all zero, and in no source.
    Zero,
    /// Bytes that the source leaves out.
    Absent,
    /// A device, by its region's name; never read.
    Device(Arc<str>),
}

impl<A: Address> Backing<A> {
    /// What lies behind the addresses `offset` bytes on; past the end of the
    /// source's space there is nothing.
    #[must_use]
    pub fn skip(&self, offset: u64) -> Self {
        match self {
            Self::At(at) => at.checked_add(offset).map_or(Self::Absent, Self::At),
            other => other.clone(),
        }
    }
}

/// A range of guest-physical addresses and what lies behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PhysicalRange<A> {
    /// The first address.
    pub gpa: Gpa,
    /// Bytes; a range of none is not kept.
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
    /// Ranges that hide each other beyond all reason.
    #[error("too many ranges overlap, the one at {0} among them")]
    Overlaps(Gpa),
}

/// Pieces of other ranges that all ranges together may lie over. A dump's
/// blocks do not overlap at all.
const MOST_OVERLAPS: usize = 1 << 22;

/// Guest-physical memory over a `source` addressed by `A`: a file's offsets or
/// a process's addresses.
///
/// Reads cross ranges. A read stops with an error at a hole, a device, or bytes
/// that the source leaves out.
#[derive(Clone, Debug)]
pub struct PhysicalMemory<A, S> {
    /// First addresses, sorted; beside `ranges`, so that a search touches
    /// little memory.
    starts: Vec<u64>,
    ranges: Vec<PhysicalRange<A>>,
    /// The longest range, which most addresses lie in: it is looked at first.
    longest: usize,
    source: S,
}

impl<A: Address, S> PhysicalMemory<A, S> {
    /// The given ranges over `source`. Where ranges overlap, the first given
    /// wins; the others show what is left of them.
    ///
    /// # Errors
    /// When a range passes the end of the address space, or ranges overlap
    /// beyond all reason.
    pub fn new(ranges: Vec<PhysicalRange<A>>, source: S) -> Result<Self, PhysicalError> {
        let mut painter = Painter::new();
        let mut seen = 0;
        for PhysicalRange { gpa, len, backing } in ranges.into_iter().filter(|r| r.len > 0) {
            let last = gpa.checked_add(len - 1).ok_or(PhysicalError::TooLong(gpa))?;
            seen += painter.fill(gpa.0, last.0, |from| backing.skip(from - gpa.0));
            if seen > MOST_OVERLAPS {
                return Err(PhysicalError::Overlaps(gpa));
            }
        }
        Ok(Self::painted(painter, source))
    }

    /// The memory that `view`, a flat view of `map`, shows over `source`.
    /// `backing` says what is behind the first byte of a RAM block; an unknown
    /// block is absent. Ranges that do not read like memory are devices.
    #[must_use]
    pub fn of_view(
        map: &RegionMap,
        view: &FlatView,
        source: S,
        mut backing: impl FnMut(BlockId) -> Option<Backing<A>>,
    ) -> Self {
        let mut painter = Painter::new();
        for range in view.ranges() {
            paint_range(map, range, &mut backing, &mut painter);
        }
        Self::painted(painter, source)
    }

    fn painted(painter: Painter<Backing<A>>, source: S) -> Self {
        let ranges: Vec<_> = painter.into_pieces().flat_map(pieces).collect();
        let starts = ranges.iter().map(|range| range.gpa.0).collect();
        let lengths = ranges.iter().map(|range| range.len).enumerate();
        let longest = lengths.max_by_key(|(_, len)| *len).map_or(0, |(number, _)| number);
        Self { starts, ranges, longest, source }
    }

    /// The ranges, sorted, without overlaps.
    #[must_use]
    pub fn ranges(&self) -> &[PhysicalRange<A>] {
        &self.ranges
    }

    /// Where the bytes come from.
    #[must_use]
    pub fn source(&self) -> &S {
        &self.source
    }

    /// The range that `gpa` lies in.
    #[inline]
    #[must_use]
    pub fn range(&self, gpa: Gpa) -> Option<&PhysicalRange<A>> {
        let holds = |range: &&PhysicalRange<A>| gpa.0.wrapping_sub(range.gpa.0) < range.len;
        self.ranges.get(self.longest).filter(holds).or_else(|| {
            let after = self.starts.partition_point(|&start| start <= gpa.0);
            self.ranges.get(after.checked_sub(1)?).filter(holds)
        })
    }

    /// Where the byte at `gpa` is in the source, and how many bytes of its
    /// range there are from it on (itself too).
    #[inline]
    #[must_use]
    pub fn locate(&self, gpa: Gpa) -> Option<(A, u64)> {
        let range = self.range(gpa)?;
        let Backing::At(start) = range.backing else { return None };
        let inside = gpa.0 - range.gpa.0;
        Some((start.checked_add(inside)?, range.len - inside))
    }
}

/// A painted piece as ranges: two when its length is 2^64.
fn pieces<A: Address>(
    (start, last, backing): (u64, u64, Backing<A>),
) -> impl Iterator<Item = PhysicalRange<A>> {
    let more = last - start;
    let end = (more == u64::MAX).then(|| PhysicalRange {
        gpa: Gpa(last),
        len: 1,
        backing: backing.skip(more),
    });
    let len = more.saturating_add(1);
    std::iter::once(PhysicalRange { gpa: Gpa(start), len, backing }).chain(end)
}

/// Paints what `range` shows; where its RAM block ends early, the rest is
/// absent.
fn paint_range<A: Address>(
    map: &RegionMap,
    range: &FlatRange,
    backing: &mut impl FnMut(BlockId) -> Option<Backing<A>>,
    painter: &mut Painter<Backing<A>>,
) {
    let region = map.region(range.region);
    let (start, last) = (range.start.0, range.last().0);
    let Some(block) = region.ram_block.filter(|_| region.reads_like_memory()) else {
        let device = Backing::Device(region.display_name().into());
        painter.fill(start, last, |_| device.clone());
        return;
    };
    let here = backing(block).unwrap_or(Backing::Absent).skip(range.offset_in_region);
    let held = map.block(block).used_length.saturating_sub(range.offset_in_region);
    if let Some(more) = held.checked_sub(1) {
        painter.fill(start, last.min(start.saturating_add(more)), |_| here.clone());
    }
    painter.fill(start, last, |_| Backing::Absent);
}

impl<A: Address, S: Memory<A>> PhysicalMemory<A, S> {
    /// Reads the part of `dst` that lies in the range of `gpa`: how much.
    fn read_range(&self, gpa: Gpa, dst: &mut [u8]) -> Result<usize, ReadError> {
        let range = self.range(gpa).ok_or_else(|| ReadError::new(gpa, ReadCause::Hole))?;
        let inside = gpa.0 - range.gpa.0;
        let len = (range.len - inside).min(dst.len() as u64) as usize;
        let dst = &mut dst[..len];
        match range.backing.skip(inside) {
            Backing::At(at) => self.read_source(at, gpa, dst)?,
            Backing::Zero => dst.fill(0),
            Backing::Absent => return Err(ReadError::new(gpa, ReadCause::Absent)),
            Backing::Device(name) => return Err(ReadError::new(gpa, ReadCause::Device(name))),
        }
        Ok(len)
    }

    /// Reads the source; its errors become ours, at the guest's address.
    fn read_source(&self, at: A, gpa: Gpa, dst: &mut [u8]) -> Result<(), ReadError> {
        self.source.read(at, dst).map_err(|error| {
            let done = error.addr.wrapping_sub(at.raw());
            let cause = match error.cause {
                // The guest has memory there: it is the source that has not.
                ReadCause::Hole => ReadCause::Absent,
                cause => cause,
            };
            ReadError::new(Gpa(gpa.0.wrapping_add(done)), cause)
        })
    }
}

impl<A: Address, S: Memory<A>> Memory for PhysicalMemory<A, S> {
    fn read(&self, addr: Gpa, dst: &mut [u8]) -> Result<(), ReadError> {
        let mut done = 0;
        while done < dst.len() {
            // Past the end of the space there is nothing, not its start.
            let past = || ReadError::new(Gpa(addr.0.wrapping_add(done as u64)), ReadCause::Hole);
            let gpa = addr.checked_add(done as u64).ok_or_else(past)?;
            done += self.read_range(gpa, &mut dst[done..])?;
        }
        Ok(())
    }

    #[inline]
    fn slice(&self, addr: Gpa, len: usize) -> Option<&[u8]> {
        let range = self.range(addr)?;
        let inside = addr.0 - range.gpa.0;
        if range.len - inside < len as u64 {
            return None;
        }
        match &range.backing {
            Backing::At(start) => self.source.slice(start.checked_add(inside)?, len),
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
        region::{MemoryRegion, RamBlock, RegionId, WHOLE_SPACE},
    };

    type Range = PhysicalRange<FileOffset>;
    type Source = SliceMemory<'static, FileOffset>;

    /// Eight bytes, at offset 0x100 of the source.
    static BYTES: [u8; 8] = [1, 2, 3, 4, 5, 6, 7, 8];

    fn source() -> Source {
        SliceMemory::new(FileOffset(0x100), &BYTES)
    }

    fn range(start: u64, len: u64, backing: Backing<FileOffset>) -> Range {
        PhysicalRange { gpa: Gpa(start), len, backing }
    }

    fn at(offset: u64) -> Backing<FileOffset> {
        Backing::At(FileOffset(offset))
    }

    fn device() -> Backing<FileOffset> {
        Backing::Device("uart".into())
    }

    fn memory(ranges: Vec<Range>) -> PhysicalMemory<FileOffset, Source> {
        PhysicalMemory::new(ranges, source()).expect("inside the space")
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
        assert_eq!(memory.range(Gpa(0x20)).map(|range| &range.backing), Some(&device()));
    }

    #[test]
    fn the_first_of_overlapping_ranges_wins() {
        let memory = memory(vec![range(2, 2, Backing::Zero), range(0, 8, at(0x100))]);
        assert_eq!(read(&memory, 0, 8).0, [1, 2, 0, 0, 5, 6, 7, 8]);
        let memory = self::memory(vec![range(0, 8, at(0x100)), range(2, 2, Backing::Zero)]);
        assert_eq!(memory.ranges().len(), 1);
    }

    #[test]
    fn a_range_past_the_end_of_the_space_is_an_error_and_an_empty_one_is_nothing() {
        let error =
            PhysicalMemory::new(vec![range(2, u64::MAX, at(0))], source()).expect_err("too long");
        assert_eq!(error, PhysicalError::TooLong(Gpa(2)));
        assert!(memory(vec![range(u64::MAX, 0, at(0))]).ranges().is_empty());
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

    fn of_view(held: u64, region: MemoryRegion) -> PhysicalMemory<FileOffset, Source> {
        let (map, view) = ram(held, region);
        PhysicalMemory::of_view(&map, &view, source(), |_| Some(at(0x100)))
    }

    #[test]
    fn a_view_is_backed_by_its_blocks_as_far_as_they_go() {
        let region = || MemoryRegion { ram: true, ..MemoryRegion::default() };
        assert_eq!(read(&of_view(8, region()), 0x10, 6), (vec![3, 4, 5, 6, 7, 8], None));
        let (bytes, error) = read(&of_view(5, region()), 0x10, 4);
        assert_eq!((bytes, error.map(|error| error.addr)), (vec![3, 4, 5, 0xee], Some(0x13)));
        assert_eq!(of_view(2, region()).ranges().len(), 1);
        let (map, view) = ram(8, region());
        let nothing = PhysicalMemory::of_view(&map, &view, source(), |_| None);
        assert_eq!(read(&nothing, 0x10, 1).1.map(|error| error.kind()), Some("absent"));
    }

    #[test]
    fn a_device_that_fills_the_whole_space_is_known_at_both_its_ends() {
        let region = MemoryRegion { size: WHOLE_SPACE, ..MemoryRegion::default() };
        let map = RegionMap::new(vec![region], Vec::new(), Vec::new()).expect("a map");
        let json = r#"[{"region":0,"start":"0x0","size":"0x10000000000000000"}]"#;
        let view: FlatView = serde_json::from_str(json).expect("a view");
        let memory = PhysicalMemory::of_view(&map, &view, source(), |_| Some(at(0x100)));
        for gpa in [0, u64::MAX - 1, u64::MAX] {
            assert_eq!(read(&memory, gpa, 1).1.map(|error| error.kind()), Some("device"));
        }
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
