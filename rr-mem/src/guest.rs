//! The whole chain: one CPU's paging, guest-physical memory and the region map,
//! from any source. The one type that the faces use.
//!
//! A guest may be partial: a raw dump has no region map, the monitor's text has
//! no memory. What is missing is an error that names the option to give.

pub mod diff;
pub mod emulator;
pub mod search;
pub mod slice;

use std::{borrow::Cow, ops::RangeInclusive, sync::Arc};

use thiserror::Error;

use crate::{
    addr::{Address, Gpa, GuestAddress, Gva, Hva, PAGE},
    memory::{Memory, ReadCause, ReadError},
    mmu::{Fault, Mmu, Query, SpaceLimits, TableUnreadable, VirtualSpace, Walk, WalkError},
    region::{FlatRange, FlatView, RegionMap, RenderError, Section},
    regs::Regs,
};

/// Memory of a guest whose source is chosen at run time.
pub type AnyMemory = Box<dyn Memory + Send + Sync>;

/// A guest: what is behind its addresses.
#[derive(Debug)]
pub struct Guest<M = AnyMemory> {
    memory: Option<M>,
    paging: Option<(Regs, Mmu)>,
    /// Base registers of tables, by name, whose values are not known.
    unknown_tables: Vec<&'static str>,
    regions: Option<Regions>,
}

/// A region map.
#[derive(Debug)]
struct Regions {
    map: RegionMap,
    /// The flat view of the guest's own address space, where it is known which.
    view: Option<FlatView>,
    /// The regions' names, shared with errors that name a device.
    names: Vec<Arc<str>>,
}

/// Something that the question needs and the source does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Missing {
    /// The registers that steer paging.
    #[error("the source holds no paging registers")]
    Registers,
    /// The register that holds the base of the tables of an address.
    #[error("{0} is not known, which translates this address")]
    Table(&'static str),
    /// Guest memory.
    #[error("the source holds no guest memory")]
    Memory,
    /// The region map.
    #[error("the source holds no memory-region map")]
    Regions,
    /// The address space of the CPUs in the region map.
    #[error("the memory-region map has no address space \"memory\"")]
    AddressSpace,
}

impl Missing {
    /// A short stable name for scripts.
    #[must_use]
    pub const fn kind(self) -> &'static str {
        match self {
            Self::Registers => "no_registers",
            Self::Table(_) => "no_table_base",
            Self::Memory => "no_memory",
            Self::Regions => "no_regions",
            Self::AddressSpace => "no_address_space",
        }
    }

    /// The option that provides it.
    #[must_use]
    pub fn hint(self) -> &'static str {
        match self {
            Self::Registers => {
                "give --cr3 (x86) or --ttbr0/--ttbr1 and --tcr (ARM); `rr-mem roots` finds candidates"
            }
            Self::Table("TTBR0") => "give --ttbr0",
            Self::Table("TTBR1") => "give --ttbr1",
            Self::Table(_) => "give --cr3",
            Self::Memory => "give guest memory with --image FILE",
            Self::Regions => "give the text of the monitor's `info mtree -f` with --mtree FILE",
            Self::AddressSpace => {
                "give the whole text of `info mtree -f`: its blocks come in any order"
            }
        }
    }
}

/// What lies at a guest physical address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place<'a> {
    /// The region's name.
    pub region: &'a str,
    /// The byte in the region.
    pub offset: u64,
    /// The RAM block behind it, if one is.
    pub ram_block: Option<&'a str>,
    /// The byte in the emulator's process, where known.
    pub host: Option<Hva>,
}

/// Why guest memory could not be read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{at}: {cause}")]
pub struct GuestReadError {
    /// The first address that could not be read; everything before it was.
    pub at: GuestAddress,
    /// Why.
    pub cause: GuestReadCause,
}

/// See [`GuestReadError`].
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum GuestReadCause {
    /// It is not mapped: the guest's answer.
    #[error("not mapped: {0}")]
    Fault(Fault),
    /// A table on the way to it could not be read.
    #[error("{0}")]
    Table(Box<TableUnreadable>),
    /// Its bytes cannot be had; a virtual address is mapped.
    #[error("{0}")]
    Data(ReadError),
    /// The source lacks what the question needs.
    #[error("{0}")]
    Missing(Missing),
    /// The address space ends.
    #[error("the address space ends before it")]
    End,
}

