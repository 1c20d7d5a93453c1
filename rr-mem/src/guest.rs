//! The whole chain: one CPU's paging, guest-physical memory and the region map,
//! from any source. The one type that the faces use.
//!
//! A guest may be partial: a raw dump has no region map, the monitor's text has
//! no memory. What is missing is an error with advice.

pub mod diff;
mod error;
mod isolation;
pub mod search;
pub mod slice;

use std::{borrow::Cow, ops::RangeInclusive, sync::Arc};

pub use error::{GuestReadCause, GuestReadError, Missing};
pub use isolation::Isolated;

use crate::{
    addr::{Address, Gpa, GuestAddress, Gva, Hva, PAGE},
    advice::Advice,
    memory::{Memory, ReadCause, ReadError},
    mmu::{
        Mmu, Query, SpaceLimits, Translation, Unreadable, VirtualSpace, Walk, WalkError,
        undecided_access,
    },
    region::{FlatRange, FlatView, RegionMap, RenderError, Section},
    regs::{Assumed, Cpu, OtherArch, Register, RegisterSet, Regs},
};

/// Memory of a guest whose source is chosen at run time.
pub type AnyMemory = Box<dyn Memory + Send + Sync>;

/// A guest: what is behind its addresses.
#[derive(Debug)]
pub struct Guest<M = AnyMemory> {
    memory: Option<M>,
    cpu: Option<Cpu>,
    /// Of the CPU, if it can translate an address at all; or why no walk models it.
    mmu: Option<Result<Mmu, Missing>>,
    /// Base registers of tables whose values are not known.
    unknown_tables: Vec<Register>,
    assumed: Vec<Assumed>,
    regions: Option<Regions>,
    /// What to answer where there is no region map.
    without_regions: Missing,
    /// Its architecture, if no walker models it.
    other: Option<OtherArch>,
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

/// What lies at a guest physical address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
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

/// What may be missing from an answer about an address space.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Gap {
    /// What, in words.
    pub what: String,
    /// What the user can do about it.
    pub advice: Advice,
}

impl<M> Guest<M> {
    /// A guest of these parts. Unknown registers get usual values, which
    /// [`Guest::assumed`] lists. An address whose table base is unknown is neither
    /// mapped nor unmapped.
    ///
    /// # Errors
    /// When the flat view of the region map cannot be rendered.
    pub fn new(
        memory: Option<M>,
        cpu: Option<Cpu>,
        regions: Option<RegionMap>,
    ) -> Result<Self, RenderError> {
        let regions = regions.map(Regions::new).transpose()?;
        Ok(Self::of(memory, cpu, regions))
    }

    fn of(memory: Option<M>, cpu: Option<Cpu>, regions: Option<Regions>) -> Self {
        let (cpu, assumed) = cpu.map(|cpu| cpu.with_usual_values()).unzip();
        let translating = cpu.filter(Cpu::translates);
        let unknown = |cpu: &Cpu| cpu.unknown_tables().collect();
        let on = translating.filter(|cpu| cpu.regs.paging_is_on());
        Self {
            memory,
            cpu,
            mmu: translating.map(|cpu| paging(&cpu)),
            unknown_tables: on.as_ref().map(unknown).unwrap_or_default(),
            assumed: assumed.unwrap_or_default(),
            regions,
            without_regions: Missing::Regions,
            other: None,
        }
    }

    /// The same guest; where it has no region map, `missing` says why.
    #[must_use]
    pub(crate) fn with_regions_missing(self, missing: Missing) -> Self {
        Self { without_regions: missing, ..self }
    }

    /// The same guest; it has no CPU because no walker models `other`.
    #[must_use]
    pub(crate) fn with_walker_missing(self, other: Option<OtherArch>) -> Self {
        Self { other, ..self }
    }

    /// The same, seen through address space number `space` of `map`. Without
    /// such an address space, nothing is there.
    ///
    /// # Errors
    /// When the flat view of the address space cannot be rendered.
    pub fn in_space(
        memory: Option<M>,
        cpu: Option<Cpu>,
        map: RegionMap,
        space: usize,
    ) -> Result<Self, RenderError> {
        let view = match map.address_spaces().get(space) {
            Some(space) => map.view(space)?.into_owned(),
            None => FlatView::default(),
        };
        let regions = Some(Regions::seen(map, Some(view)));
        Ok(Self::of(memory, cpu, regions))
    }

