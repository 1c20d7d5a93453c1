//! The rows about an emulator itself.

use super::{
    Named,
    declared::{AliasRow, CpuRow, FlatRangeRow, RamRow, RegionRow, WherePlace, WhereRow},
};
use crate::{
    addr::{Gpa, Hex, Hva},
    host::Host,
    mmu::{self, Aliases},
    qemu::VirtualCpu,
    region::{BlockId, FlatRange, FlatView, MemoryRegion, RamBlock, RegionMap, monitor},
    regs::Register,
};

impl CpuRow {
    /// The row of `cpu`, whose address spaces are those of `map`.
    #[must_use]
    pub fn new(cpu: &VirtualCpu, map: &RegionMap) -> Self {
        let space = cpu.space.and_then(|space| map.address_spaces().get(space));
        Self {
            cpu: cpu.index,
            arch: cpu.arch(),
            mode: cpu.regs.as_ref().map(mmu::mode),
            user_mode: cpu.regs.map(|regs| regs.in_user_mode()),
            halted: cpu.halted,
            stopped: cpu.stopped,
            pc: cpu.pc.map(Hex),
            thread: cpu.thread,
            state: cpu.state,
            accelerator: cpu.accelerator.name(),
            address_space: space.map(|space| space.name.clone()),
            world: cpu.world,
            instructions: cpu.instructions,
            registers: hexes(cpu.regs.map(|regs| regs.shown()).unwrap_or_default()),
        }
    }
}

impl RamRow {
    /// The row of `block` of the emulator `host`.
    #[must_use]
    pub fn new(block: &RamBlock, host: &impl Host) -> Self {
        let area = block.host.and_then(|start| host.areas().at(start));
        let len = block.used_length;
        Self {
            name: block.name.clone(),
            host: block.host,
            offset: Hex(block.offset),
            used_length: Hex(block.used_length),
            max_length: Hex(block.max_length),
            resident: block.host.and_then(|start| host.resident(start, len)).map(Hex),
            in_core: block.host.and_then(|start| host.in_core(start, len)).map(Hex),
            page_size: block.page_size,
            fd: block.fd,
            backing: area.and_then(|area| area.name.clone()),
        }
    }
}

fn hexes(registers: Vec<(Register, u64)>) -> Named<Hex<u64>> {
    let one = |(register, value): (Register, u64)| (register.keyword(), Hex(value));
    Named(registers.into_iter().map(one).collect())
}

impl WhereRow {
    /// Looks `hva` up in the RAM blocks of `map` and in `view`; guest virtual
    /// addresses are still to be found. `host` is the emulator.
    #[must_use]
    pub fn new(map: &RegionMap, view: Option<&FlatView>, host: &impl Host, hva: Hva) -> Self {
        let inside = |block: &RamBlock| {
            let offset = hva.0.checked_sub(block.host?.0)?;
            (offset < block.used_length.max(1)).then_some(offset)
        };
        let mut blocks = (0..).map(BlockId).zip(map.ram_blocks());
        let found = blocks.find_map(|(id, block)| Some((id, block, inside(block)?)));
        let ranges = view.map(FlatView::ranges).unwrap_or_default();
        let places = found.map_or_else(Vec::new, |(id, _, offset)| {
            ranges.iter().filter_map(|range| place(map, range, id, offset)).collect()
        });
        let area = host.areas().at(hva);
        let no = host.knows_all_areas().then_some(false);
        Self {
            hva,
            area: area.and_then(|area| area.name.clone()),
            ram_block: found.map(|(_, block, _)| block.name.clone()),
            offset_in_block: found.map(|(_, _, offset)| Hex(offset)),
            places,
            mapped: if area.is_some() { Some(true) } else { no },
        }
    }

    /// The same with up to `limit` guest virtual addresses of each place.
    #[must_use]
    pub fn with_aliases(mut self, aliases: &Aliases<'_>, limit: usize) -> Self {
        for place in &mut self.places {
            let (found, more) = aliases.of(place.gpa, limit);
            let rows = found.iter().map(|alias| AliasRow::new(place.gpa, alias));
            place.gvas = Some(rows.collect());
            place.more = more;
        }
        self
    }
}

/// The byte `offset` of a RAM block, where `range` shows it.
fn place(map: &RegionMap, range: &FlatRange, id: BlockId, offset: u64) -> Option<WherePlace> {
    let region = map.region(range.region);
    let inside = offset.checked_sub(range.offset_in_region)?;
    let shown = region.ram_block == Some(id) && u128::from(inside) < range.size;
    shown.then(|| WherePlace {
        gpa: Gpa(range.start.0.wrapping_add(inside)),
        region: region.display_name().to_owned(),
        offset: Hex(offset),
        gvas: None,
        more: false,
    })
}

impl FlatRangeRow {
    /// The row of a range of a view of `map`.
    #[must_use]
    pub fn new(map: &RegionMap, range: &FlatRange) -> Self {
        Self {
            gpa: range.start,
            size: Hex(range.size),
            region: map.region(range.region).display_name().to_owned(),
            offset: Hex(range.offset_in_region),
            kind: monitor::range_kind(map, range),
        }
    }
}

impl RegionRow {
    /// The row of region `number` of `map`.
    #[must_use]
    pub fn new(map: &RegionMap, number: usize, region: &MemoryRegion) -> Self {
        Self {
            number,
            name: region.name.clone(),
            addr: Hex(region.addr),
            size: Hex(region.size),
            kind: monitor::kind(region),
            priority: region.priority,
            enabled: region.enabled,
            owner: region.owner.clone(),
            container: region.container.map(|id| id.0),
            alias: region.alias.map(|id| id.0),
            alias_offset: Hex(region.alias_offset),
            ram_block: region.ram_block.map(|id| map.block(id).name.clone()),
        }
    }
}
