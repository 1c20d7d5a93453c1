//! A host whose kind is chosen at run time.

use std::{fmt, sync::Arc};

#[cfg(target_os = "linux")]
use super::process::{Process, ProcessMemory};
use super::{
    Areas, Given, Host, Module, Thread,
    core::{Core, CoreMemory},
};
use crate::{
    addr::Hva,
    memory::{Memory, ReadError},
};

/// A process, or what is left of one.
#[derive(Debug)]
pub struct AnyHost {
    kind: HostKind,
    memory: AnyHostMemory,
}

/// See [`AnyHost`].
#[derive(Debug)]
#[non_exhaustive]
pub enum HostKind {
    /// A running process.
    #[cfg(target_os = "linux")]
    Process(Process),
    /// A core.
    Core(Core),
    /// One that a debugger has, known by its parts.
    Given(Given<SharedMemory>),
}

/// The memory of a process as somebody else reads it; cheap to clone.
#[derive(Clone)]
pub struct SharedMemory(Arc<dyn Memory<Hva> + Send + Sync>);

impl SharedMemory {
    /// What `memory` reads.
    pub fn new(memory: impl Memory<Hva> + Send + Sync + 'static) -> Self {
        Self(Arc::new(memory))
    }
}

impl fmt::Debug for SharedMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedMemory")
    }
}

impl Memory<Hva> for SharedMemory {
    fn read(&self, addr: Hva, dst: &mut [u8]) -> Result<(), ReadError> {
        self.0.read(addr, dst)
    }

    fn slice(&self, addr: Hva, len: usize) -> Option<&[u8]> {
        self.0.slice(addr, len)
    }
}

/// The memory of an [`AnyHost`]; cheap to clone.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum AnyHostMemory {
    /// Of a running process.
    #[cfg(target_os = "linux")]
    Process(ProcessMemory),
    /// In a core.
    Core(CoreMemory),
    /// Read by somebody else.
    Given(SharedMemory),
}

impl AnyHost {
    /// Which kind it is.
    #[must_use]
    pub fn kind(&self) -> &HostKind {
        &self.kind
    }
}

#[cfg(target_os = "linux")]
impl From<Process> for AnyHost {
    fn from(process: Process) -> Self {
        let memory = AnyHostMemory::Process(process.memory().clone());
        Self { kind: HostKind::Process(process), memory }
    }
}

impl From<Core> for AnyHost {
    fn from(core: Core) -> Self {
        let memory = AnyHostMemory::Core(core.memory().clone());
        Self { kind: HostKind::Core(core), memory }
    }
}

impl From<Given<SharedMemory>> for AnyHost {
    fn from(given: Given<SharedMemory>) -> Self {
        let memory = AnyHostMemory::Given(given.memory().clone());
        Self { kind: HostKind::Given(given), memory }
    }
}

macro_rules! either {
    ($host:expr, $inner:ident => $value:expr) => {
        match &$host.kind {
            #[cfg(target_os = "linux")]
            HostKind::Process($inner) => $value,
            HostKind::Core($inner) => $value,
            HostKind::Given($inner) => $value,
        }
    };
}

impl Host for AnyHost {
    type Memory = AnyHostMemory;

    fn memory(&self) -> &AnyHostMemory {
        &self.memory
    }

    fn areas(&self) -> &Areas {
        either!(self, host => host.areas())
    }

    fn knows_all_areas(&self) -> bool {
        either!(self, host => host.knows_all_areas())
    }

    fn modules(&self) -> &[Module] {
        either!(self, host => host.modules())
    }

    fn may_change(&self) -> bool {
        either!(self, host => host.may_change())
    }

    fn resident(&self, start: Hva, len: u64) -> Option<u64> {
        either!(self, host => host.resident(start, len))
    }

    fn in_core(&self, start: Hva, len: u64) -> Option<u64> {
        either!(self, host => host.in_core(start, len))
    }

    fn threads(&self) -> &[Thread] {
        either!(self, host => host.threads())
    }
}

impl Memory<Hva> for AnyHostMemory {
    #[inline]
    fn read(&self, addr: Hva, dst: &mut [u8]) -> Result<(), ReadError> {
        match self {
            #[cfg(target_os = "linux")]
            Self::Process(memory) => memory.read(addr, dst),
            Self::Core(memory) => memory.read(addr, dst),
            Self::Given(memory) => memory.read(addr, dst),
        }
    }

    #[inline]
    fn slice(&self, addr: Hva, len: usize) -> Option<&[u8]> {
        match self {
            #[cfg(target_os = "linux")]
            Self::Process(memory) => memory.slice(addr, len),
            Self::Core(memory) => memory.slice(addr, len),
            Self::Given(memory) => memory.slice(addr, len),
        }
    }
}
