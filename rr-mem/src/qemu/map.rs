//! Address spaces, region trees, RAM blocks and flat views. QEMU's
//! "The memory API" (docs/devel/memory.rst) tells what they mean.

use std::collections::{HashMap, HashSet};

use super::{
    Wrong,
    objects::Objects,
    structs::{LIST_LIMIT, Struct, Structs},
    symbols::QemuSymbols,
};
use crate::{
    addr::{Gpa, Hva},
    memory::Memory,
    region::{
        AddressSpace, BlockId, FlatRange, FlatView, MemoryRegion, RamBlock, RegionId, RegionMap,
        WHOLE_SPACE,
    },
};

/// Ranges of a flat view that are still plausible.
const RANGE_LIMIT: u64 = 1 << 16;

/// What a change of the memory map changes: QEMU replaces flat views whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RawViews(Vec<RawSpace>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct RawSpace {
    address: u64,
    name: u64,
    root: u64,
    view: u64,
    /// Where the ranges are, how many, and their bytes.
    ranges: (u64, u64, Vec<u8>),
}

/// Whether what the symbols name is what QEMU has there: QEMU's first address
/// space is called "memory".
pub(super) fn roots<M: Memory<Hva>>(
    structs: &Structs<'_, M>,
    symbols: &QemuSymbols,
) -> Result<(), Wrong> {
    let first = structs.at("AddressSpace", symbols.address_space_memory)?;
    match structs.string(first.get("name")?)?.as_deref() {
        Some("memory") => Ok(()),
        _ => Err(Wrong::at("address_space_memory is not called memory", first.address)),
    }
}

/// Every address space, from QEMU's first on.
pub(super) fn spaces<'a, M: Memory<Hva>>(
    structs: &Structs<'a, M>,
    symbols: &QemuSymbols,
) -> Result<Vec<Struct<'a>>, Wrong> {
    let first = symbols.address_space_memory;
    structs.list("AddressSpace", first, "address_spaces_link.tqe_next")
}

/// The flat views as they are now.
pub(super) fn snapshot<M: Memory<Hva>>(
    structs: &Structs<'_, M>,
    symbols: &QemuSymbols,
) -> Result<RawViews, Wrong> {
    let space = |space: Struct<'_>| {
        let view = space.get("current_map")?;
        Ok(RawSpace {
            address: space.address,
            name: space.get("name")?,
            root: space.get("root")?,
            view,
            ranges: ranges(structs, view)?,
        })
    };
    spaces(structs, symbols)?.into_iter().map(space).collect::<Result<_, _>>().map(RawViews)
}

fn ranges<M: Memory<Hva>>(
    structs: &Structs<'_, M>,
    address: u64,
) -> Result<(u64, u64, Vec<u8>), Wrong> {
    if address == 0 {
        return Ok((0, 0, Vec::new()));
    }
    let view = structs.at("FlatView", address)?;
    let (first, count) = (view.get("ranges")?, view.get("nr")?);
    if count > RANGE_LIMIT {
        return Err(Wrong::at(&format!("a flat view of {count} ranges"), address));
    }
    let len = count * structs.size("FlatRange")?;
    Ok((first, count, structs.bytes(first, len as usize)?))
}

/// What was read.
pub(super) struct Read {
    pub map: RegionMap,
    /// The addresses of its address spaces, in order.
    pub spaces: Vec<u64>,
    /// The objects of its regions, in order.
    pub objects: Vec<Objects>,
}

/// The map whose flat views are `snapshot`.
pub(super) fn read<M: Memory<Hva>>(
    structs: &Structs<'_, M>,
    symbols: &QemuSymbols,
    snapshot: &RawViews,
) -> Result<Read, Wrong> {
    let (blocks, ram_blocks) = ram_blocks(structs, symbols)?;
    let mut reader = Reader {
        structs,
        blocks,
        numbers: HashMap::new(),
        waiting: Vec::new(),
        children: HashSet::new(),
        objects: Vec::new(),
    };
    let flats: Result<Vec<_>, _> =
        snapshot.0.iter().map(|space| reader.address_space(space)).collect();
    let mut regions = Vec::new();
    // Reading a region meets others (aliases, children), which queue up behind.
    while let Some(&address) = reader.waiting.get(regions.len()) {
        regions.push(reader.region(address)?);
    }
    let spaces = snapshot.0.iter().map(|space| space.address).collect();
    let map = RegionMap::new(regions, ram_blocks, flats?)?;
    Ok(Read { map, spaces, objects: reader.objects })
}

type Numbers = HashMap<u64, u32>;

fn ram_blocks<M: Memory<Hva>>(
    structs: &Structs<'_, M>,
    symbols: &QemuSymbols,
) -> Result<(Numbers, Vec<RamBlock>), Wrong> {
    let head = structs.at("RAMList", symbols.ram_list)?;
    let list = structs.list("RAMBlock", head.get("blocks.lh_first")?, "next.le_next")?;
    let numbers = list.iter().map(|block| block.address).zip(0..).collect();
    Ok((numbers, list.iter().map(ram_block).collect::<Result<_, _>>()?))
}

