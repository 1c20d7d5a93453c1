//! The guest inside an emulator: its memory lies in the emulator's own, seen
//! through one of the emulator's address spaces. And the emulators that run on
//! this machine.
//!
//! Any [`Host`] will do: a process, a core, a debugger's inferior.

use std::{io, path::PathBuf};

use thiserror::Error;

use super::Guest;
use crate::{
    addr::Hva,
    host::{
        AnyHost, Host, HostKind,
        process::{self, Process},
    },
    memory::Memory,
    qemu::{self, Accelerator, Machine, Offsets, QemuError, VirtualCpu},
    region::{
        RenderError,
        physical::{Backing, PhysicalMemory},
    },
    regs::Regs,
};

/// What QEMU's files are called.
const NAMES: [&str; 2] = ["qemu", "panda"];

/// How often a process is opened again of which nothing could be made.
const REOPENINGS: usize = 20;

/// Guest-physical memory in the memory of an emulator.
pub type EmulatorMemory<M> = PhysicalMemory<Hva, M>;

/// An emulator and what it says of its guest.
#[derive(Debug)]
pub struct Emulator<H> {
    /// Its process, or what is left of it.
    pub host: H,
    /// Its memory map and CPUs.
    pub machine: Machine,
}

/// There is no address space of the name that is wanted.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("no address space is called {wanted:?}")]
pub struct NoSuchSpace {
    /// The name.
    pub wanted: String,
    /// The names that there are.
    pub known: Vec<String>,
}

impl NoSuchSpace {
    /// What the user can do about it.
    #[must_use]
    pub fn hint(&self) -> String {
        format!("there are {}", self.known.join(", "))
    }
}

/// What may make answers about a guest wrong.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Doubt {
    /// KVM runs the CPU: QEMU's copy of its registers is old.
    #[error(
        "KVM has newer registers: these are of the last time that QEMU asked for them, as when the guest is stopped"
    )]
    StaleRegisters,
    /// What is physical to the CPU is translated once more.
    #[error(
        "the CPU runs a nested guest: physical addresses are those of that guest where its hypervisor translates them once more"
    )]
    NestedGuest,
    /// No CPU was found.
    #[error("there is no CPU that could confirm the layout: members may be misread")]
    NoCpu,
    /// The guest's memory is encrypted, by an object of this type.
    #[error(
        "the guest's memory is encrypted ({0}): outside, its bytes mean nothing, and none is read"
    )]
    Encrypted(String),
}

impl Doubt {
    /// A short stable name for scripts.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::StaleRegisters => "stale_registers",
            Self::NestedGuest => "nested_guest",
            Self::NoCpu => "no_cpu",
            Self::Encrypted(_) => "encrypted",
        }
    }
}

/// An emulator that could not be read.
#[derive(Debug, Error)]
#[error("{error}")]
pub struct Unread {
    /// What it was looked for in.
    pub host: AnyHost,
    /// Why.
    pub error: QemuError,
}

impl Emulator<AnyHost> {
    /// Reads the emulator in `host`. What a process mapped since it was opened
    /// is known to who looks at it anew: one of which nothing can be made is
    /// opened again.
    ///
    /// # Errors
    /// As [`qemu::read`].
    pub fn attach(mut host: AnyHost, offsets: &Offsets) -> Result<Self, Box<Unread>> {
        let mut machine = qemu::read(&host, offsets);
        for _ in 0..REOPENINGS {
            let (Err(QemuError::NoLayout(_)), HostKind::Process(process)) = (&machine, host.kind())
            else {
                break;
            };
            let Ok(again) = Process::open(process.pid()) else { break };
            host = again.into();
            machine = qemu::read(&host, offsets);
        }
        match machine {
            Ok(machine) => Ok(Self { host, machine }),
            Err(error) => Err(Box::new(Unread { host, error })),
        }
    }
}

