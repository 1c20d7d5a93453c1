//! The guest inside an emulator. Its memory lies in the emulator's, and is seen
//! through one of the emulator's address spaces.
//!
//! Any [`Host`] will do: a process, a core, a debugger's inferior.

use thiserror::Error;

use super::Remark;
use crate::{
    addr::Hva,
    host::{AnyHost, AnyHostMemory, Host, HostKind},
    image::{self, CoreNote},
    memory::Memory,
    qemu::{self, Accelerator, Machine, Offsets, QemuError, VirtualCpu},
    region::{
        RenderError,
        physical::{Backing, PhysicalMemory},
    },
    regs::Arch,
};

/// How often a process is opened again of which nothing could be made.
const REOPENINGS: usize = 20;

/// Guest-physical memory in the memory of an emulator.
pub type EmulatorMemory<M> = PhysicalMemory<Hva, M>;

/// An emulator and what it says of its guest.
#[derive(Debug)]
#[non_exhaustive]
pub struct Emulator<H> {
    /// Its process, or what is left of it.
    pub host: H,
    /// Its memory map and CPUs.
    pub machine: Machine,
}

/// There is no address space of the name that is wanted.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("no address space is called {wanted:?}")]
#[non_exhaustive]
pub struct NoSuchSpace {
    /// The name.
    pub wanted: String,
    /// The names that there are.
    pub known: Vec<String>,
}

/// An emulator that could not be read.
#[derive(Debug, Error)]
#[error("{error}")]
pub(super) struct Unread {
    /// What it was looked for in.
    pub host: AnyHost,
    /// Why.
    pub error: QemuError,
}

impl Emulator<AnyHost> {
    /// Reads the emulator in `host`. Retries with a fresh memory map: QEMU may have
    /// loaded libraries since the process was opened.
    pub(super) fn attach(mut host: AnyHost, offsets: &Offsets) -> Result<Self, Box<Unread>> {
        let mut machine = qemu::read(&host, offsets);
        for _ in 0..REOPENINGS {
            if !matches!(machine, Err(QemuError::NoLayout(_))) {
                break;
            }
            let Some(again) = opened_again(&host) else { break };
            host = again;
            machine = qemu::read(&host, offsets);
        }
        match machine {
            Ok(machine) => Ok(Self { host, machine }),
            Err(error) => Err(Box::new(Unread { host, error })),
        }
    }

    /// What process or core it is.
    #[must_use]
    pub fn name(&self) -> String {
        name(&self.host)
    }

    /// The guest's memory as address space number `space` shows it.
    ///
    /// # Errors
    /// When the flat view of the address space cannot be rendered.
    pub fn memory(&self, space: usize) -> Result<EmulatorMemory<AnyHostMemory>, RenderError> {
        self.memory_in(space, self.host.memory().clone())
    }

    /// How it came to be read: which layout fits.
    pub(super) fn told(&self) -> Vec<Remark> {
        let Machine { layout, source, module, misfits, cpus, .. } = &self.machine;
        let misfits = misfits.iter().cloned().map(Remark::Misfit);
        let fits = Remark::Layout { name: layout.clone(), from: source.clone() };
        let (name, module, cpus) = (self.name(), module.clone(), cpus.len());
        misfits.chain([fits, Remark::Emulator { name, module, cpus }]).collect()
    }
}

/// The process of `host` with a fresh memory map; none of what is no process.
#[cfg(target_os = "linux")]
fn opened_again(host: &AnyHost) -> Option<AnyHost> {
    let HostKind::Process(process) = host.kind() else { return None };
    crate::host::process::Process::open(process.pid()).ok().map(AnyHost::from)
}

#[cfg(not(target_os = "linux"))]
fn opened_again(_host: &AnyHost) -> Option<AnyHost> {
    None
}

/// What process or core `host` is.
pub(super) fn name(host: &AnyHost) -> String {
    match host.kind() {
        #[cfg(target_os = "linux")]
        HostKind::Process(process) => format!("process {}", process.pid()),
        HostKind::Core(core) => core.path().display().to_string(),
        HostKind::Given(_) => "the process that is debugged".to_owned(),
    }
}

impl<H> Emulator<H> {
    /// What may make answers wrong that `cpu` is the base of.
    pub(super) fn remarks(&self, cpu: Option<&VirtualCpu>) -> Vec<Remark> {
        let stale = cpu.is_some_and(|cpu| cpu.accelerator == Accelerator::KvmStale);
        let nested = cpu.is_some_and(VirtualCpu::is_nested);
        let smm = cpu.is_some_and(VirtualCpu::is_in_smm);
        let remarks = [
            stale.then_some(Remark::StaleRegisters),
            nested.then_some(Remark::NestedGuest),
            smm.then_some(Remark::Smm),
            self.machine.cpus.is_empty().then_some(Remark::NoCpu),
            self.machine.confidential.clone().map(Remark::Encrypted),
        ];
        remarks.into_iter().flatten().collect()
    }

    /// The general registers of all CPUs, for a core; empty if those of one are
    /// unknown.
    pub(super) fn core_notes(&self, arch: Arch) -> Vec<CoreNote> {
        let cpus = self.machine.cpus.iter().map(|cpu| Some((cpu.index, cpu.general?)));
        let cpus: Option<Vec<_>> = cpus.collect();
        cpus.map(|cpus| image::register_notes(&cpus, arch)).unwrap_or_default()
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
    pub(crate) fn memory_in<M: Memory<Hva>>(
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