    /// The unknown base registers of tables (CR3, TTBR0, TTBR1), if others are
    /// known. Addresses that they translate are neither mapped nor unmapped.
    #[must_use]
    pub fn unknown_tables(&self) -> &[Register] {
        &self.unknown_tables
    }

    /// The values that were taken for registers that nobody knows.
    #[must_use]
    pub fn assumed(&self) -> &[Assumed] {
        &self.assumed
    }

    /// The same guest over other memory, made of its own.
    #[must_use]
    pub fn map_memory<N>(self, change: impl FnOnce(M) -> N) -> Guest<N> {
        let Self { memory, cpu, mmu, unknown_tables, assumed, regions, without_regions, other } =
            self;
        let memory = memory.map(change);
        Guest { memory, cpu, mmu, unknown_tables, assumed, regions, without_regions, other }
    }

    /// The CPU in question, with usual values for what nobody knows of it.
    #[must_use]
    pub fn cpu(&self) -> Option<&Cpu> {
        self.cpu.as_ref()
    }

    /// The registers of the CPU in question.
    #[must_use]
    pub fn regs(&self) -> Option<&Regs> {
        self.cpu.as_ref().map(|cpu| &cpu.regs)
    }

    /// The paging of the CPU in question.
    ///
    /// # Errors
    /// When the base of no table is known, nobody knows a register that decides
    /// where addresses lead, or no walker models what the registers switch on, or
    /// the architecture.
    pub fn mmu(&self) -> Result<&Mmu, Missing> {
        match (&self.mmu, self.other) {
            (Some(mmu), _) => mmu.as_ref().map_err(|missing| *missing),
            (None, Some(other)) => Err(Missing::Walker(other)),
            (None, None) => Err(Missing::Registers(self.unknown_registers())),
        }
    }

    /// What nobody knows of a CPU of which something is known.
    fn unknown_registers(&self) -> RegisterSet {
        let cpu = self.cpu.as_ref().filter(|cpu| !cpu.known.is_empty());
        let unknown = cpu.map(Cpu::unknown_registers).into_iter().flatten();
        unknown.filter(|register| !register.info().feature).collect()
    }

    /// Whether rights are known, as the tables and the CPU's registers give them.
    ///
    /// # Errors
    /// The register that decides them, if nobody knows it.
    pub fn knows_rights(&self) -> Result<(), Missing> {
        let undecided = self.cpu.as_ref().and_then(Cpu::undecided_rights);
        undecided.map_or(Ok(()), |register| Err(Missing::Undecided(register)))
    }

    /// Whether `query` can be answered with the registers that are known.
    fn decides(&self, query: Query) -> Result<(), Missing> {
        let Query::Access(access) = query else { return Ok(()) };
        let undecided = self.cpu.as_ref().and_then(|cpu| undecided_access(cpu, access));
        undecided.map_or(Ok(()), |register| Err(Missing::Undecided(register)))
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
        self.regions.as_ref().map(|regions| &regions.map).ok_or(self.without_regions)
    }

