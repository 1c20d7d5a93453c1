//! From any guest address of an emulator to the host byte behind it, and back.
//!
//! Open a [`source`], and ask the guest in it:
//!
//! ```
//! use rr_mem::{addr::Gva, mmu::Query, source::{self, Asked, Source}};
//!
//! let opened = source::open(Source::Sample, &Asked::default(), &mut |_| {})?;
//! let guest = &opened.guest;
//!
//! let walk = guest.walk(Gva(0xffff_ffff_8100_0000), Query::Presence)?;
//! let found = walk.result.expect("the kernel is mapped");
//! assert_eq!(found.gpa.0, 0x100_0000);
//! assert_eq!(guest.place(found.gpa).map(|place| place.region), Some("pc.ram"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A running QEMU or PANDA is read from outside. It needs no symbols and no stop, but
//! the rights of ptrace:
//!
//! ```no_run
//! use rr_mem::{qemu::Offsets, source::{self, Asked, Source, Which}};
//!
//! let emulator = Source::Emulator(Which::Process(4242), Offsets::default());
//! let opened = source::open(emulator, &Asked::cpu(1), &mut |_| {})?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Modules
//!
//! The chain, from below: addresses ([`addr`]), bytes of an address space
//! ([`memory`]), the registers of a CPU ([`regs`]), the walk through its tables
//! ([`mmu`]), the memory regions behind a physical address ([`region`]), and all of
//! them together ([`guest`]).
//!
//! Where guests come from: files ([`image`]), emulators ([`host`], [`qemu`]), and the
//! one door to all of them ([`source`]).
//!
//! What else is asked: record/replay logs ([`replay`]), where two executions part
//! ([`diverge`]), names of a kernel ([`symbols`]), places to watch ([`watch`]), changes
//! of memory ([`write`]). Answers as rows of text and JSON are in [`report`].
//!
//! # Errors
//!
//! "Could not read" ([`memory::ReadError`]), "not mapped" ([`mmu::Fault`]) and unknown
//! are never the same. An error's kind is stable; what a user can do about it is data
//! ([`advice`]).
//!
//! Guest memory is hostile input: nothing here panics or works without bound on any
//! bytes.

pub mod addr;
pub mod advice;
pub mod bits;
pub mod changes;
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
pub mod save;
pub mod source;
pub mod symbols;
pub mod watch;
pub mod write;

/// The example in README.md compiles.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;
