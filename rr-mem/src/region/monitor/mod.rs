//! The monitor's text of a map: `info mtree` (the tree) and `info mtree -f`
//! (the flat views), as QEMU 7.2 prints them, and the flat views as QEMU 2.9
//! (PANDA) does.
//!
//! The text is lossy: aliases and regions are named, not identified, and in
//! the tree containers look like devices. Only flat views can be read back.
//! QEMU prints its blocks in the order of a hash of pointers: two runs differ.
//! Ours come in the order of the map's address spaces.

mod parse;
mod print;

pub use parse::{FlatText, Form, ParseError, parse};
pub use print::{TreeOptions, flat_blocks, tree_blocks};

use serde::{Deserialize, Serialize};

use super::{FlatRange, MemoryRegion, RegionMap};

/// Whose layout the text of flat views has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Style {
    /// QEMU 2.9 and PANDA: `address-space (flat view): memory`.
    Qemu29,
    /// QEMU 2.10 and later: `FlatView #0`, one for all who share it.
    #[default]
    Qemu72,
}

/// The monitor's word for what a region is.
#[must_use]
pub fn kind(region: &MemoryRegion) -> &'static str {
    if region.ram_device {
        "ramd"
    } else if region.rom_device && region.romd_mode {
        "romd"
    } else if region.ram {
        if region.readonly { "rom" } else { "ram" }
    } else {
        "i/o"
    }
}

/// The monitor's word for what a flat range is.
#[must_use]
pub(crate) fn range_kind(map: &RegionMap, range: &FlatRange) -> &'static str {
    if range.readonly { "rom" } else { kind(map.region(range.region)) }
}
