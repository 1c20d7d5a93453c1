//! A guest inside an emulator of ours, read from outside through its process.

use crate::{
    addr::RangeSet,
    host::{AnyHost, AnyHostMemory},
    qemu::Machine,
    region::RegionMap,
    source::{self, Emulator, EmulatorMemory},
};

/// The address space that is compared: QEMU's first, `memory`.
pub(super) const SPACE: usize = 0;
/// What is tried when its map cannot be.
const RENDERING: &str = "rendering the memory map";

/// What could not be done, and why.
pub(super) type Failure = (&'static str, String);

/// The emulator that is process `pid`.
pub(super) fn emulator(pid: u32) -> Result<Emulator<AnyHost>, Failure> {
    source::running_emulator(pid).map_err(|error| ("reading the emulator", error.to_string()))
}

/// What is compared of a guest's memory.
pub(super) struct Compared {
    pub ram: RangeSet,
    pub memory: EmulatorMemory<AnyHostMemory>,
    pub regions: Option<(RegionMap, usize)>,
}

impl Compared {
    /// RAM that a guest can write, without regions of these names.
    pub fn of(emulator: &Emulator<AnyHost>, ignored: &[String]) -> Result<Self, Failure> {
        let memory = emulator.memory(SPACE).map_err(|error| (RENDERING, error.to_string()))?;
        let regions = Some((emulator.machine.map.clone(), SPACE));
        Ok(Self { ram: ram(&emulator.machine, ignored)?, memory, regions })
    }
}

fn ram(machine: &Machine, ignored: &[String]) -> Result<RangeSet, Failure> {
    let Some(space) = machine.map.address_spaces().get(SPACE) else {
        return Err((RENDERING, "there is no address space".to_owned()));
    };
    let view = machine.map.view(space).map_err(|error| (RENDERING, error.to_string()))?;
    let compared = view.ranges().iter().filter(|range| {
        let region = machine.map.region(range.region);
        let name = region.name.as_deref().unwrap_or_default();
        let wanted = region.ram && !region.ram_device && !range.readonly;
        wanted && !ignored.iter().any(|ignored| ignored == name)
    });
    Ok(compared.map(|range| range.start.0..=range.last().0).collect())
}