impl<M> Guest<M> {
    /// A guest of these parts.
    ///
    /// # Errors
    /// When the flat view of the region map cannot be rendered.
    pub fn new(
        memory: Option<M>,
        regs: Option<Regs>,
        regions: Option<RegionMap>,
    ) -> Result<Self, RenderError> {
        let paging = regs.map(|regs| (regs, Mmu::new(&regs)));
        let regions = regions.map(Regions::new).transpose()?;
        Ok(Self { memory, paging, unknown_tables: Vec::new(), regions })
    }

    /// The same, seen through address space number `space` of `map`; of a
    /// number that there is not, nothing is seen.
    ///
    /// # Errors
    /// When the flat view of the address space cannot be rendered.
    pub fn in_space(
        memory: Option<M>,
        regs: Option<Regs>,
        map: RegionMap,
        space: usize,
    ) -> Result<Self, RenderError> {
        let paging = regs.map(|regs| (regs, Mmu::new(&regs)));
        let view = match map.address_spaces().get(space) {
            Some(space) => map.view(space)?.into_owned(),
            None => FlatView::default(),
        };
        let regions = Some(Regions::seen(map, Some(view)));
        Ok(Self { memory, paging, unknown_tables: Vec::new(), regions })
    }

    /// The same guest, but for base registers of tables (CR3, TTBR0, TTBR1)
    /// whose values nobody knows: what they translate is neither mapped nor not.
    #[must_use]
    pub fn without_tables(self, unknown_tables: Vec<&'static str>) -> Self {
        Self { unknown_tables, ..self }
    }

    /// See [`Guest::without_tables`].
    #[must_use]
    pub fn unknown_tables(&self) -> &[&'static str] {
        &self.unknown_tables
    }

    /// The same guest over other memory, made of its own.
    #[must_use]
    pub fn map_memory<N>(self, change: impl FnOnce(M) -> N) -> Guest<N> {
        let Self { memory, paging, unknown_tables, regions } = self;
        Guest { memory: memory.map(change), paging, unknown_tables, regions }
    }

    /// The registers of the CPU in question.
    #[must_use]
    pub fn regs(&self) -> Option<&Regs> {
        self.paging.as_ref().map(|(regs, _)| regs)
    }

    /// The paging of the CPU in question.
    ///
    /// # Errors
    /// When the registers are not known.
    pub fn mmu(&self) -> Result<&Mmu, Missing> {
        self.paging.as_ref().map(|(_, mmu)| mmu).ok_or(Missing::Registers)
    }

    /// The paging, where it knows the tables of `gva`.
    fn mmu_of(&self, gva: Gva) -> Result<&Mmu, Missing> {
        let mmu = self.mmu()?;
        if self.unknown_tables.is_empty() {
            return Ok(mmu);
        }
        let register = mmu.base_register(gva);
        let unknown = self.unknown_tables.contains(&register);
        if unknown { Err(Missing::Table(register)) } else { Ok(mmu) }
    }

    /// Guest-physical memory.
    ///
    /// # Errors
    /// When the source holds none.
    pub fn memory(&self) -> Result<&M, Missing> {
        self.memory.as_ref().ok_or(Missing::Memory)
    }

    /// The region map.
    ///
    /// # Errors
    /// When the source holds none.
    pub fn regions(&self) -> Result<&RegionMap, Missing> {
        self.regions.as_ref().map(|regions| &regions.map).ok_or(Missing::Regions)
    }

    /// The flat view of the guest's own address space.
    ///
    /// # Errors
    /// When the source holds no region map, or one without that space.
    pub fn flat_view(&self) -> Result<&FlatView, Missing> {
        let regions = self.regions.as_ref().ok_or(Missing::Regions)?;
        regions.view.as_ref().ok_or(Missing::AddressSpace)
    }

    /// What `memory_region_find` returns for `gpa` and `size` bytes (0 counts
    /// as 1): `None` when nothing is there.
    ///
    /// # Errors
    /// When the source holds no region map.
    pub fn find(&self, gpa: Gpa, size: u64) -> Result<Option<Section>, Missing> {
        Ok(self.flat_view()?.find(gpa, size))
    }

    /// What lies at `gpa`; `None` when nothing does, or no region map is known.
    #[must_use]
    pub fn place(&self, gpa: Gpa) -> Option<Place<'_>> {
        let regions = self.regions.as_ref()?;
        let range = regions.view.as_ref()?.at(gpa)?;
        let region = regions.map.region(range.region);
        let offset = range.offset_in_region.wrapping_add(gpa.0 - range.start.0);
        let block = region.ram_block.map(|id| regions.map.block(id));
        Some(Place {
            region: region.display_name(),
            offset,
            ram_block: block.map(|block| block.name.as_str()),
            host: block.and_then(|block| block.host?.checked_add(offset)),
        })
    }
}

