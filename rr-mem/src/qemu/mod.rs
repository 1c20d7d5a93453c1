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

mod counter;
mod cpus;
pub mod layouts;
mod map;
mod objects;
mod structs;
pub mod stub;
mod symbols;
#[cfg(test)]
mod tests;

use std::{thread, time::Duration};

use thiserror::Error;

pub use counter::{InstructionCounter, Slice};
pub use cpus::{Accelerator, VirtualCpu};

use crate::{
    addr::{Address, Hva},
    debuginfo::{DebugError, Layout, Search},
    host::Host,
    memory::{Memory, ReadError},
    region::{FlatError, MapError, RegionMap},
};
use map::Read;
use objects::{Names, Objects};
use structs::Structs;
use symbols::Symbols;

/// How often an emulator is read whose memory changes under our eyes: nothing
/// may fit then, or the memory map is torn.
const ATTEMPTS: u32 = 3;
/// What the first pause is, and how much longer each is than the one before.
const PAUSE: Duration = Duration::from_millis(4);

/// What an emulator's memory says of its guest at one moment.
#[derive(Clone, Debug)]
pub struct Machine {
    /// The name of the layout that fits.
    pub layout: String,
    /// Where that was read from.
    pub source: String,
    /// What was tried before it.
    pub misfits: Vec<Misfit>,
    /// The file that QEMU's symbols were found in.
    pub module: String,
    /// Address spaces, regions and RAM blocks, with their host addresses.
    pub map: RegionMap,
    /// Every CPU, by number.
    pub cpus: Vec<VirtualCpu>,
    /// What hides the guest's memory from its host, such as `sev-guest`.
    pub confidential: Option<String>,
    /// Where guest instructions are counted, if they are.
    pub counter: Option<InstructionCounter>,
    offsets: Layout,
    /// Of each region.
    objects: Vec<Objects>,
}

impl Machine {
    /// Sets who made each region, which `info mtree -o` shows. `host` is the
    /// one that the machine was read from.
    ///
    /// # Errors
    /// When objects are not as they must be.
    pub fn name_owners(&mut self, host: &impl Host) -> Result<(), Wrong> {
        let structs = Structs::new(host.memory(), &self.offsets);
        let mut names = Names::new(&structs);
        let owners = self.objects.iter().map(|objects| names.owner(*objects));
        let owners = owners.collect::<Result<_, _>>()?;
        self.map.set_owners(owners);
        Ok(())
    }

    /// CPU `number`. Numbers may have gaps: CPUs can be plugged in.
    #[must_use]
    pub fn cpu(&self, number: u64) -> Option<&VirtualCpu> {
        self.cpus.iter().find(|cpu| cpu.index == number)
    }
}

/// Where struct offsets may come from.
#[derive(Clone, Debug)]
pub enum Offsets {
    /// From this layout and no other.
    Given(Layout),
    /// From QEMU's own debug info; without, from the layouts that come with
    /// the program. A debug file that is given excludes those.
    Found(Search),
}

impl Default for Offsets {
    fn default() -> Self {
        Self::Found(Search::default())
    }
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
    /// The debug file that was given will not do.
    #[error("{0}")]
    DebugInfo(#[from] DebugError),
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
    /// No layout could be had from its debug info.
    #[error("{0}")]
    DebugInfo(#[from] DebugError),
    /// They are for other hosts.
    #[error("they are for {known} hosts, and this is {0}: debug info is needed", known = layouts::HOST)]
    Host(String),
    /// The flat views were replaced while they were read.
    #[error("the memory map changes whenever it is read")]
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
            Self::DebugInfo(error) => error.kind(),
            Self::NoLayout(_) => "no_layout",
        }
    }

    /// What the user can do about it.
    #[must_use]
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::NoEmulator(_) => {
                "`rr-mem ps` lists emulators; of a QEMU without exported symbols, give its debug file with --debug-file FILE, or the monitor's text with --mtree FILE and memory with --image FILE"
            }
            Self::Architecture(_) => "x86 and ARM guests can be read",
            Self::DebugInfo(error) => error.hint(),
            Self::NoLayout(_) => {
                "install the debug symbols of this QEMU (Debian: -dbgsym), or give them with --debug-file FILE, or the struct offsets with --layout FILE (`rr-mem layout ELF` makes one)"
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
    Symbols::find(host, &Search::default()).map(drop)
}

/// Reads the memory map and the CPUs with the first layout that fits.
///
/// # Errors
/// When no module has QEMU's symbols, or no layout fits.
pub fn read<H: Host>(host: &H, offsets: &Offsets) -> Result<Machine, QemuError> {
    let default = Search::default();
    let search = if let Offsets::Found(search) = offsets { search } else { &default };
    let symbols = Symbols::find(host, search)?;
    let mut misfits = Vec::new();
    for attempt in 0..if host.may_change() { ATTEMPTS } else { 1 } {
        thread::sleep(PAUSE * attempt);
        let mut trial = Trial { host, symbols: &symbols, misfits: Vec::new() };
        if let Some(machine) = trial.all(offsets)? {
            return Ok(Machine { misfits: trial.misfits, ..machine });
        }
        misfits = trial.misfits;
    }
    Err(QemuError::NoLayout(misfits))
}

/// Layout after layout.
struct Trial<'a, H> {
    host: &'a H,
    symbols: &'a Symbols,
    misfits: Vec<Misfit>,
}

