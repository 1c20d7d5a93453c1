//! Words of `rr-mem log`.

use std::{ops::RangeInclusive, path::PathBuf};

use clap::{ArgGroup, Args, Subcommand};

use super::Source;
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
    Print(Box<Print>),
    Stat(Stat),
    Writes(Box<Writes>),
    Diff(Diff),
    Check(Check),
    Regions(Regions),
    Serial(Serial),
    Disk(Box<Disk>),
    Packets(Packets),
    Hash(Hash),
    Cut(Cut),
    Export(Export),
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
/// log says; the first bytes of data. With a source of regions (--mtree, --pid, ...), the region
/// behind every address. --compat prints what PANDA's rr_print prints, byte for byte.
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
    #[command(flatten)]
    pub source: Source,
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

/// Find which device writes put bytes at a guest address, and when
///
/// Memory that a device wrote (CPU_MEM_RW, CPU_MEM_UNMAP) and transfers into RAM. CPU_MEM_UNMAP
/// logs an offset within a region: a source of regions (--mtree, --pid, ...) gives every place that
/// it can be. Without one it is taken for a guest-physical address, which is right on a PC below
/// the PCI hole, and wrong on ARM.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  rr-mem log writes --gpa 0x1f5000+0x1000 NAME-rr-nondet.log
  rr-mem log writes --gpa 0x6382000 --mtree mtree-f.txt --ascii NAME.rr2")]
pub struct Writes {
    #[command(flatten)]
    pub file: LogFile,
    /// Only writes that touch this range of guest-physical addresses
    #[arg(long, value_name = "A-B|A+LEN", value_parser = range)]
    pub gpa: Option<RangeInclusive<u64>>,
    /// From this instruction count on
    #[arg(long, value_name = "INSTR", value_parser = number)]
    pub from: Option<u64>,
    /// Up to this instruction count
    #[arg(long, value_name = "INSTR", value_parser = number)]
    pub to: Option<u64>,
    /// All data in hex
    #[arg(long)]
    pub hex: bool,
    /// All data as text
    #[arg(long)]
    pub ascii: bool,
    #[command(flatten)]
    pub source: Source,
}

/// Compare two logs: the first entry that differs, and how much else does
///
/// Entries are aligned by instruction count and kind; host pointers and padding never matter.
/// Exit code 1 when they differ.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  rr-mem log diff first-rr-nondet.log second-rr-nondet.log")]
pub struct Diff {
    /// The one log
    #[arg(value_name = "A")]
    pub a: PathBuf,
    /// The other log
    #[arg(value_name = "B")]
    pub b: PathBuf,
}

/// Look for what makes a replay fail; exit code 1 on findings
///
/// No end mark, a header of 0, a first interrupt entry that is missing, counts that go back, RAM
/// that is added; of rr2 archives also their own SHA-1 list.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  rr-mem log check NAME.rr2")]
pub struct Check {
    #[command(flatten)]
    pub file: LogFile,
}

/// List the memory regions that came (+) and went (-), or what that comes to at an instruction
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  rr-mem log regions NAME-rr-nondet.log
  rr-mem log regions --at 5000000 NAME-rr-nondet.log")]
pub struct Regions {
    #[command(flatten)]
    pub file: LogFile,
    /// Up to this instruction count, without those that are again as they were
    #[arg(long, value_name = "INSTR", value_parser = number)]
    pub at: Option<u64>,
}

/// Show what went through serial ports, with instruction counts
///
/// > is what the guest sent, < what it got. QEMU's replay logs hold only what it got.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  rr-mem log serial NAME-rr-nondet.log
  rr-mem log serial --raw NAME-rr-nondet.log > console.txt")]
pub struct Serial {
    #[command(flatten)]
    pub file: LogFile,
    /// Only the bytes that the guest sent, as they are
    #[arg(long, conflicts_with = "json")]
    pub raw: bool,
}

/// List what disks moved; with a source of memory regions, also where to
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  rr-mem log disk NAME-rr-nondet.log")]
pub struct Disk {
    #[command(flatten)]
    pub file: LogFile,
    #[command(flatten)]
    pub source: Source,
}

/// List network packets, or write them as a capture that Wireshark opens
///
/// In the capture one guest instruction is one nanosecond. QEMU's replay logs hold only packets
/// for the guest.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  rr-mem log packets --pcap net.pcap NAME-rr-nondet.log")]
pub struct Packets {
    #[command(flatten)]
    pub file: LogFile,
    /// Write a capture with nanoseconds to this file
    #[arg(long, value_name = "FILE")]
    pub pcap: Option<PathBuf>,
}

/// Print digests, so that two sites can compare logs without exchanging them
///
/// SHA-256 over everything before each multiple of --every instructions; host pointers and padding
/// are left out. The first line that differs brackets the first difference.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  rr-mem log hash --every 1000000 NAME.rr2")]
pub struct Hash {
    #[command(flatten)]
    pub file: LogFile,
    /// Instructions from one digest to the next
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub every: Option<u64>,
}

/// Write a part of a log as a smaller log, for a bug report
///
/// Also of a log that was killed: all of its whole entries, with the end mark and header that it
/// lacks. It can be read, not replayed: there is no snapshot of its start.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  rr-mem log cut --from 20000 --to 30000 -o part-rr-nondet.log NAME-rr-nondet.log")]
pub struct Cut {
    #[command(flatten)]
    pub file: LogFile,
    /// The new log
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
    /// From this instruction count on
    #[arg(long, value_name = "INSTR", value_parser = number)]
    pub from: Option<u64>,
    /// Up to this instruction count
    #[arg(long, value_name = "INSTR", value_parser = number)]
    pub to: Option<u64>,
}

/// Write a log as a table: Parquet, CSV or JSON lines
///
/// Columns: index, instr, kind, callsite, call, address, length, value, payload; what an entry has
/// not is null. In CSV numbers are decimal and the payload is hex; JSON lines are those of
/// `rr-mem log print --json`.
#[derive(Debug, Args)]
#[command(
    group = ArgGroup::new("table").required(true),
    after_help = "\
Examples:
  rr-mem log export --parquet events.parquet NAME-rr-nondet.log
  rr-mem log export --csv - --kind skipped-call NAME.rr2 | column -ts,

In DuckDB:
  SELECT kind, call, count(*), sum(length) FROM 'events.parquet' GROUP BY ALL ORDER BY 3 DESC;
  SELECT instr, hex(payload[1:16]) FROM 'events.parquet' WHERE address BETWEEN 2052096 AND 2056191;
  SELECT instr // 1000000 AS million, count(*) FROM 'events.parquet' WHERE kind = 'INTERRUPT_REQUEST' GROUP BY 1 ORDER BY 1;"
)]
pub struct Export {
    #[command(flatten)]
    pub file: LogFile,
    /// Write Parquet to this file
    #[arg(long, value_name = "FILE", group = "table")]
    pub parquet: Option<PathBuf>,
    /// Write comma-separated values to this file; - is standard output
    #[arg(long, value_name = "FILE", group = "table")]
    pub csv: Option<PathBuf>,
    /// Write JSON lines to this file; - is standard output
    #[arg(long, value_name = "FILE", group = "table")]
    pub jsonl: Option<PathBuf>,
    #[command(flatten)]
    pub filters: Filters,
}
