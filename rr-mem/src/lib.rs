//! From any guest address of an emulator to the host byte behind it, and back.

pub mod addr;
pub mod bits;
pub mod container;
pub mod guest;
pub mod image;
pub mod machine;
pub mod memory;
pub mod mmu;
pub mod region;
pub mod regs;