impl<M: Memory> Guest<M> {
    /// Where `gva` is mapped, with every step of the walk.
    ///
    /// # Errors
    /// When registers or memory are missing; what the walk itself found is in
    /// its result.
    pub fn walk(&self, gva: Gva, query: Query) -> Result<Walk, Missing> {
        let mut walk = self.mmu_of(gva)?.walk(self.memory()?, gva, query);
        if let Err(WalkError::Unreadable(table)) = &mut walk.result {
            table.source = self.explain(table.source.clone());
        }
        Ok(walk)
    }

    /// Every mapping of the CPU's address space within `range`; mappings at
    /// its ends are whole ones. What unknown tables map is left out.
    ///
    /// # Errors
    /// When registers or memory are missing.
    pub fn space(
        &self,
        range: RangeInclusive<Gva>,
        limits: SpaceLimits,
    ) -> Result<VirtualSpace, Missing> {
        let mmu = self.mmu()?;
        let range = mmu.range_without(range, &self.unknown_tables);
        Ok(VirtualSpace::within(mmu, self.memory()?, range, limits))
    }

    /// Reads guest-physical memory. Devices are never touched.
    ///
    /// # Errors
    /// As [`Memory::read`]; a device where no memory is gets its name.
    pub fn read_physical(&self, gpa: Gpa, dst: &mut [u8]) -> Result<(), ReadError> {
        let memory = self.memory().map_err(|_| ReadError::new(gpa, ReadCause::NoMemory))?;
        memory.read(gpa, dst).map_err(|error| self.explain(error))
    }

    /// What the region map knows of a hole in the memory: a device is there,
    /// or RAM that the source leaves out.
    #[must_use]
    pub fn explain(&self, error: ReadError) -> ReadError {
        let regions = self.regions.as_ref().filter(|_| error.cause == ReadCause::Hole);
        let found = regions
            .and_then(|regions| Some((regions, regions.view.as_ref()?.at(Gpa(error.addr))?)));
        match found {
            Some((regions, range)) if regions.map.region(range.region).reads_like_memory() => {
                ReadError { cause: ReadCause::Absent, ..error }
            }
            Some((regions, range)) => {
                ReadError { cause: ReadCause::Device(regions.name(range)), ..error }
            }
            None => error,
        }
    }

    /// Reads guest-virtual memory, page by page.
    ///
    /// # Errors
    /// Names the first address that could not be read; `dst` is filled up to it.
    /// That is 0 where the address space ends before `dst` does.
    pub fn read_virtual(&self, gva: Gva, dst: &mut [u8]) -> Result<(), GuestReadError> {
        let mut done = 0;
        while done < dst.len() {
            let here = gva.checked_add(done as u64);
            done += self.read_in_page(here.ok_or_else(|| end(gva.into()))?, &mut dst[done..])?;
        }
        Ok(())
    }

    /// Reads guest memory `offset` bytes behind `start`: how many bytes could be
    /// read, and what stopped it.
    pub fn read_at(
        &self,
        start: GuestAddress,
        offset: u64,
        dst: &mut [u8],
    ) -> (usize, Option<GuestReadError>) {
        let Some(first) = start.checked_add(offset) else { return (0, Some(end(start))) };
        let result = match first {
            GuestAddress::Virtual(gva) => self.read_virtual(gva, dst),
            GuestAddress::Physical(gpa) => self.read_physical(gpa, dst).map_err(|error| {
                GuestReadError { at: first.with_raw(error.addr), cause: error.into() }
            }),
        };
        match result {
            Ok(()) => (dst.len(), None),
            Err(error) => (error.at.raw().wrapping_sub(first.raw()) as usize, Some(error)),
        }
    }

    /// The guest physical address that `gva` is mapped to, whatever the rights.
    ///
    /// # Errors
    /// When it is not mapped, or that cannot be known.
    pub fn physical(&self, gva: Gva) -> Result<Gpa, GuestReadError> {
        let fail = |cause| GuestReadError { at: gva.into(), cause };
        let missing = |missing| fail(GuestReadCause::Missing(missing));
        let (mmu, memory) = (self.mmu_of(gva).map_err(missing)?, self.memory().map_err(missing)?);
        let found = mmu.translate(memory, gva).map_err(|error| fail(error.into()))?;
        Ok(found.gpa)
    }