    /// The flat view of the guest's own address space.
    ///
    /// # Errors
    /// When the source holds no region map, or one without that space.
    pub fn flat_view(&self) -> Result<&FlatView, Missing> {
        let regions = self.regions.as_ref().ok_or(self.without_regions)?;
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

/// The paging of a CPU, if its registers decide where addresses lead.
fn paging(cpu: &Cpu) -> Result<Mmu, Missing> {
    match cpu.undecided() {
        Some(register) => Err(Missing::Undecided(register)),
        None => Mmu::of(cpu).map_err(Missing::NotModelled),
    }
}

impl<M: Memory> Guest<M> {
    /// Where `gva` is mapped, with every step of the walk.
    ///
    /// # Errors
    /// When registers or memory are missing; what the walk itself found is in
    /// its result.
    pub fn walk(&self, gva: Gva, query: Query) -> Result<Walk, Missing> {
        self.decides(query)?;
        let mut walk = self.mmu_of(gva)?.walk(self.memory()?, gva, query);
        walk.result = walk.result.map_err(|error| self.explain_walk(error));
        Ok(walk)
    }

    /// Many addresses at once: `each` hears the place of an address in `gvas` and
    /// where it is mapped.
    ///
    /// # Errors
    /// As [`Guest::walk`]: also when nobody knows the tables of one of them.
    pub fn query_batch(
        &self,
        gvas: &[Gva],
        query: Query,
        mut each: impl FnMut(usize, Result<Translation, WalkError>),
    ) -> Result<(), Missing> {
        self.decides(query)?;
        let (mmu, memory) = (self.mmu()?, self.memory()?);
        if !self.unknown_tables.is_empty() {
            gvas.iter().try_for_each(|gva| self.mmu_of(*gva).map(drop))?;
        }
        mmu.query_batch(memory, gvas, query, |place, answer| {
            each(place, answer.map_err(|error| self.explain_walk(error)));
        });
        Ok(())
    }

    /// What the region map knows of a table that could not be read.
    fn explain_walk(&self, error: WalkError) -> WalkError {
        match error {
            WalkError::Unreadable(mut table) => {
                table.source = self.explain(table.source);
                WalkError::Unreadable(table)
            }
            fault => fault,
        }
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
    /// As [`Memory::read`]; an error at a device names it.
    pub fn read_physical(&self, gpa: Gpa, dst: &mut [u8]) -> Result<(), ReadError> {
        let memory = self.memory().map_err(|_| ReadError::new(gpa, ReadCause::NoMemory))?;
        memory.read(gpa, dst).map_err(|error| self.explain(error))
    }

    /// What the region map knows of a hole in the memory: it is a device, or
    /// RAM that the source leaves out.
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
            None => self.without_encryption_bit(error),
        }
    }

    /// What a hole would be if one high bit of its address was that of memory
    /// encryption, which nobody told.
    fn without_encryption_bit(&self, error: ReadError) -> ReadError {
        let untold = matches!(self.regs(), Some(Regs::X86(regs)) if regs.encryption_mask() == 0);
        let bit = error.addr.checked_ilog2().filter(|bit| (40..=51).contains(bit));
        let Some(bit) = bit.filter(|_| untold && error.cause == ReadCause::Hole) else {
            return error;
        };
        let real = Gpa(error.addr & !(1 << bit));
        let there = self.memory.as_ref().is_some_and(|memory| memory.read(real, &mut [0]).is_ok());
        if there {
            ReadError { cause: ReadCause::EncryptionBit(bit as u8), ..error }
        } else {
            error
        }
    }

    /// What an answer leaves out when tables are `unreadable`, or are larger than
    /// what is read of them.
    #[must_use]
    pub fn gaps(&self, unreadable: &[Unreadable], truncated: bool) -> Vec<Gap> {
        let unread = unreadable.split_first().map(|(first, others)| {
            let source = self.explain(first.source.clone());
            let more = match others.len() {
                0 => String::new(),
                count => format!(", and {count} more like it"),
            };
            let what = format!("what the {} entry at {} maps is not known", first.level, first.at);
            Gap { what: format!("{what}{more}: {source}"), advice: source.advice() }
        });
        let truncated = truncated.then(|| Gap {
            what: "the tables are larger than any kernel's: not all were read".into(),
            advice: Advice::Nothing,
        });
        unread.into_iter().chain(truncated).collect()
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

    /// Reads guest memory `offset` bytes behind `start`. Returns how many bytes
    /// could be read, and what stopped it.
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
        self.found(gva).map(|found| found.gpa)
    }

    fn found(&self, gva: Gva) -> Result<Translation, GuestReadError> {
        let fail = |cause| GuestReadError { at: gva.into(), cause };
        let missing = |missing| fail(GuestReadCause::Missing(missing));
        let (mmu, memory) = (self.mmu_of(gva).map_err(missing)?, self.memory().map_err(missing)?);
        mmu.translate(memory, gva).map_err(|error| fail(self.explain_walk(error).into()))
    }

    /// Where the data at `gva` are. A page that the guest encrypts holds none.
    fn data(&self, gva: Gva) -> Result<Gpa, GuestReadError> {
        let found = self.found(gva)?;
        let encrypted = self.mmu().is_ok_and(|mmu| mmu.encrypts(&found) == Some(true));
        let error = || ReadError::new(found.gpa, ReadCause::Encrypted);
        let fail = || GuestReadError { at: gva.into(), cause: error().into() };
        if encrypted { Err(fail()) } else { Ok(found.gpa) }
    }

    /// Reads up to the end of a page of the smallest size. Larger pages are
    /// translated again for each: ARM repeats the entry of some large pages, and
    /// a guest may not repeat it faithfully.
    fn read_in_page(&self, gva: Gva, dst: &mut [u8]) -> Result<usize, GuestReadError> {
        let gpa = self.data(gva)?;
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
        regs::{ArmRegs, ArmState, X86Regs},
    };

    /// AArch64, 4 KB granule, 39-bit halves: one 1 GB block in each.
    fn two_halves(unknown: &[Register]) -> Guest<SparseMemory> {
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
        let cpu = Cpu::known(Regs::Arm(regs)).without(unknown);
        Guest::new(Some(ram), Some(cpu), None).expect("no regions")
    }

    /// Four levels whose entries, and CR3, bear the bit 51; page 0 at 0x5000.
    fn encrypted(encryption_bit: u8) -> Guest<SparseMemory> {
        let mut ram = SparseMemory::default();
        for (table, next) in [(0x1000, 0x2007), (0x2000, 0x3007), (0x3000, 0x4007)] {
            ram.put64(table, next | 1 << 51);
        }
        ram.put64(0x4000, 0x5007 | 1 << 51);
        ram.put64(0x4008, 0x5007);
        ram.put(0x5000, b"cipher");
        let regs = X86Regs { cr3: 0x1000 | 1 << 51, encryption_bit, ..X86Regs::long_mode() };
        Guest::new(Some(ram), Some(Cpu::known(Regs::X86(regs))), None).expect("no regions")
    }

    #[test]
    fn bytes_of_an_encrypted_page_are_no_data_and_those_of_its_physical_address_are_bytes() {
        let guest = encrypted(51);
        assert_eq!(guest.physical(Gva(0)), Ok(Gpa(0x5000)));
        let read = guest.read_virtual(Gva(3), &mut [0; 2]).expect_err("refused");
        let cause = ReadError::new(Gpa(0x5003), ReadCause::Encrypted);
        assert_eq!((read.at, read.cause), (Gva(3).into(), GuestReadCause::Data(cause)));
        let mut bytes = [0; 6];
        assert_eq!(guest.read_physical(Gpa(0x5000), &mut bytes), Ok(()));
        assert_eq!(guest.read_virtual(Gva(0x1000), &mut bytes), Ok(()), "a shared page");
    }

    #[test]
    fn an_address_with_one_high_bit_too_many_is_said_to_bear_an_encryption_bit() {
        let guest = encrypted(0);
        let walk = guest.walk(Gva(0), Query::Presence).expect("registers and memory");
        let Err(WalkError::Unreadable(error)) = walk.result else { panic!("unreadable") };
        assert_eq!(
            error.source,
            ReadError::new(Gpa(0x1000 | 1 << 51), ReadCause::EncryptionBit(51))
        );
        // Without the bit there is no memory either: it is a hole like others.
        let far = guest.read_physical(Gpa(1 << 51 | 1 << 40), &mut [0]);
        assert_eq!(far.expect_err("a hole").cause, ReadCause::Hole);
    }

    const LOW: Gva = Gva(0x10);
    const HIGH: Gva = Gva(0xffff_ff80_0000_0010);

    #[test]
    fn addresses_of_an_unknown_table_are_an_error_not_unmapped() {
        for (unknown, bad, good) in [(Register::Ttbr0, LOW, HIGH), (Register::Ttbr1, HIGH, LOW)] {
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
        let listed = |unknown: &[Register]| -> Vec<Gva> {
            let everything = Gva(0)..=Gva(u64::MAX);
            let space = two_halves(unknown).space(everything, SpaceLimits::default());
            let space = space.expect("registers and memory are there");
            space.mappings(Merge::Physical).map(|mapping| mapping.gva).collect()
        };
        let high = Gva(0xffff_ff80_0000_0000);
        assert_eq!(listed(&[]), [Gva(0), high]);
        assert_eq!(listed(&[Register::Ttbr0]), [high]);
        assert_eq!(listed(&[Register::Ttbr1]), [Gva(0)]);
    }

    #[test]
    fn without_any_table_no_address_can_be_translated() {
        let guest = two_halves(&[Register::Ttbr0, Register::Ttbr1]);
        assert_eq!(
            guest.walk(LOW, Query::Presence).map(drop),
            Err(Missing::Registers(RegisterSet::from_iter([Register::Ttbr0, Register::Ttbr1])))
        );
    }
}
