//! From any guest address of an emulator to the host byte behind it, and back.
//!
//! The modules are the chain: bytes of an address space ([`memory`]), the
//! registers of a CPU ([`regs`]), the walk through its tables ([`mmu`]), the
//! memory regions behind a physical address ([`region`]), files that hold a
//! guest ([`image`]), and all of them together ([`guest`]).
//!
//! ```
//! use rr_mem::{addr::Gva, guest::Guest, mmu::Query, sample};
//!
//! let image = sample::open()?;
//! let cpu = image.cpus.first().copied();
//! let guest = Guest::new(Some(image.memory), cpu, image.regions)?;
//!
//! let walk = guest.walk(Gva(0xffff_ffff_8100_0000), Query::Presence)?;
//! let found = walk.result.expect("the kernel is mapped");
//! assert_eq!(found.gpa.0, 0x100_0000);
//! assert_eq!(guest.place(found.gpa).map(|place| place.region), Some("pc.ram"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Guest memory is hostile input: nothing here panics or works without bound
//! on any bytes. "Could not read" ([`memory::ReadError`]) and "not mapped"
//! ([`mmu::Fault`]) are never the same.

pub mod addr;
pub mod advice;
pub mod bits;
pub mod container;
pub mod debuginfo;
pub mod diverge;
pub mod guest;
pub mod host;
pub mod image;
pub mod machine;
pub mod memory;
pub mod mmu;
pub mod qemu;
pub mod region;
pub mod regs;
pub mod replay;
pub mod report;
pub mod sample;
pub mod source;
pub mod symbols;
pub mod watch;
pub mod write;

/// The example in README.md compiles.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;
