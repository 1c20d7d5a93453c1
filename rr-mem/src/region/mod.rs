//! QEMU's memory regions: address spaces, the region tree, RAM blocks, the
//! flat views rendered from them, and the way from a guest physical address to
//! a region and an offset. The rules are those of QEMU's "The memory API"
//! (docs/devel/memory.rst, 7.2).
//!
//! Not here: where a map comes from (a process, a file, a monitor's text), and
//! what lies behind an IOMMU.

mod flat;
pub mod monitor;
mod paint;
pub mod physical;
mod render;
mod tree;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use flat::{FlatError, FlatRange, FlatView, Section};
pub use render::RenderError;
pub use tree::MapError;

use crate::addr::{Hva, hex};

/// Bytes of a whole 64-bit address space, the largest size of a region.
pub const WHOLE_SPACE: u128 = 1 << 64;

/// How deep regions and aliases may nest; QEMU's own maps stay below 50.
pub(crate) const MAX_DEPTH: usize = 1024;

/// Number of a region in its [`RegionMap`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RegionId(pub u32);

/// Number of a RAM block in its [`RegionMap`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BlockId(pub u32);

impl fmt::Display for RegionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "region {}", self.0)
    }
}

impl fmt::Display for BlockId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RAM block {}", self.0)
    }
}

/// A piece of guest address space: RAM, a device, an alias or a container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MemoryRegion {
    /// QEMU's name; not unique, and missing until QEMU needs it.
    pub name: Option<String>,
    /// Who made the region, in the words of the monitor's `info mtree -o`
    /// (`owner:{dev path=...}`, `orphan`), where known.
    pub owner: Option<String>,
    /// Offset in the container, in bytes.
    #[serde(with = "hex")]
    pub addr: u64,
    /// Bytes, up to [`WHOLE_SPACE`].
    #[serde(with = "hex")]
    pub size: u128,
    /// Against its siblings: the higher hides the lower.
    pub priority: i32,
    /// A disabled region and all below it are not there.
    pub enabled: bool,
    /// Answers accesses itself; a region that does not is a container or an
    /// alias, and shows only what is in it.
    pub terminates: bool,
    /// Backed by a RAM block, and written without leaving it.
    pub ram: bool,
    /// Read like ROM while `romd_mode`, else like a device; written like a
    /// device always.
    pub rom_device: bool,
    /// See `rom_device`.
    pub romd_mode: bool,
    /// Writes do not change it, nor anything that is seen through it.
    pub readonly: bool,
    /// Persistent memory.
    pub nonvolatile: bool,
    /// A device's own memory mapped for the guest (`vfio`).
    pub ram_device: bool,
    /// Addresses in it are translated further.
    pub iommu: bool,
    /// The bytes, of RAM, ROM and ROM devices.
    pub ram_block: Option<BlockId>,
    /// The region that this one is a subregion of.
    pub container: Option<RegionId>,
    /// The region that is seen through this one.
    pub alias: Option<RegionId>,
    /// The first byte of `alias` that is seen.
    #[serde(with = "hex")]
    pub alias_offset: u64,
    /// In the order of QEMU's list: a region hides those behind it.
    pub subregions: Vec<RegionId>,
}

impl Default for MemoryRegion {
    /// An empty container that is enabled.
    fn default() -> Self {
        Self {
            name: None,
            owner: None,
            addr: 0,
            size: 0,
            priority: 0,
            enabled: true,
            terminates: false,
            ram: false,
            rom_device: false,
            romd_mode: false,
            readonly: false,
            nonvolatile: false,
            ram_device: false,
            iommu: false,
            ram_block: None,
            container: None,
            alias: None,
            alias_offset: 0,
            subregions: Vec::new(),
        }
    }
}

impl MemoryRegion {
    /// The name as QEMU prints it.
    #[must_use]
    pub fn display_name(&self) -> &str {
        self.name.as_deref().unwrap_or("(null)")
    }

