//! From any guest address of an emulator to the host byte behind it, and back.
//!
//! ```text
//! guest virtual --page tables--> guest physical --region--> region + offset --RAM block--> host virtual
//! ```
//!
//! [`open`] is the one door: from a [`Source`] and what is [`Asked`] of it to a
//! [`Guest`], which is the whole chain. Its links can be used alone: bytes of an
//! address space ([`memory`]), the registers of a CPU ([`regs`]), the walk through
//! its tables ([`mmu`]), the memory regions behind a physical address ([`region`]).
//!
//! # A guest in a file
//!
//! Dumps, kdump files, LiME, migration streams, snapshots in disk images and raw RAM
//! ([`image`]); compressed ones too. The sample guest is one of them.
//!
//! ```
//! use rr_mem::{Asked, Gva, Query, Source};
//!
//! let opened = rr_mem::open(Source::Sample, &Asked::default(), &mut |_| {})?;
//! let walk = opened.guest.walk(Gva(0xffff_ffff_8100_0000), Query::Presence)?;
//! let found = walk.result?;
//! assert_eq!(found.gpa.0, 0x100_0000);
//! assert_eq!(opened.guest.place(found.gpa).map(|place| place.region), Some("pc.ram"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! What the source does not say can be given. Unknown is never a usual value in
//! disguise: without a base of tables, an address is neither mapped nor not.
//!
//! ```
//! use rr_mem::{Arch, Asked, Explain, Gva, Missing, Query, Register, Source};
//!
//! let asked = Asked::default().with_arch(Some(Arch::Aarch64));
//! let unknown = rr_mem::open(Source::Sample, &asked, &mut |_| {})?;
//! let error = unknown.guest.walk(Gva(0x1000), Query::Presence).expect_err("no TTBR");
//! assert_eq!(error.kind(), "no_registers");
//!
//! let asked = asked.with_register(Register::Ttbr1, 0x2000);
//! let half = rr_mem::open(Source::Sample, &asked, &mut |_| {})?;
//! let error = half.guest.walk(Gva(0x1000), Query::Presence).expect_err("no TTBR0");
//! assert_eq!(error, Missing::Table(Register::Ttbr0));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # A guest that runs
//!
//! A running QEMU or PANDA is read from outside. It needs no symbols and no stop, but
//! the rights of ptrace. Its core, and a debugger's inferior, are opened alike
//! ([`Which`]).
//!
//! ```no_run
//! use rr_mem::{Asked, Gpa, Source, Which};
//!
//! let source = Source::emulator(Which::Process(4242));
//! let opened = rr_mem::open(source, &Asked::cpu(1), &mut |_| {})?;
//! let mut bytes = [0; 16];
//! opened.guest.read_physical(Gpa(0x1000), &mut bytes)?;
//! for remark in &opened.remarks {
//!     println!("{remark}");
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Logs of record and replay
//!
//! Every input that a machine got, of PANDA and of QEMU ([`replay`]).
//!
//! ```no_run
//! use rr_mem::{EventLog, Log};
//!
//! let mut log = Log::open("NAME-rr-nondet.log".as_ref())?;
//! while let Some(entry) = log.next_entry()? {
//!     println!("{} {}", entry.instructions, entry.fields().kind);
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Where two runs part
//!
//! `diverge` (Linux) moves two executions to the first instruction at which they
//! differ, and finds who wrote the difference. A backend is an `Execution`.
//!
//! ```no_run
//! # #[cfg(target_os = "linux")] {
//! use rr_mem::diverge::{Recording, Replay, SearchOptions, Verdict, find_first_difference};
//!
//! let command = ["qemu-system-x86_64", "-icount", "shift=1,rr=record,rrfile=a.bin"];
//! let mut a = Replay::start(Recording::new(command, "a.bin"))?;
//! let mut b = Replay::start(Recording::new(command, "b.bin"))?;
//! let found = find_first_difference(&mut a, &mut b, &SearchOptions::default(), &mut ())?;
//! if let Verdict::Parted(parting) = found.verdict {
//!     println!("the first difference is at instruction {}", parting.first);
//! }
//! # }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Memory of your own
//!
//! A walk takes any [`Memory`]: `examples/memory.rs` has a whole one.
//!
//! # Modules
//!
//! Where guests come from: files ([`image`]), emulators ([`host`], [`qemu`]), and the
//! one door to all of them ([`source`]). What else is asked: record/replay logs
//! ([`replay`]), names of a kernel ([`symbols`]), places to watch ([`watch`]), changing
//! memory ([`write`](mod@write)), what differs at two moments ([`changes`]), and
//! slices to send ([`save`]). Answers as rows of text and JSON are in [`report`].
//!
//! # Errors
//!
//! A [`Fault`] is the guest's answer ("not mapped"), a [`ReadError`] a failure of
//! ours, [`Missing`] what nobody knows. They are never the same. Errors say a stable
//! kind and, as data, what to do ([`Explain`]); each face has its own words for that.
//!
//! Guest memory is hostile input: nothing here panics or works without bound on any
//! bytes.
//!
//! # Features
//!
//! `cli` (default) is for the program alone: leave it out with `default-features =
//! false`. `parquet` (default) adds a format to it. Running processes and `diverge`
//! need Linux; all else is plain Rust.

pub mod addr;
pub mod advice;
#[doc(hidden)]
pub mod bits;
pub mod changes;
#[doc(hidden)]
pub mod container;
pub mod debuginfo;
#[cfg(target_os = "linux")]
pub mod diverge;
pub mod guest;
pub mod host;
pub mod image;
#[doc(hidden)]
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
#[cfg(target_os = "linux")]
pub mod write;

pub use addr::{Gpa, GuestAddress, Gva, Hva};
pub use advice::{Advice, Explain, Face, Setting};
pub use guest::{Guest, GuestReadError, Missing, Place};
pub use memory::{Memory, ReadCause, ReadError};
pub use mmu::{
    Access, AccessKind, Fault, FaultKind, Mmu, Privilege, Query, Rights, Step, Translation, Walk,
    WalkError,
};
pub use region::RegionMap;
pub use regs::{Arch, Cpu, Register};
pub use replay::{EventLog, Log};
pub use source::{
    Asked, Attached, ImageFile, Opened, RegionText, Remark, Source, SourceError, Which, attach,
    open,
};

/// The example in README.md compiles.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;