impl<H: Host> Trial<'_, H> {
    fn all(&mut self, offsets: &Offsets) -> Result<Option<Machine>, DebugError> {
        let search = match offsets {
            Offsets::Given(layout) => return Ok(self.fit(layout)),
            Offsets::Found(search) => search,
        };
        match self.own(search) {
            Err(error) if search.debug_file.is_some() => Err(error),
            Err(error) => {
                self.misfit("its debug info", error);
                Ok(self.shipped())
            }
            Ok(None) if search.debug_file.is_none() => Ok(self.shipped()),
            Ok(found) => Ok(found),
        }
    }

    fn fit(&mut self, layout: &Layout) -> Option<Machine> {
        let structs = Structs::new(self.host.memory(), layout);
        let read = read_once(self.host, self.symbols, &structs);
        read.map_err(|why| self.misfit(&layout.emulator, why)).ok()
    }

    fn misfit(&mut self, layout: &str, why: impl Into<Wrong>) {
        self.misfits.push(Misfit { layout: layout.into(), why: why.into() });
    }

    /// With the debug info of the module that has QEMU's symbols.
    fn own(&mut self, search: &Search) -> Result<Option<Machine>, DebugError> {
        let Some(program) = symbols::program(&self.symbols.module) else { return Ok(None) };
        let layout = search.layout(program, &layouts::wanted())?;
        Ok(self.fit(&layout))
    }

    fn shipped(&mut self) -> Option<Machine> {
        let program = symbols::program(&self.symbols.module);
        let host = program.and_then(|program| program.host());
        match host.filter(|host| host != layouts::HOST) {
            Some(other) => {
                self.misfit("the shipped layouts", Wrong::Host(other));
                None
            }
            None => layouts::shipped().find_map(|layout| self.fit(&layout)),
        }
    }
}

fn read_once<H: Host>(
    host: &H,
    symbols: &Symbols,
    structs: &Structs<'_, H::Memory>,
) -> Result<Machine, Wrong> {
    map::roots(structs, symbols)?;
    cpus::check(structs, symbols)?;
    let before = map::snapshot(structs, symbols)?;
    let Read { map, spaces, objects } = map::read(structs, symbols, &before)?;
    check_blocks(&map, host)?;
    let (cpus, counter) = cpus::read(structs, symbols, &spaces)?;
    let confidential = confidential(structs, symbols)?;
    if map::snapshot(structs, symbols)? != before {
        return Err(Wrong::Torn);
    }
    let offsets = structs.layout().clone();
    let (layout, source) = (offsets.emulator.clone(), offsets.source.clone());
    let module = symbols.module.path.display().to_string();
    Ok(Machine {
        layout,
        source,
        misfits: Vec::new(),
        module,
        map,
        cpus,
        confidential,
        counter,
        offsets,
        objects,
    })
}

/// The type of the object that makes the guest's memory unreadable, if any.
fn confidential<M: Memory<Hva>>(
    structs: &Structs<'_, M>,
    symbols: &Symbols,
) -> Result<Option<String>, Wrong> {
    let Some(pointer) = symbols.machine.filter(|_| structs.knows("MachineState")) else {
        return Ok(None);
    };
    match structs.pointer(pointer)? {
        // No machine is made yet.
        0 => Ok(None),
        // Before 6.0 there is no such member.
        machine => match structs.at("MachineState", machine)?.first_of(&["cgs"]) {
            None | Some(0) => Ok(None),
            Some(object) => Ok(objects::types(structs, object)?.into_iter().next()),
        },
    }
}

/// Every RAM block is in the emulator's memory map, or in no part of it where
/// that is not all known.
fn check_blocks(map: &RegionMap, host: &impl Host) -> Result<(), Wrong> {
    for block in map.ram_blocks() {
        let Some(start) = block.host else { continue };
        let wrong = |what| Wrong::at(&format!("RAM block {:?} {what}", block.name), start.0);
        let last = start.checked_add(block.used_length.saturating_sub(1));
        let last = last.ok_or_else(|| wrong("passes the end of all addresses"))?;
        let mapped = [start, last].map(|end| host.areas().at(end).is_some());
        if mapped != [true; 2] && (host.knows_all_areas() || mapped != [false; 2]) {
            return Err(wrong("is not mapped"));
        }
    }
    Ok(())
}