    /// Whether reads have no side effects: RAM, ROM, and a ROM device in ROM
    /// mode, but no device's own memory.
    #[must_use]
    pub fn reads_like_memory(&self) -> bool {
        let rom_device = self.rom_device && self.romd_mode;
        (self.ram || rom_device) && !self.ram_device && !self.iommu
    }
}

/// A piece of host memory that guest RAM or ROM lives in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RamBlock {
    /// QEMU's `idstr`.
    pub name: String,
    /// The first byte in the emulator's process, where known.
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
    /// Bytes in a host page of the block; 0 is unknown.
    #[serde(with = "hex")]
    pub page_size: u64,
    /// The emulator's descriptor of the file that it is mapped from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fd: Option<u32>,
}

/// A view of memory that a CPU or a device has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AddressSpace {
    /// QEMU's name; not unique.
    pub name: String,
    /// The top of its region tree.
    pub root: Option<RegionId>,
    /// The flat view that QEMU had rendered, where it is known.
    pub flat: Option<FlatView>,
}

/// Every region, RAM block and address space of a guest, without loss.
///
/// A map is checked when made: all numbers in it lead somewhere, and regions
/// form trees. Aliases may still go round in circles: functions that follow
/// them are bounded.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Lists")]
pub struct RegionMap {
    regions: Vec<MemoryRegion>,
    ram_blocks: Vec<RamBlock>,
    address_spaces: Vec<AddressSpace>,
}

/// A map as it stands in JSON, before it is checked.
#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct Lists {
    regions: Vec<MemoryRegion>,
    ram_blocks: Vec<RamBlock>,
    address_spaces: Vec<AddressSpace>,
}

impl TryFrom<Lists> for RegionMap {
    type Error = MapError;

    fn try_from(lists: Lists) -> Result<Self, MapError> {
        Self::new(lists.regions, lists.ram_blocks, lists.address_spaces)
    }
}

impl RegionMap {
    /// A map of these lists; regions and blocks are numbered by their place.
    ///
    /// # Errors
    /// When a number leads nowhere, a region is larger than an address space,
    /// containers and subregions disagree, or they go round in a circle.
    pub fn new(
        regions: Vec<MemoryRegion>,
        ram_blocks: Vec<RamBlock>,
        address_spaces: Vec<AddressSpace>,
    ) -> Result<Self, MapError> {
        let map = Self { regions, ram_blocks, address_spaces };
        map.check()?;
        Ok(map)
    }

    /// Sets who made each region, in the order of their numbers.
    pub(crate) fn set_owners(&mut self, owners: Vec<String>) {
        for (region, owner) in self.regions.iter_mut().zip(owners) {
            region.owner = Some(owner);
        }
    }

    /// The same map, of a guest that is in no emulator: blocks have no host
    /// address.
    #[must_use]
    pub fn without_hosts(&self) -> Self {
        let mut map = self.clone();
        map.ram_blocks.iter_mut().for_each(|block| (block.host, block.fd) = (None, None));
        map
    }

    /// All regions, by number.
    #[must_use]
    pub fn regions(&self) -> &[MemoryRegion] {
        &self.regions
    }

    /// All RAM blocks, by number.
    #[must_use]
    pub fn ram_blocks(&self) -> &[RamBlock] {
        &self.ram_blocks
    }

    /// All address spaces, in QEMU's order.
    #[must_use]
    pub fn address_spaces(&self) -> &[AddressSpace] {
        &self.address_spaces
    }

    /// The region with this number.
    ///
    /// # Panics
    /// When `id` is from another map.
    #[must_use]
    pub fn region(&self, id: RegionId) -> &MemoryRegion {
        &self.regions[id.0 as usize]
    }

    /// The RAM block with this number.
    ///
    /// # Panics
    /// When `id` is from another map.
    #[must_use]
    pub fn block(&self, id: BlockId) -> &RamBlock {
        &self.ram_blocks[id.0 as usize]
    }

    /// The first address space of this name; the guest's own is `memory`.
    #[must_use]
    pub fn address_space(&self, name: &str) -> Option<&AddressSpace> {
        self.address_spaces.iter().find(|space| space.name == name)
    }
}
