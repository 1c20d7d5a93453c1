//! The rows about an emulator itself.

use serde::Serialize;

use super::{
    registers::map,
    rows::{AliasRow, optional_hex},
};
use crate::{
    addr::{Gpa, Hva, hex},
    host::{Areas, Host},
    mmu::{Aliases, Mmu},
    qemu::VirtualCpu,
    region::{BlockId, FlatRange, FlatView, RamBlock, RegionMap},
};

/// A CPU.
#[derive(Clone, Debug, Serialize)]
pub struct CpuRow {
    /// Its number.
    pub cpu: u64,
    /// The architecture of its mode.
    pub arch: &'static str,
    /// The paging mode.
    pub mode: &'static str,
    /// Runs with user privilege.
    pub user_mode: bool,
    /// Waits for an interrupt.
    pub halted: bool,
    /// Stopped by the emulator.
    pub stopped: bool,
    /// The program counter.
    #[serde(with = "hex")]
    pub pc: u64,
    /// Its thread in the emulator.
    pub thread: u64,
    /// Its `CPUState` in the emulator.
    pub state: Hva,
    /// What runs it.
    pub accelerator: &'static str,
    /// The address space that it uses.
    pub address_space: Option<String>,
    /// SMM, the secure world, a nested guest.
    pub world: Option<&'static str>,
    /// Guest instructions so far, where they are counted.
    pub instructions: Option<u64>,
    /// Paging registers by name.
    #[serde(serialize_with = "map")]
    pub registers: Vec<(&'static str, u64)>,
}

impl CpuRow {
    /// The row of `cpu`, whose address spaces are those of `map`.
    #[must_use]
    pub fn new(cpu: &VirtualCpu, map: &RegionMap) -> Self {
        let space = cpu.space.and_then(|space| map.address_spaces().get(space));
        Self {
            cpu: cpu.index,
            arch: cpu.regs.arch().name(),
            mode: Mmu::new(&cpu.regs).mode(),
            user_mode: cpu.regs.in_user_mode(),
            halted: cpu.halted,
            stopped: cpu.stopped,
            pc: cpu.pc,
            thread: cpu.thread,
            state: cpu.state,
            accelerator: cpu.accelerator.name(),
            address_space: space.map(|space| space.name.clone()),
            world: cpu.world,
            instructions: cpu.instructions,
            registers: cpu.regs.named(),
        }
    }
}

/// A RAM block.
#[derive(Clone, Debug, Serialize)]
pub struct RamRow {
    /// QEMU's `idstr`.
    pub name: String,
    /// The first byte in the emulator's process.
    pub host: Option<Hva>,
    /// The first byte in QEMU's `ram_addr_t` space.
    #[serde(with = "hex")]
    pub offset: u64,
    /// Bytes that the guest sees now.
    #[serde(with = "hex")]
    pub used_length: u64,
    /// Bytes that the block may grow to.
    #[serde(with = "hex")]
    pub max_length: u64,
    /// Bytes that the host has memory for now.
    #[serde(serialize_with = "optional_hex")]
    pub resident: Option<u64>,
    /// Bytes that the core holds, of an emulator's core.
    #[serde(serialize_with = "optional_hex")]
    pub in_core: Option<u64>,
    /// Bytes in a host page of the block.
    pub page_size: u64,
    /// The emulator's descriptor of the file that it is mapped from.
    pub fd: Option<u32>,
    /// What the host has mapped there; empty for anonymous memory, `None` where
    /// that is not known.
    pub backing: Option<String>,
}

impl RamRow {
    /// The row of `block` in a process whose memory map is `areas`; how much of
    /// it there is, is still to be found.
    #[must_use]
    pub fn new(block: &RamBlock, areas: &Areas) -> Self {
        let area = block.host.and_then(|host| areas.at(host));
        Self {
            name: block.name.clone(),
            host: block.host,
            offset: block.offset,
            used_length: block.used_length,
            max_length: block.max_length,
            resident: None,
            in_core: None,
            page_size: block.page_size,
            fd: block.fd,
            backing: area.and_then(|area| area.name.clone()),
        }
    }
}

/// What a pointer of the emulator leads to.
#[derive(Clone, Debug, Serialize)]
pub struct WhereRow {
    /// The address asked for.
    pub hva: Hva,
    /// What the host has mapped there; empty for anonymous memory, `None` for
    /// nothing, or what nobody knows.
    pub area: Option<String>,
    /// The RAM block that it is in.
    pub ram_block: Option<String>,
    /// The byte of the RAM block.
    #[serde(serialize_with = "optional_hex")]
    pub offset_in_block: Option<u64>,
    /// Where the guest sees it.
    pub places: Vec<WherePlace>,
    /// Whether anything is mapped there, where that is known.
    #[serde(skip)]
    pub mapped: Option<bool>,
}

/// Where the guest sees a byte of its RAM.
#[derive(Clone, Debug, Serialize)]
pub struct WherePlace {
    /// Its guest physical address.
    pub gpa: Gpa,
    /// The region's name.
    pub region: String,
    /// The byte of the region.
    #[serde(with = "hex")]
    pub offset: u64,
    /// Its guest virtual addresses, where paging is known.
    pub gvas: Option<Vec<AliasRow>>,
    /// There are more than were asked for.
    pub more: bool,
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
            offset_in_block: found.map(|(_, _, offset)| offset),
            places,
            mapped: if area.is_some() { Some(true) } else { no },
        }
    }
}

impl WhereRow {
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
        offset,
        gvas: None,
        more: false,
    })
}
