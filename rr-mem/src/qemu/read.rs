//! Layout after layout, until one fits.

use std::{thread, time::Duration};

use super::{
    Machine, Misfit, QemuError, VirtualCpu, Wrong, counter, cpus, layouts,
    map::{self, Read},
    objects,
    structs::Structs,
    symbols::{self, QemuSymbols, Target},
};
use crate::{
    addr::{Address, Hva},
    debuginfo::{DebugError, DebugSearch, Layout},
    host::Host,
    memory::Memory,
    region::RegionMap,
    regs::OtherArch,
};

/// How often an emulator is read whose memory changes under our eyes: nothing
/// may fit then, or the memory map is torn.
const ATTEMPTS: u32 = 3;
/// What the first pause is, and how much longer each is than the one before.
const PAUSE: Duration = Duration::from_millis(4);

/// Where struct offsets may come from.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Offsets {
    /// From this layout and no other.
    Given(Layout),
    /// From QEMU's own debug info; without, from the layouts that come with
    /// the program. A debug file that is given excludes those.
    Found(DebugSearch),
}

impl Default for Offsets {
    fn default() -> Self {
        Self::Found(DebugSearch::default())
    }
}

/// Reads the memory map and the CPUs with the first layout that fits.
///
/// # Errors
/// When no module has QEMU's symbols, or no layout fits.
pub fn read<H: Host>(host: &H, offsets: &Offsets) -> Result<Machine, QemuError> {
    let default = DebugSearch::default();
    let search = if let Offsets::Found(search) = offsets { search } else { &default };
    let symbols = QemuSymbols::find(host, search)?;
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
    symbols: &'a QemuSymbols,
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
    fn own(&mut self, search: &DebugSearch) -> Result<Option<Machine>, DebugError> {
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
    symbols: &QemuSymbols,
    structs: &Structs<'_, H::Memory>,
) -> Result<Machine, Wrong> {
    map::roots(structs, symbols)?;
    cpus::check(structs, symbols)?;
    let before = map::snapshot(structs, symbols)?;
    let Read { map, spaces, objects } = map::read(structs, symbols, &before)?;
    check_blocks(&map, host)?;
    let list = cpus::list(structs, symbols, &spaces)?;
    let counter = counter::find(structs, symbols, &list)?;
    let total = counter.as_ref().map(|counter| counter.read(structs.memory())).transpose()?;
    let cpus = cpus::read(structs, symbols, &spaces, &list, total)?;
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
        other: other(symbols, &cpus),
        cpus,
        confidential,
        counter,
        offsets,
        objects,
    })
}

/// The architecture of the guests, if no walker models it. Its name is the CPUs' own.
fn other(symbols: &QemuSymbols, cpus: &[VirtualCpu]) -> Option<OtherArch> {
    let named = || cpus.iter().find_map(|cpu| cpu.other);
    (symbols.target == Target::Other).then(|| named().unwrap_or(OtherArch::UNKNOWN))
}

/// The type of the object that makes the guest's memory unreadable, if any.
fn confidential<M: Memory<Hva>>(
    structs: &Structs<'_, M>,
    symbols: &QemuSymbols,
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