impl<H: Host> Emulator<H> {
    /// Reads the emulator in `host`.
    ///
    /// # Errors
    /// As [`qemu::read`].
    pub fn read(host: H, offsets: &Offsets) -> Result<Self, QemuError> {
        let machine = qemu::read(&host, offsets)?;
        Ok(Self { host, machine })
    }
}

impl<H: Host<Memory: Clone>> Emulator<H> {
    /// The guest as seen through address space number `space`, by a CPU with
    /// these registers.
    ///
    /// # Errors
    /// When the flat view of the address space cannot be rendered.
    pub fn guest(
        &self,
        space: usize,
        regs: Option<Regs>,
    ) -> Result<Guest<EmulatorMemory<H::Memory>>, RenderError> {
        let memory = self.memory(space, self.host.memory().clone())?;
        Guest::in_space(Some(memory), regs, self.machine.map.clone(), space)
    }
}

impl<H> Emulator<H> {
    /// What may make answers wrong that `cpu` is the base of.
    #[must_use]
    pub fn doubts(&self, cpu: Option<&VirtualCpu>) -> Vec<Doubt> {
        let stale = cpu.is_some_and(|cpu| cpu.accelerator == Accelerator::KvmStale);
        let nested = cpu.is_some_and(VirtualCpu::is_nested);
        let doubts = [
            stale.then_some(Doubt::StaleRegisters),
            nested.then_some(Doubt::NestedGuest),
            self.machine.cpus.is_empty().then_some(Doubt::NoCpu),
            self.machine.confidential.clone().map(Doubt::Encrypted),
        ];
        doubts.into_iter().flatten().collect()
    }

    /// The address space to look through, by its place in the map: the one
    /// called `wanted`, else the one that `cpu` uses, else QEMU's first.
    ///
    /// # Errors
    /// When none has that name.
    pub fn space(
        &self,
        wanted: Option<&str>,
        cpu: Option<&VirtualCpu>,
    ) -> Result<usize, NoSuchSpace> {
        let Some(wanted) = wanted else { return Ok(cpu.and_then(|cpu| cpu.space).unwrap_or(0)) };
        let spaces = self.machine.map.address_spaces();
        spaces.iter().position(|space| space.name == wanted).ok_or_else(|| NoSuchSpace {
            wanted: wanted.to_owned(),
            known: spaces.iter().map(|space| space.name.clone()).collect(),
        })
    }

    /// What address space number `space` shows of `memory`, the emulator's.
    pub(crate) fn memory<M: Memory<Hva>>(
        &self,
        space: usize,
        memory: M,
    ) -> Result<EmulatorMemory<M>, RenderError> {
        let map = &self.machine.map;
        let view = map.address_spaces().get(space).map(|space| map.view(space));
        let view = view.transpose()?.unwrap_or_default();
        let readable = self.machine.confidential.is_none();
        let host = |block| map.block(block).host.filter(|_| readable).map(Backing::At);
        Ok(PhysicalMemory::of_view(map, &view, memory, host))
    }
}

/// An emulator that runs on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Running {
    /// Its number.
    pub pid: u32,
    /// Its executable's path.
    pub binary: String,
    /// Its command line.
    pub command: Vec<String>,
}

/// Every process that could be an emulator, by the name of its executable.
///
/// # Errors
/// When /proc cannot be listed.
pub fn running() -> io::Result<Vec<Running>> {
    let all = process::all()?;
    Ok(all.into_iter().filter_map(|(pid, command)| candidate(pid, command)).collect())
}

fn candidate(pid: u32, command: Vec<String>) -> Option<Running> {
    // Without rights to the process its command line is all that is seen.
    let path = process::executable(pid).ok().or_else(|| command.first().map(PathBuf::from))?;
    let name = path.file_name()?.to_string_lossy().into_owned();
    let is_system = name.contains("-system-") || name.contains("qemu-kvm");
    let known = NAMES.iter().any(|known| name.contains(known));
    let binary = path.to_string_lossy().into_owned();
    (known && is_system && !command.is_empty()).then_some(Running { pid, binary, command })
}
