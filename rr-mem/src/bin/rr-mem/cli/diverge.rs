//! Words of `rr-mem diverge`.

use std::{ops::RangeInclusive, path::PathBuf};

use clap::{Args, Subcommand};

use crate::number::{number, range};

/// Find the first guest instruction after which two executions differ, and what wrote the difference
#[derive(Debug, Args)]
pub struct Diverge {
    #[command(subcommand)]
    pub command: DivergeCommand,
}

#[derive(Debug, Subcommand)]
pub enum DivergeCommand {
    Qemu(Box<Qemu>),
    Rr(Box<Rr>),
}

/// Two replays by QEMU's own record/replay (-icount ...,rr=record)
#[derive(Debug, Args)]
#[command(after_help = "\
Behind -- stands the whole command line that the log was recorded with, run from the same folder.
rr, rrfile, monitors and display are replaced; serial lines go to private sockets; images that the
guest writes are copied (into TMPDIR). With -icount ...,rrsnapshot=NAME, and the image that holds
the snapshot, going back is cheap; without, the emulator is started anew.

Compared are the registers of every CPU and all RAM that the guest can write, at 16 points and then
by bisection: what differs for a while only, and heals, is found with --exhaustive alone. Two
builds are comparable if both replay the log, which is bound to its release of QEMU; with a
versioned machine type, such as -M pc-i440fx-7.2.

Exit code: 0 no difference at the points up to the end, 1 they part, 2 usage, 3 failed.

Examples:
  rr-mem diverge qemu --log a.bin --log b.bin -- qemu-system-x86_64 -M pc -icount shift=7,rr=record,rrfile=a.bin ...
  rr-mem diverge qemu --log a.bin --check -- qemu-system-x86_64 -M pc -icount shift=7,rr=record,rrfile=a.bin ...
  rr-mem diverge qemu --log a.bin --with ./qemu-old --with ./qemu-new -- qemu-system-x86_64 -M pc-i440fx-7.2 ...")]
pub struct Qemu {
    /// The log to replay; a second one for the second execution
    #[arg(long, required = true, value_name = "FILE")]
    pub log: Vec<PathBuf>,
    /// The emulator, instead of the first word behind --; a second one for the second execution
    #[arg(long, value_name = "PROGRAM")]
    pub with: Vec<String>,
    /// Compare the replay with itself: is it deterministic?
    #[arg(long)]
    pub check: bool,
    #[command(flatten)]
    pub search: Search,
    /// The command line of the recording
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub command: Vec<String>,
}

/// Two traces that rr made of PANDA or QEMU
#[derive(Debug, Args)]
#[command(after_help = "\
Such as one of the emulator while it recorded the guest, and one while it replayed the recording.
Anything that rr replays will do: no debug build, no symbols but those that a distribution's QEMU
exports. QEMU must count instructions (-icount, which its record/replay needs anyhow); PANDA does.

Compared are the general and paging registers of every CPU and all RAM that the guest can write, at
the beginnings of translated blocks of QEMU, and at any instruction of PANDA (where registers are
those that the block has stored so far): at some 16 points and then by bisection. What differs for a
while only, and heals, is found with --exhaustive alone. Every trace is replayed to its end once
before.
The first write that differs is found by watchpoints, writes by the host's kernel included, with the
emulator's own code that did it.

Exit code: 0 no difference at the points up to the end, 1 they part, 2 usage, 3 failed.

Examples:
  rr record -o record panda-system-x86_64 ...; rr record -o replay panda-system-x86_64 -replay name ...
  rr-mem diverge rr record replay
  rr-mem diverge rr record replay --log name-rr-nondet.log --guest-symbols vmlinux
  rr-mem diverge rr a b --rr 'rr.soft -W' --log a.bin --log b.bin")]
pub struct Rr {
    /// The folder of the first trace
    pub record_trace: PathBuf,
    /// The folder of the second
    pub replay_trace: PathBuf,
    /// The log that both replay, or a second one for the second trace
    #[arg(long, value_name = "FILE")]
    pub log: Vec<PathBuf>,
    /// rr, with options of its own
    #[arg(long, value_name = "COMMAND", default_value = "rr")]
    pub rr: String,
    #[command(flatten)]
    pub search: Search,
}

/// How to search
#[derive(Debug, Args)]
pub struct Search {
    /// Compare from this instruction count on
    #[arg(long, value_name = "INSTR", value_parser = number)]
    pub from: Option<u64>,
    /// Compare up to this instruction count
    #[arg(long, value_name = "INSTR", value_parser = number)]
    pub to: Option<u64>,
    /// Compare at every so many instructions
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub exhaustive: Option<u64>,
    /// Physical addresses that may differ
    #[arg(long, value_parser = range, value_name = "ADDR|A-B|A+LEN")]
    pub ignore_gpa: Vec<RangeInclusive<u64>>,
    /// A memory region, by its name in `rr-mem mtree`, that may differ
    #[arg(long, value_name = "NAME")]
    pub ignore_region: Vec<String>,
    /// A register that may differ, such as xmm0
    #[arg(long, value_name = "NAME")]
    pub ignore_reg: Vec<String>,
    /// The guest kernel's symbols (ELF with .symtab, or System.map)
    #[arg(long, value_name = "FILE")]
    pub guest_symbols: Option<PathBuf>,
    /// Keep what was compared in this file; default: in the user's cache folder
    #[arg(long, value_name = "FILE")]
    pub state: Option<PathBuf>,
    /// Go on with what an earlier search for the same has compared
    #[arg(long)]
    pub resume: bool,
}
