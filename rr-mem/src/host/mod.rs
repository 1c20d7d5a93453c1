//! The emulator's process, or its core file: memory, modules, threads. Knows
//! nothing of QEMU.
//!
//! A third kind is a debugger's inferior, made from outside: a memory, a memory
//! map and the modules' files make a [`Given`].

mod any;
mod areas;
pub mod core;
mod given;
mod maps;
mod module;
#[cfg(target_os = "linux")]
pub mod process;
#[doc(hidden)]
pub mod unwind;

use crate::{addr::Hva, memory::Memory};

pub use any::{AnyHost, AnyHostMemory, HostKind, SharedMemory};
pub use areas::{Area, Areas};
pub use given::{Given, GivenError};
pub use module::Module;

/// An emulator's process.
pub trait Host {
    /// Its memory.
    type Memory: Memory<Hva>;

    /// Its memory.
    fn memory(&self) -> &Self::Memory;

    /// Its memory map, lowest address first.
    fn areas(&self) -> &Areas;

    /// Whether nothing else is mapped: a core may leave areas out.
    fn knows_all_areas(&self) -> bool;

    /// The executable and the shared libraries that it has loaded, the
    /// executable first.
    fn modules(&self) -> &[Module];

    /// Whether its memory may change while it is read.
    fn may_change(&self) -> bool {
        true
    }

    /// How many of `len` bytes from `start` on are in its memory now, where
    /// known.
    fn resident(&self, _start: Hva, _len: u64) -> Option<u64> {
        None
    }

    /// How many of `len` bytes from `start` on a core holds.
    fn in_core(&self, _start: Hva, _len: u64) -> Option<u64> {
        None
    }

    /// Its threads, the one that a debugger would show first.
    fn threads(&self) -> &[Thread];
}

/// A thread of the process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thread {
    /// Its number.
    pub tid: u64,
    /// Its name, where known.
    pub name: Option<String>,
}
