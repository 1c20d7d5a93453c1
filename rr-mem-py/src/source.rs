//! Where a guest was found, and the guest in it as one of the CPUs sees it.

use pyo3::prelude::*;
use rr_mem::{
    addr::Hva,
    guest::{AnyMemory, Guest as Library, emulator::Emulator},
    host::{AnyHost, Given, Host},
    image::Image,
    memory::Memory,
    qemu::{Machine, Offsets},
    region::RegionMap,
    regs::Regs,
};

use crate::{
    error::{Bridge, MissingError, raise, usage},
    reader::{PhysicalReader, Reader},
};

/// Where a guest was found.
pub enum Source {
    Emulator(Emulator<AnyHost>),
    /// A process that a Python object reads.
    Given(Emulator<Given<Reader>>),
    Image(Box<Image>),
    /// Registers, and physical memory that a Python object reads.
    Plain(PhysicalReader, Regs, Option<RegionMap>),
}

macro_rules! of_emulator {
    ($source:expr, $emulator:ident => $value:expr, else $other:expr) => {
        match $source {
            Source::Emulator($emulator) => $value,
            Source::Given($emulator) => $value,
            Source::Image(..) | Source::Plain(..) => $other,
        }
    };
}

pub(crate) use of_emulator;

impl Source {
    /// The emulator's machine.
    pub fn machine(&self) -> PyResult<&Machine> {
        of_emulator!(self, emulator => Ok(&emulator.machine), else Err(no_emulator()))
    }

    /// The guest as CPU number `cpu` sees it; registers that are given count
    /// instead of the CPU's own.
    pub fn seen_by(
        &self,
        cpu: usize,
        space: Option<&str>,
        regs: Option<Regs>,
    ) -> PyResult<Library> {
        match self {
            Self::Emulator(emulator) => seen(emulator, cpu, space, regs),
            Self::Given(emulator) => seen(emulator, cpu, space, regs),
            Self::Image(image) => image_guest(image, cpu, regs),
            Self::Plain(_, _, _) if cpu != 0 => Err(no_cpu(cpu, 1)),
            Self::Plain(reader, own, regions) => plain(reader, regs.unwrap_or(*own), regions),
        }
    }

    /// What a Python object reads for it.
    pub fn reader(&self) -> Option<&Reader> {
        match self {
            Source::Given(emulator) => Some(emulator.host.memory()),
            Source::Plain(reader, ..) => Some(&reader.0),
            Source::Emulator(_) | Source::Image(..) => None,
        }
    }
}

fn plain(reader: &PhysicalReader, regs: Regs, regions: &Option<RegionMap>) -> PyResult<Library> {
    let memory: AnyMemory = Box::new(reader.clone());
    Library::new(Some(memory), Some(regs), regions.clone()).map_err(|error| error.bridge())
}

fn seen<H>(
    emulator: &Emulator<H>,
    number: usize,
    space: Option<&str>,
    regs: Option<Regs>,
) -> PyResult<Library>
where
    H: Host<Memory: Memory<Hva> + Clone + Send + Sync + 'static>,
{
    let machine = &emulator.machine;
    let cpu = machine.cpu(number as u64).ok_or_else(|| no_cpu(number, machine.cpus.len()))?;
    let space = emulator.space(space, Some(cpu)).map_err(|error| error.bridge())?;
    let regs = regs.unwrap_or(cpu.regs);
    let guest = emulator.guest(space, Some(regs)).map_err(|error| error.bridge())?;
    Ok(guest.map_memory(|memory| Box::new(memory) as AnyMemory))
}

/// What an image holds; without paging registers only physical addresses are
/// understood.
fn image_guest(image: &Image, number: usize, regs: Option<Regs>) -> PyResult<Library> {
    let cpus = &image.cpus;
    if number >= cpus.len().max(1) {
        return Err(no_cpu(number, cpus.len()));
    }
    let cpu = cpus.get(number).filter(|cpu| !cpu.without_tables());
    let regs = regs.or_else(|| cpu.map(|cpu| cpu.with_usual_values()));
    let memory: Option<AnyMemory> = Some(Box::new(image.memory.clone()));
    let guest = match (image.regions.clone(), image.address_space) {
        (Some(map), Some(space)) => Library::in_space(memory, regs, map, space),
        (map, _) => Library::new(memory, regs, map),
    };
    guest.map_err(|error| error.bridge())
}

fn no_cpu(number: usize, count: usize) -> PyErr {
    usage(
        format!("no CPU {number}: the source knows {count} CPUs"),
        "`cpus` lists them with their numbers",
    )
}

pub fn no_emulator() -> PyErr {
    raise::<MissingError>(
        "the source is no emulator",
        "no_emulator",
        "take Guest.from_process, from_core or from_host",
    )
}

pub fn emulator(host: AnyHost, offsets: &Offsets) -> PyResult<Source> {
    Emulator::attach(host, offsets).map(Source::Emulator).map_err(|unread| unread.error.bridge())
}
