//! What a program's files say of it: symbols, and where the members of its
//! structs are. Knows nothing of QEMU.

mod layout;
pub mod symbols;

pub use layout::{Field, Layout, StructLayout};