    /// Reads up to the end of a page of the smallest size. Larger ones are asked
    /// for again: ARM repeats the entry of some large pages, and nothing makes a
    /// guest repeat it faithfully.
    fn read_in_page(&self, gva: Gva, dst: &mut [u8]) -> Result<usize, GuestReadError> {
        let gpa = self.physical(gva)?;
        let left = PAGE - gva.0 % PAGE;
        let len = left.min(dst.len() as u64) as usize;
        self.read_physical(gpa, &mut dst[..len]).map_err(|error| GuestReadError {
            at: Gva(gva.0.wrapping_add(error.addr.wrapping_sub(gpa.0))).into(),
            cause: error.into(),
        })?;
        Ok(len)
    }
}

/// The address space of `start` ends before what was asked for does.
fn end(start: GuestAddress) -> GuestReadError {
    GuestReadError { at: start.with_raw(0), cause: GuestReadCause::End }
}

impl From<ReadError> for GuestReadCause {
    fn from(error: ReadError) -> Self {
        Self::Data(error)
    }
}

impl From<WalkError> for GuestReadCause {
    fn from(error: WalkError) -> Self {
        match error {
            WalkError::Fault(fault) => Self::Fault(fault),
            WalkError::Unreadable(table) => Self::Table(table),
        }
    }
}

impl Regions {
    fn new(map: RegionMap) -> Result<Self, RenderError> {
        // A map of only one address space needs no name for it.
        let only = match map.address_spaces() {
            [space] if space.name != "I/O" => Some(space),
            _ => None,
        };
        let own = map.address_space("memory").or(only);
        let view = own.map(|space| map.view(space).map(Cow::into_owned)).transpose()?;
        Ok(Self::seen(map, view))
    }

    fn seen(map: RegionMap, view: Option<FlatView>) -> Self {
        let names = map.regions().iter().map(|region| Arc::from(region.display_name())).collect();
        Self { map, view, names }
    }

    fn name(&self, range: &FlatRange) -> Arc<str> {
        self.names[range.region.0 as usize].clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        memory::SparseMemory,
        mmu::Merge,
        regs::{ArmRegs, ArmState},
    };

    /// AArch64, 4 KB granule, 39-bit halves: one 1 GB block in each.
    fn two_halves(unknown: &[&'static str]) -> Guest<SparseMemory> {
        let mut ram = SparseMemory::default();
        ram.put64(0x1000, 0x4000_0000 | 0x401);
        ram.put64(0x2000, 0x8000_0000 | 0x401);
        let regs = ArmRegs {
            ttbr0: 0x1000,
            ttbr1: 0x2000,
            tcr: 25 | 25 << 16 | 0b10 << 30 | 5 << 32,
            sctlr: 1,
            el: 1,
            ..ArmRegs::new(ArmState::Aarch64)
        };
        let guest = Guest::new(Some(ram), Some(Regs::Arm(regs)), None).expect("no regions");
        guest.without_tables(unknown.to_vec())
    }

    const LOW: Gva = Gva(0x10);
    const HIGH: Gva = Gva(0xffff_ff80_0000_0010);

    #[test]
    fn addresses_of_an_unknown_table_are_an_error_not_unmapped() {
        for (unknown, bad, good) in [("TTBR0", LOW, HIGH), ("TTBR1", HIGH, LOW)] {
            let guest = two_halves(&[unknown]);
            let refused = guest.walk(bad, Query::Presence).map(drop);
            assert_eq!(refused, Err(Missing::Table(unknown)));
            let read = guest.read_virtual(bad, &mut [0]).map_err(|error| error.cause);
            assert_eq!(read, Err(GuestReadCause::Missing(Missing::Table(unknown))));
            assert!(guest.walk(good, Query::Presence).is_ok_and(|walk| walk.result.is_ok()));
        }
    }

    #[test]
    fn mappings_of_an_unknown_table_are_left_out() {
        let listed = |unknown: &[&'static str]| -> Vec<Gva> {
            let everything = Gva(0)..=Gva(u64::MAX);
            let space = two_halves(unknown).space(everything, SpaceLimits::default());
            let space = space.expect("registers and memory are there");
            space.mappings(Merge::Physical).map(|mapping| mapping.gva).collect()
        };
        let high = Gva(0xffff_ff80_0000_0000);
        assert_eq!(listed(&[]), [Gva(0), high]);
        assert_eq!(listed(&["TTBR0"]), [high]);
        assert_eq!(listed(&["TTBR1"]), [Gva(0)]);
        assert_eq!(listed(&["TTBR0", "TTBR1"]), []);
    }
}
