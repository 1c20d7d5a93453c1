//! QEMU from outside: its address spaces, RAM blocks and CPUs, read from a
//! [`Host`] by the offsets of a [`Layout`]. Symbols that a stripped QEMU still
//! exports are enough to begin with.
//!
//! The only place that knows how QEMU's structs drift: members are tested for,
//! versions never. Memory that is torn (the emulator runs on) or hostile is
//! expected: every list is bounded, every pointer is one that can be read or
//! an error.
//!
//! Not here: what lies behind an IOMMU, and guest page tables.

mod cpus;
pub mod layouts;
mod map;
mod structs;
mod symbols;

use thiserror::Error;

pub use cpus::{Accelerator, VirtualCpu};

use crate::{
    addr::{Address, Hva},
    debuginfo::Layout,
    host::{Area, Host},
    memory::ReadError,
    region::{FlatError, MapError, RegionMap},
};
use structs::Structs;
use symbols::Symbols;

/// How often a memory map that changes under our eyes is read again.
const ATTEMPTS: usize = 5;

/// What an emulator's memory says of its guest at one moment.
#[derive(Clone, Debug)]
pub struct Machine {
    /// The name of the layout that fits.
    pub layout: String,
    /// The file that QEMU's symbols were found in.
    pub module: String,
    /// Address spaces, regions and RAM blocks, with their host addresses.
    pub map: RegionMap,
    /// Every CPU, by number.
    pub cpus: Vec<VirtualCpu>,
}

/// Why an emulator could not be read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum QemuError {
    /// No module has QEMU's symbols.
    #[error("no QEMU is in this process: none of its files has the symbol {0}")]
    NoEmulator(&'static str),
    /// The architecture of its guests is not known.
    #[error("{0} emulates neither x86 nor ARM")]
    Architecture(String),
    /// No layout fits.
    #[error("no layout fits this QEMU: {}", list(.0))]
    NoLayout(Vec<Misfit>),
}

/// A layout that does not fit, and why.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{layout} ({why})")]
pub struct Misfit {
    /// The layout's name.
    pub layout: String,
    /// What was found instead.
    pub why: Wrong,
}

/// What is not as it must be in a healthy emulator that has this layout.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Wrong {
    /// A member that the layout does not have.
    #[error("it has no {0}.{1}")]
    Member(&'static str, &'static str),
    /// A pointer that leads nowhere.
    #[error("{0}")]
    Read(#[from] ReadError),
    /// A struct that holds what it cannot hold.
    #[error("{0}")]
    Struct(String),
    /// The flat views were replaced while they were read.
    #[error("the memory map changed {ATTEMPTS} times while it was read")]
    Torn,
}

impl Wrong {
    fn at(what: &str, address: u64) -> Self {
        Self::Struct(format!("{what} at {}", Hva(address)))
    }
}

impl From<MapError> for Wrong {
    fn from(error: MapError) -> Self {
        Self::Struct(error.to_string())
    }
}

impl From<FlatError> for Wrong {
    fn from(error: FlatError) -> Self {
        Self::Struct(error.to_string())
    }
}

impl QemuError {
    /// A short stable name for scripts.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::NoEmulator(_) => "no_emulator",
            Self::Architecture(_) => "architecture",
            Self::NoLayout(_) => "no_layout",
        }
    }

    /// What the user can do about it.
    #[must_use]
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::NoEmulator(_) => {
                "`rr-mem ps` lists emulators; of a QEMU without exported symbols, give the monitor's text with --mtree FILE and memory with --image FILE"
            }
            Self::Architecture(_) => "x86 and ARM guests can be read",
            Self::NoLayout(_) => {
                "give the struct offsets of this build with --layout FILE (JSON as in src/qemu/layouts)"
            }
        }
    }
}

fn list(misfits: &[Misfit]) -> String {
    match misfits {
        [] => "none was given".into(),
        misfits => misfits.iter().map(Misfit::to_string).collect::<Vec<_>>().join("; "),
    }
}

/// Whether a process has a QEMU in it.
///
/// # Errors
/// [`QemuError::NoEmulator`].
pub fn detect(host: &impl Host) -> Result<(), QemuError> {
    Symbols::find(host).map(drop)
}

/// Reads the memory map and the CPUs with the first of `layouts` that fits.
///
/// # Errors
/// When no module has QEMU's symbols, or no layout fits.
pub fn read<H: Host>(
    host: &H,
    layouts: impl IntoIterator<Item = Layout>,
) -> Result<Machine, QemuError> {
    let symbols = Symbols::find(host)?;
    let mut misfits = Vec::new();
    for layout in layouts {
        match read_steadily(host, &symbols, &layout) {
            Ok(machine) => return Ok(machine),
            Err(why) => misfits.push(Misfit { layout: layout.emulator, why }),
        }
    }
    Err(QemuError::NoLayout(misfits))
}

/// A map that is torn is no reason to give up a layout.
fn read_steadily<H: Host>(host: &H, symbols: &Symbols, layout: &Layout) -> Result<Machine, Wrong> {
    let structs = Structs::new(host.memory(), layout);
    map::roots(&structs, symbols)?;
    cpus::check(&structs, symbols)?;
    let mut last = Wrong::Torn;
    for _ in 0..ATTEMPTS {
        match read_once(host, symbols, &structs) {
            Ok(machine) => return Ok(machine),
            Err(why) => last = why,
        }
    }
    Err(last)
}

fn read_once<H: Host>(
    host: &H,
    symbols: &Symbols,
    structs: &Structs<'_, H::Memory>,
) -> Result<Machine, Wrong> {
    let before = map::snapshot(structs, symbols)?;
    let (map, spaces) = map::read(structs, symbols, &before)?;
    check_blocks(&map, host)?;
    let cpus = cpus::read(structs, symbols, &spaces)?;
    if map::snapshot(structs, symbols)? != before {
        return Err(Wrong::Torn);
    }
    let (layout, module) = (structs.layout_name().to_owned(), symbols.module.clone());
    Ok(Machine { layout, module, map, cpus })
}

/// Every RAM block is in the emulator's memory map, or in no part of it where
/// that is not all known.
fn check_blocks(map: &RegionMap, host: &impl Host) -> Result<(), Wrong> {
    for block in map.ram_blocks() {
        let Some(start) = block.host else { continue };
        let wrong = |what| Wrong::at(&format!("RAM block {:?} {what}", block.name), start.0);
        let last = start.checked_add(block.used_length.saturating_sub(1));
        let last = last.ok_or_else(|| wrong("passes the end of all addresses"))?;
        let mapped = [start, last].map(|end| area(host.areas(), end).is_some());
        if mapped != [true; 2] && (host.knows_all_areas() || mapped != [false; 2]) {
            return Err(wrong("is not mapped"));
        }
    }
    Ok(())
}

fn area(areas: &[Area], address: Hva) -> Option<&Area> {
    let after = areas.partition_point(|area| area.start <= address);
    areas[..after].last().filter(|area| address.0 - area.start.0 < area.len)
}
