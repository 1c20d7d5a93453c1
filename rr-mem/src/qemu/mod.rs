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
//!
//! [`Host`]: crate::host::Host
//! [`Layout`]: crate::debuginfo::Layout

mod counter;
mod cpus;
mod error;
pub mod layouts;
mod machine;
mod map;
mod objects;
mod read;
mod structs;
pub mod stub;
mod symbols;
#[cfg(test)]
mod tests;

pub use counter::{InstructionCounter, Slice};
pub use cpus::{Accelerator, VirtualCpu};
pub use error::{Misfit, QemuError, Wrong};
pub use machine::Machine;
pub use read::{Offsets, detect, read};
