//! Words of `rr-mem log`.

use std::{ops::RangeInclusive, path::PathBuf};

use clap::{Args, Subcommand};

use crate::number::{number, range};

const FORMATS: &str = "\
A log is NAME-rr-nondet.log or NAME.rr2 of PANDA, or the rrfile of QEMU's
`-icount ...,rr=record`; it is known by its contents, with zstd or gzip around it too.
- reads standard input. A log that was cut, killed or damaged gives every whole entry, then an
error that says where, and exit code 3.";

/// Read record/replay logs of PANDA and QEMU: print, question, compare
#[derive(Debug, Args)]
#[command(after_help = FORMATS)]
pub struct Log {
    #[command(subcommand)]
    pub command: LogCommand,
}

#[derive(Debug, Subcommand)]
pub enum LogCommand {
    Print(Print),
    Stat(Stat),
}

/// A log
#[derive(Debug, Args)]
pub struct LogFile {
    /// The log; - is standard input
    #[arg(value_name = "LOG")]
    pub log: PathBuf,
}

/// Names may be written as the format writes them, or small and with dashes
#[derive(Debug, Args)]
#[command(next_help_heading = "Filters")]
pub struct Filters {
    /// From this instruction count on
    #[arg(long, value_name = "INSTR", value_parser = number)]
    pub from: Option<u64>,
    /// Up to this instruction count
    #[arg(long, value_name = "INSTR", value_parser = number)]
    pub to: Option<u64>,
    /// Only entries of this kind, such as input-8, skipped-call, async; repeat for more
    #[arg(long, value_name = "KIND", value_delimiter = ',')]
    pub kind: Vec<String>,
    /// Only entries from this callsite, such as rdtsc, main-loop-wait
    #[arg(long, value_name = "SITE", value_delimiter = ',')]
    pub callsite: Vec<String>,
    /// Only this call, clock, checkpoint or cause, such as cpu-mem-rw, net, clock-virtual
    #[arg(long, value_name = "CALL", value_delimiter = ',')]
    pub call: Vec<String>,
    /// Only entries with this value
    #[arg(long, value_name = "VALUE|A-B", value_parser = range)]
    pub value: Vec<RangeInclusive<u64>>,
    /// Only entries about an address in this range
    #[arg(long, value_name = "A-B|A+LEN", value_parser = range)]
    pub addr: Vec<RangeInclusive<u64>>,
}

/// Print the entries of a log
///
/// One line an entry: index, instruction count, kind or call, callsite, and everything that the
/// log says; the first bytes of data. --compat prints what PANDA's rr_print prints, byte for byte.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  rr-mem log print --compat NAME-rr-nondet.log
  rr-mem log print --from 20000 --to 30000 --kind skipped-call --call cpu-mem-rw NAME.rr2
  rr-mem log print --addr 0x1f5000+0x1000 --hex NAME-rr-nondet.log
  zstd -dc NAME-rr-nondet.log.zst | rr-mem log print --tail 20 -")]
pub struct Print {
    #[command(flatten)]
    pub file: LogFile,
    /// As rr_print does
    #[arg(long, conflicts_with_all = ["json", "hex", "ascii"])]
    pub compat: bool,
    /// All data in hex
    #[arg(long)]
    pub hex: bool,
    /// All data as text
    #[arg(long)]
    pub ascii: bool,
    /// Only the last N of the entries
    #[arg(long, value_name = "N")]
    pub tail: Option<usize>,
    #[command(flatten)]
    pub filters: Filters,
}

/// Count the entries of a log: by kind, call and callsite, over time, the largest
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  rr-mem log stat NAME.rr2")]
pub struct Stat {
    #[command(flatten)]
    pub file: LogFile,
    #[command(flatten)]
    pub filters: Filters,
}