fn ram_block(block: &Struct<'_>) -> Result<RamBlock, Wrong> {
    let page_size = block.get("page_size")?;
    if !page_size.is_power_of_two() {
        return Err(Wrong::at(&format!("a RAM block with pages of {page_size:#x}"), block.address));
    }
    let (used_length, max_length) = (block.get("used_length")?, block.get("max_length")?);
    if used_length > max_length {
        return Err(Wrong::at("a RAM block longer than it may be", block.address));
    }
    Ok(RamBlock {
        name: block.text("idstr")?,
        host: Some(Hva(block.get("host")?)).filter(|host| host.0 != 0),
        offset: block.get("offset")?,
        used_length,
        max_length,
        page_size,
        // -1 without a file.
        fd: block
            .first_of(&["fd"])
            .and_then(|fd| u32::try_from(fd).ok())
            .filter(|fd| fd >> 31 == 0),
    })
}

/// Numbers each region when it is first met.
struct Reader<'r, 'a, M> {
    structs: &'r Structs<'a, M>,
    blocks: Numbers,
    numbers: Numbers,
    waiting: Vec<u64>,
    /// Regions that were met in a list of children: a region is in one.
    children: HashSet<u64>,
    objects: Vec<Objects>,
}

impl<M: Memory<Hva>> Reader<'_, '_, M> {
    /// The number of the region at `address`; a new one will be read.
    fn number(&mut self, address: u64) -> Result<Option<RegionId>, Wrong> {
        if address == 0 {
            return Ok(None);
        }
        if let Some(number) = self.numbers.get(&address) {
            return Ok(Some(RegionId(*number)));
        }
        if self.waiting.len() >= LIST_LIMIT {
            return Err(Wrong::at("there are too many regions", address));
        }
        let number = self.waiting.len() as u32;
        self.numbers.insert(address, number);
        self.waiting.push(address);
        Ok(Some(RegionId(number)))
    }

    fn address_space(&mut self, space: &RawSpace) -> Result<AddressSpace, Wrong> {
        let (first, count, _) = space.ranges;
        let flat = match space.view {
            0 => None,
            _ => {
                let ranges = self.structs.array("FlatRange", first, count)?;
                let ranges: Result<_, Wrong> = ranges.iter().map(|r| self.flat_range(r)).collect();
                Some(FlatView::new(ranges?)?)
            }
        };
        let name = self.structs.string(space.name)?.unwrap_or_default();
        Ok(AddressSpace { name, root: self.number(space.root)?, flat })
    }

    fn flat_range(&mut self, range: &Struct<'_>) -> Result<FlatRange, Wrong> {
        let region = self.number(range.get("mr")?)?;
        let start = range.wide("addr.start")?;
        let wrong = || Wrong::at("a range of a flat view is none", range.address);
        Ok(FlatRange {
            region: region.ok_or_else(wrong)?,
            start: Gpa(u64::try_from(start).map_err(|_| wrong())?),
            size: Some(range.wide("addr.size")?)
                .filter(|size| *size <= WHOLE_SPACE)
                .ok_or_else(wrong)?,
            offset_in_region: range.get("offset_in_region")?,
            readonly: range.flag("readonly"),
            nonvolatile: range.flag("nonvolatile"),
            romd_mode: range.flag("romd_mode"),
        })
    }

    fn region(&mut self, address: u64) -> Result<MemoryRegion, Wrong> {
        let region = self.structs.at("MemoryRegion", address)?;
        let subregions = self.subregions(&region)?;
        let object = |member: &str| region.first_of(&[member]).unwrap_or(0);
        let objects = Objects { owner: object("owner"), parent: object("parent_obj.parent") };
        self.objects.push(objects);
        Ok(MemoryRegion {
            name: self.structs.string(region.get("name")?)?,
            owner: None,
            addr: region.get("addr")?,
            size: region.wide("size")?,
            priority: region.get("priority")? as u32 as i32,
            enabled: region.flag("enabled"),
            terminates: region.flag("terminates"),
            ram: region.flag("ram"),
            rom_device: region.flag("rom_device"),
            romd_mode: region.flag("romd_mode"),
            readonly: region.flag("readonly"),
            nonvolatile: region.flag("nonvolatile"),
            ram_device: region.flag("ram_device"),
            iommu: region.flag("is_iommu") || region.flag("iommu_ops"),
            ram_block: self.block(&region)?,
            container: self.number(region.get("container")?)?,
            alias: self.number(region.get("alias")?)?,
            alias_offset: region.get("alias_offset")?,
            subregions,
        })
    }

    fn block(&self, region: &Struct<'_>) -> Result<Option<BlockId>, Wrong> {
        match region.get("ram_block")? {
            0 => Ok(None),
            address => match self.blocks.get(&address) {
                Some(number) => Ok(Some(BlockId(*number))),
                None => Err(Wrong::at("a RAM block is in no list", address)),
            },
        }
    }

    fn subregions(&mut self, region: &Struct<'_>) -> Result<Vec<RegionId>, Wrong> {
        let first = region.get("subregions.tqh_first")?;
        let children = self.structs.list("MemoryRegion", first, "subregions_link.tqe_next")?;
        let mut number = |child: &Struct<'_>| {
            if !self.children.insert(child.address) {
                return Err(Wrong::at("two regions have the same child", child.address));
            }
            Ok(self.number(child.address)?.unwrap_or(RegionId(0)))
        };
        children.iter().map(&mut number).collect()
    }
}
