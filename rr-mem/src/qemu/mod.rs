//! QEMU from outside: its address spaces, RAM blocks and CPUs, read from a
//! [`Host`] by the offsets of a [`Layout`]. Symbols that a stripped QEMU still
//! exports are enough to begin with.
//!
//! Only this folder knows how QEMU's structs drift: members are tested for,
//! versions never. Memory may be torn (the emulator runs on) or hostile: every
//! list is bounded, and a pointer that cannot be read is an error.
//!
//! Not here: what lies behind an IOMMU, and guest page tables.
//!
//! [`Host`]: crate::host::Host
//! [`Layout`]: crate::debuginfo::Layout

mod counter;
mod cpus;
mod error;
#[doc(hidden)]
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

pub use counter::{InstructionCounter, TimeSlice};
pub use cpus::{Accelerator, VirtualCpu};
pub use error::{Misfit, QemuError, Wrong};
pub use machine::Machine;
pub use read::{Offsets, read};
pub use symbols::is_emulator;
