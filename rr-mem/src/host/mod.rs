//! The emulator's process, or what is left of it in a core file: its memory,
//! its modules, its threads. Knows nothing of QEMU.
//!
//! A third kind, a debugger's inferior, comes in from outside: whoever has a
//! memory, a memory map and the modules' files can be a [`Host`].

pub mod process;

use std::path::PathBuf;

use crate::{
    addr::Hva,
    memory::{MappedFile, Memory},
};

/// An emulator's process.
pub trait Host {
    /// Its memory.
    type Memory: Memory<Hva>;

    /// Its memory.
    fn memory(&self) -> &Self::Memory;

    /// Its memory map, lowest address first.
    fn areas(&self) -> &[Area];

    /// The executable and the shared libraries that it has loaded, the
    /// executable first.
    fn modules(&self) -> &[Module];

    /// Its threads, the one that a debugger would show first.
    fn threads(&self) -> &[Thread];
}

/// A mapped range of host addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Area {
    /// The first address.
    pub start: Hva,
    /// Bytes.
    pub len: u64,
    /// May be read.
    pub readable: bool,
    /// May be written.
    pub writable: bool,
    /// What is mapped there, as the kernel names it; empty for anonymous memory.
    pub name: String,
}

/// An ELF file that the process has loaded.
#[derive(Clone, Debug)]
pub struct Module {
    /// Its path as the process sees it.
    pub path: PathBuf,
    /// What to add to an address in the file to get the one in the process.
    pub bias: u64,
    /// The file, where it could be had: it may be deleted, or in a container.
    pub file: Option<MappedFile>,
}

/// A thread of the process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thread {
    /// Its number.
    pub tid: u64,
    /// Its name, where known.
    pub name: Option<String>,
}
