//! Words of the command line.

pub mod diverge;
pub mod log;
pub mod registers;

use std::{ops::RangeInclusive, path::PathBuf};

use clap::{
    ArgAction, Args, Parser, Subcommand, ValueEnum,
    builder::{PossibleValue, PossibleValuesParser, TypedValueParser},
};
use clap_complete::Shell;
use rr_mem::{
    mmu::{AccessKind, Privilege},
    regs::{Arch, X86Regs},
};

use crate::number::{bytes, number, range};

const EXIT_CODES: &str = "\
Exit codes:
  0  answered
  1  an answer is \"not mapped\" or empty, a read met a hole, or moments or logs differ
  2  wrong usage
  3  a source could not be read

Addresses are hex with 0x, or decimal; ranges are A-B (both included) or A+LENGTH.";

/// From any guest address of an emulator to the byte behind it, and back
#[derive(Debug, Parser)]
#[command(version, after_help = EXIT_CODES, max_term_width = 100)]
pub struct Cli {
    /// Print JSON lines: addresses as "0x..." strings, unknown as null
    #[arg(long, global = true)]
    pub json: bool,
    /// Say more: every step of a walk, what was assumed
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub verbose: u8,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    V2p(V2p),
    P2v(P2v),
    Find(Find),
    X(X),
    Read(Read),
    Write(Write),
    Pt(Pt),
    Roots(Roots),
    Mtree(Mtree),
    Ps(Ps),
    Cpus(Cpus),
    Regs(Regs),
    Ram(Ram),
    Where(Where),
    State(State),
    Slice(Slice),
    Convert(Convert),
    Diff(Diff),
    Diverge(diverge::Diverge),
    Layout(Layout),
    Log(log::Log),
    Completions(Completions),
    /// Print the manual page
    #[command(after_help = "Example:\n  rr-mem man | man -l -")]
    Man,
}

/// Where the guest comes from; none of these: the embedded sample guest
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Source")]
pub struct Source {
    /// Guest memory at rest: raw RAM, an ELF core or kdump, a LiME or Windows dump, the stream that
    /// migrate or PANDA wrote, an rr2 archive, a qcow2 image with snapshots; packed by zstd, lz4 or gzip too
    #[arg(long, value_name = "FILE")]
    pub image: Option<PathBuf>,
    /// The snapshot to take of a qcow2 image that is given with --image
    #[arg(long, value_name = "NAME", requires = "image")]
    pub snapshot: Option<String>,
    /// The machine type that places the RAM blocks of a stream: pc, q35, virt, vexpress-a9,
    /// vexpress-a15, versatilepb or versatileab; default: the stream's own
    #[arg(long, value_name = "NAME", requires = "image")]
    pub machine: Option<String>,
    /// Where raw RAM starts in guest-physical memory
    #[arg(long, value_name = "ADDR", value_parser = number, default_value = "0")]
    pub ram_base: u64,
    /// The memory-region map: the text of the monitor's `info mtree -f`
    #[arg(long, value_name = "FILE")]
    pub mtree: Option<PathBuf>,
    #[command(flatten)]
    pub emulator: Emulator,
    #[command(flatten)]
    pub cpu: Cpu,
}

/// An emulator: a running one, or the core of one
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Source")]
pub struct Emulator {
    /// A running QEMU, read from outside (`rr-mem ps` lists them)
    #[arg(long, value_name = "PID", group = "host", conflicts_with_all = ["image", "mtree"])]
    pub pid: Option<u32>,
    /// The QEMU that serves this monitor's Unix socket; no command is sent to it
    #[arg(long, value_name = "SOCKET", group = "host", conflicts_with_all = ["image", "mtree"])]
    pub qmp: Option<PathBuf>,
    /// The core of a QEMU: of gcore, the kernel or coredumpctl; zstd, lz4 or gzip around it
    #[arg(long, value_name = "FILE", group = "host", conflicts_with_all = ["image", "mtree"])]
    pub core: Option<PathBuf>,
    /// The executable that left the core, or a library of it; default: the files the core names
    #[arg(long, value_name = "FILE", requires = "core")]
    pub exe: Vec<PathBuf>,
    /// Stop the emulator while the command runs; it goes on however the command ends
    #[arg(long, requires = "host", conflicts_with = "core")]
    pub freeze: bool,
    /// See memory through this address space; default: the one the CPU uses now
    #[arg(long = "as", value_name = "NAME", requires = "host")]
    pub address_space: Option<String>,
    /// Struct offsets of this build of QEMU, instead of its debug info or the shipped ones
    #[arg(long, value_name = "FILE", requires = "host", conflicts_with = "debug_file")]
    pub layout: Option<PathBuf>,
    /// Debug info of this build of QEMU, where it is in no usual place
    #[arg(long, value_name = "FILE", requires = "host")]
    pub debug_file: Option<PathBuf>,
}

/// Registers given here win over the file's, one by one
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "CPU")]
pub struct Cpu {
    /// Which CPU of the file, from 0
    #[arg(long = "cpu", value_name = "N", default_value_t = 0)]
    pub number: u64,
    /// The architecture; another than the file's discards the file's registers
    #[arg(long, value_parser = arch_parser())]
    pub arch: Option<Arch>,
    #[command(flatten)]
    pub registers: registers::Registers,
    /// x86: shorthand for CR4.PAE
    #[arg(long)]
    pub pae: bool,
    /// x86: shorthand for CR4.LA57 (5-level paging)
    #[arg(long)]
    pub la57: bool,
}

/// What --pae and --la57 set in CR4.
pub const PAE: u64 = X86Regs::CR4_PAE;
/// See [`PAE`].
pub const LA57: u64 = X86Regs::CR4_LA57;

fn arch_parser() -> impl TypedValueParser<Value = Arch> {
    PossibleValuesParser::new(Arch::ALL.iter().map(|arch| arch.name()))
        .try_map(|name| name.parse::<Arch>())
}

fn access_kind() -> impl TypedValueParser<Value = AccessKind> {
    PossibleValuesParser::new(AccessKind::WORDS.map(|(word, _)| word))
        .try_map(|word| word.parse::<AccessKind>())
}

fn privilege() -> impl TypedValueParser<Value = Privilege> {
    let words = Privilege::WORDS.map(|(word, privilege)| {
        PossibleValue::new(word).help(match privilege {
            Privilege::User => "CPL 3, EL0",
            Privilege::Kernel => "The supervisor, EL1 or the regime's own level",
            Privilege::Current => "That of the CPU's registers",
        })
    });
    PossibleValuesParser::new(words).try_map(|word| word.parse::<Privilege>())
}

/// Translate guest virtual addresses: page, rights, region, host address
///
/// The answer is presence: where the address is mapped, whatever the rights (on x86 what
/// panda_virt_to_phys and the monitor's gva2gpa answer). --access and --priv ask whether the CPU
/// could make this access, and answer with the architectural fault if not.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  rr-mem v2p 0xffffffff81000000
  rr-mem v2p -v --image dump.elf 0xffffffff81000000
  rr-mem v2p --image ram.bin --cr3 0x1c0a000 --access w --priv user 0x7ffe0000
  cut -f1 addresses.txt | rr-mem v2p --json --image dump.elf -")]
pub struct V2p {
    /// Guest virtual addresses; - reads them from standard input, one a line
    #[arg(required = true, value_name = "GVA")]
    pub addresses: Vec<String>,
    /// Ask for the architectural answer to this access
    #[arg(long, value_parser = access_kind())]
    pub access: Option<AccessKind>,
    /// Made with this privilege (alone: a read)
    #[arg(long = "priv", value_parser = privilege())]
    pub privilege: Option<Privilege>,
    #[command(flatten)]
    pub naming: Naming,
    #[command(flatten)]
    pub source: Source,
}

/// Names for the kernel's addresses.
#[derive(Debug, Args)]
pub struct Naming {
    /// Names of the guest's kernel: its vmlinux or System.map
    #[arg(long, value_name = "FILE")]
    pub symbols: Option<PathBuf>,
    /// How far the kernel has moved (KASLR); by default it is looked for
    #[arg(long, value_name = "BYTES", value_parser = number, requires = "symbols")]
    pub symbols_offset: Option<u64>,
}

/// List every virtual address of a physical one, kernel and user, all page sizes
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  rr-mem p2v --image dump.elf 0x1c0a000")]
pub struct P2v {
    /// Guest physical addresses
    #[arg(required = true, value_name = "GPA", value_parser = number)]
    pub addresses: Vec<u64>,
    /// The most aliases to list for one address
    #[arg(long, default_value_t = 100_000, value_name = "N")]
    pub limit: usize,
    #[command(flatten)]
    pub source: Source,
}

/// Find the memory region of a physical address, as memory_region_find does
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  rr-mem find --mtree mtree-f.txt 0xfee00000")]
pub struct Find {
    /// Guest physical addresses
    #[arg(required = true, value_name = "GPA", value_parser = number)]
    pub addresses: Vec<u64>,
    /// Bytes to look at from there on: the first region in them is found
    #[arg(long, default_value = "1", value_parser = number, value_name = "BYTES")]
    pub size: u64,
    #[command(flatten)]
    pub source: Source,
}

/// Show guest memory in the formats of gdb's x command
#[derive(Debug, Args)]
#[command(after_help = "\
Formats: a count, a letter (o octal, x hex, z padded hex, d decimal, u unsigned, t binary,
f float, a address, c char, s string) and a size (b 1, h 2, w 4, g 8 bytes).

Examples:
  rr-mem x -f 4gx --image dump.elf 0xffffffff81c00000
  rr-mem x -f s --phys --image dump.elf 0x1c0a000")]
pub struct X {
    /// The address
    #[arg(value_name = "ADDR", value_parser = number)]
    pub address: u64,
    /// Count, letter, size
    #[arg(short, long, default_value = "wx", value_name = "FMT")]
    pub format: String,
    /// The address is guest physical
    #[arg(long)]
    pub phys: bool,
    #[command(flatten)]
    pub naming: Naming,
    #[command(flatten)]
    pub source: Source,
}

/// Copy guest memory as raw bytes to standard output or a file
///
/// On a hole the readable part is written, then the first unreadable address is named.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  rr-mem read --image dump.elf 0xffffffff81c00000 4096 -o page.bin"
)]
pub struct Read {
    /// The address
    #[arg(value_name = "ADDR", value_parser = number)]
    pub address: u64,
    /// Bytes
    #[arg(value_name = "LEN", value_parser = number)]
    pub len: u64,
    /// Write here instead
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// The address is guest physical
    #[arg(long)]
    pub phys: bool,
    #[command(flatten)]
    pub source: Source,
}

/// Change the guest memory of a running emulator, and read it again
///
/// Every byte is checked first: RAM only, not ROM, not a device, nothing that is not mapped. The
/// guest's own page rights do not count. QEMU is not told: code that TCG has translated stays as
/// it was, and neither a migration nor a screen takes note.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  rr-mem write --write-guest-memory --freeze --pid 4242 0xffff888003a1c000 90909090
  rr-mem write --write-guest-memory --pid 4242 --phys 0x1000 -f page.bin")]
pub struct Write {
    /// The address
    #[arg(value_name = "ADDR", value_parser = number)]
    pub address: u64,
    /// What to write, in hex: the lowest address first
    #[arg(value_name = "BYTES", value_parser = bytes_arg, required_unless_present = "file")]
    pub bytes: Option<Bytes>,
    /// Write the bytes of this file
    #[arg(short, long, value_name = "FILE", conflicts_with = "bytes")]
    pub file: Option<PathBuf>,
    /// The address is guest physical
    #[arg(long)]
    pub phys: bool,
    /// Yes, change the guest
    #[arg(long)]
    pub write_guest_memory: bool,
    #[command(flatten)]
    pub source: Source,
}

/// List the mappings of the address space
///
/// Neighbours with equal rights are one line; --no-merge lists every page.
#[derive(Debug, Args)]
#[command(after_help = "\
Filters, separated by commas (all must hold); repeat --filter for alternatives:
  w writable   x executable   u user     s supervisor only
  ro read-only nx no execute  wx both at once with one privilege
  large any page above the smallest      4k 16k 64k 1m 2m 4m 16m 1g ... that page size

Examples:
  rr-mem pt --image dump.elf --filter w,x
  rr-mem pt --image dump.elf --range 0xffff888000000000-0xffff8880ffffffff --no-merge
  rr-mem pt --image dump.elf --find-string 'Linux version'")]
pub struct Pt {
    /// Only mappings in this range
    #[arg(long, value_parser = range, value_name = "A-B|A+LEN")]
    pub range: Option<RangeInclusive<u64>>,
    /// Only mappings with these properties
    #[arg(long, value_name = "LIST")]
    pub filter: Vec<String>,
    /// Only mappings of this guest physical address
    #[arg(long, value_parser = number, value_name = "GPA")]
    pub has: Option<u64>,
    /// List where this text is mapped
    #[arg(long, value_name = "TEXT", conflicts_with_all = ["find_bytes", "tlb"])]
    pub find_string: Option<String>,
    /// List where these bytes are mapped
    #[arg(long, value_parser = bytes_arg, value_name = "HEX", conflicts_with = "tlb")]
    pub find_bytes: Option<Bytes>,
    /// One line a page
    #[arg(long)]
    pub no_merge: bool,
    /// The lines of the monitor's `info tlb`
    #[arg(long, conflicts_with_all = ["json", "no_merge"])]
    pub tlb: bool,
    #[command(flatten)]
    pub source: Source,
}

/// Bytes to search for.
#[derive(Clone, Debug)]
pub struct Bytes(pub Vec<u8>);

fn bytes_arg(text: &str) -> Result<Bytes, String> {
    bytes(text).map(Bytes)
}

/// Look for page-table bases (CR3, TTBR) in an image without registers
#[derive(Debug, Args)]
#[command(after_help = "\
Best first: tables that map the kernel half and themselves, shared by most processes.

Example:
  rr-mem roots --image ram.bin --arch x86_64")]
pub struct Roots {
    /// The most candidates to list
    #[arg(long, default_value_t = 20, value_name = "N")]
    pub limit: usize,
    #[command(flatten)]
    pub source: Source,
}

/// Show the tree of memory regions, or the flat view that addresses see
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  rr-mem mtree -f")]
pub struct Mtree {
    /// The flat views, as `info mtree -f`
    #[arg(short, long)]
    pub flat: bool,
    /// Disabled regions too, as `info mtree -D`
    #[arg(short = 'D', long, conflicts_with = "flat")]
    pub disabled: bool,
    /// Who made each region, as `info mtree -o` (of a running emulator, or a core)
    #[arg(short, long)]
    pub owner: bool,
    #[command(flatten)]
    pub source: Source,
}

/// List the emulators that run on this machine
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  rr-mem ps")]
pub struct Ps {}

/// Show the CPUs of an emulator: mode, address space, paging registers
#[derive(Debug, Args)]
#[command(after_help = "\
Without --pid and --core: the only emulator that runs.

Examples:
  rr-mem cpus --pid $(pidof qemu-system-x86_64)
  rr-mem cpus --core core.4242 --exe qemu-system-aarch64")]
pub struct Cpus {
    #[command(flatten)]
    pub emulator: EmulatorOnly,
}

/// Show the paging registers of one CPU of any source, by the names of the flags
///
/// What the source does not hold and no flag gives is shown as unknown, never as a usual value.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  rr-mem regs --pid $(pidof qemu-system-x86_64) --cpu 1
  rr-mem regs --json --image dump.elf")]
pub struct Regs {
    #[command(flatten)]
    pub source: Source,
}

/// List the RAM blocks of an emulator and where they are in its memory
#[derive(Debug, Args)]
#[command(after_help = "\
Without --pid and --core: the only emulator that runs.

Example:
  rr-mem ram --pid $(pidof qemu-system-x86_64)")]
pub struct Ram {
    #[command(flatten)]
    pub emulator: EmulatorOnly,
}

/// Find what a pointer of the emulator leads to: RAM block, region, guest addresses
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  rr-mem where --pid 4242 0x7f36e0001000")]
pub struct Where {
    /// Host virtual addresses, in the emulator's process
    #[arg(required = true, value_name = "HVA", value_parser = number)]
    pub addresses: Vec<u64>,
    /// The most guest virtual addresses to list for one address
    #[arg(long, default_value_t = 1000, value_name = "N")]
    pub limit: usize,
    #[command(flatten)]
    pub source: Source,
}

/// Which emulator
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Source")]
pub struct EmulatorOnly {
    /// A running QEMU, read from outside
    #[arg(long, value_name = "PID", group = "host")]
    pub pid: Option<u32>,
    /// The QEMU that serves this monitor's Unix socket; no command is sent to it
    #[arg(long, value_name = "SOCKET", group = "host")]
    pub qmp: Option<PathBuf>,
    /// The core of a QEMU: of gcore, the kernel or coredumpctl; zstd, lz4 or gzip around it
    #[arg(long, value_name = "FILE", group = "host")]
    pub core: Option<PathBuf>,
    /// The executable that left the core, or a library of it; default: the files the core names
    #[arg(long, value_name = "FILE", requires = "core")]
    pub exe: Vec<PathBuf>,
    /// Stop the emulator while the command runs; it goes on however the command ends
    #[arg(long, conflicts_with = "core")]
    pub freeze: bool,
    /// Struct offsets of this build of QEMU, instead of its debug info or the shipped ones
    #[arg(long, value_name = "FILE", conflicts_with = "debug_file")]
    pub layout: Option<PathBuf>,
    /// Debug info of this build of QEMU, where it is in no usual place
    #[arg(long, value_name = "FILE")]
    pub debug_file: Option<PathBuf>,
}

impl From<EmulatorOnly> for Emulator {
    fn from(args: EmulatorOnly) -> Self {
        let EmulatorOnly { pid, qmp, core, exe, freeze, layout, debug_file } = args;
        Self { pid, qmp, core, exe, freeze, address_space: None, layout, debug_file }
    }
}

/// Print the state of the devices in a migration stream, field by field
///
/// The stream names its fields itself: any machine's devices are understood. One line a field: its
/// path, its type, its value. Numbers are hex; of long buffers the first bytes are shown, and all
/// with --json.
#[derive(Debug, Args)]
#[command(after_help = "\
PATH is a device, or a device and the start of a field's path, as printed; a device that there is
more than once has #N behind its name.

Examples:
  rr-mem state NAME-rr-snp
  rr-mem state NAME-rr-snp 'cpu.env.cr[3]'
  rr-mem state --json vm.state i8259#1
  rr-mem state --snapshot before disk.qcow2 cpu")]
pub struct State {
    /// What migrate, savevm or PANDA wrote; an rr2 archive; a qcow2 image
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Only what is here
    #[arg(value_name = "PATH")]
    pub path: Option<String>,
    /// The snapshot to take of a qcow2 image
    #[arg(long, value_name = "NAME")]
    pub snapshot: Option<String>,
}

/// Write the part of a guest that a question stands on: an ELF core of kilobytes
///
/// It holds what is asked for, the registers of every CPU and the region map. --image FILE answers
/// from it as from the source; what is left out is an error, never zeros. Give it with a bug report.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  rr-mem slice --image dump.elf -o slice.elf --gva 0xffffffff81c00000
  rr-mem slice --pid 4242 -o slice.elf --gva 0x400000+0x2000 --gpa 0x1000
  rr-mem slice --image dump.elf -o tables.elf --space --redact")]
pub struct Slice {
    /// The file to write
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
    /// Virtual addresses: their pages, and the tables that lead to them
    #[arg(long, value_parser = range, value_name = "ADDR|A-B|A+LEN")]
    pub gva: Vec<RangeInclusive<u64>>,
    /// Physical addresses: their pages
    #[arg(long, value_parser = range, value_name = "ADDR|A-B|A+LEN")]
    pub gpa: Vec<RangeInclusive<u64>>,
    /// Every table of the address space
    #[arg(long)]
    pub space: bool,
    /// Keep tables only: other bytes become zeros, general registers are left out
    #[arg(long)]
    pub redact: bool,
    #[command(flatten)]
    pub source: Source,
}

/// Write a guest's memory in another format; blocks of zeros become holes of the file
///
/// Pages that the source lacks are counted and left out; raw RAM has no way to leave them out.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  rr-mem convert --image dump.kdump -o dump.elf --to elf
  rr-mem convert --image dump.elf -o ram.bin --to raw --gpa 0x40000000+0x8000000")]
pub struct Convert {
    /// The file to write
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
    /// The format
    #[arg(long, value_name = "FORMAT")]
    pub to: SaveAs,
    /// Only these physical addresses
    #[arg(long, value_parser = range, value_name = "ADDR|A-B|A+LEN")]
    pub gpa: Vec<RangeInclusive<u64>>,
    /// Raw: write zeros for pages that the source lacks
    #[arg(long)]
    pub fill_absent: bool,
    #[command(flatten)]
    pub source: Source,
}

/// Compare two moments of one guest: registers, bytes, what the tables map
///
/// Exit code 0: no difference, 1: there are some, 3: something could not be compared.
#[derive(Debug, Args)]
#[command(after_help = "\
Registers and regions that flags give count for both. Filters are those of `rr-mem pt --help`; a
mapping is listed if it had the properties before, or has them now.

Examples:
  rr-mem diff before.elf after.elf
  rr-mem diff before.elf --pid 4242 --freeze --only memory --gpa 0x1000000+0x1000000
  rr-mem diff before.elf after.elf --only tables --filter w,x")]
pub struct Diff {
    /// The older moment, an image
    #[arg(value_name = "BEFORE")]
    pub before: PathBuf,
    /// The newer moment, an image; or give another source
    #[arg(value_name = "AFTER")]
    pub after: Option<PathBuf>,
    /// Only bytes, or only mappings
    #[arg(long, value_name = "WHAT")]
    pub only: Option<DiffOnly>,
    /// Only bytes of these physical addresses
    #[arg(long, value_parser = range, value_name = "ADDR|A-B|A+LEN")]
    pub gpa: Vec<RangeInclusive<u64>>,
    /// Only mappings in this range
    #[arg(long, value_parser = range, value_name = "A-B|A+LEN")]
    pub range: Option<RangeInclusive<u64>>,
    /// Only mappings with these properties
    #[arg(long, value_name = "LIST")]
    pub filter: Vec<String>,
    /// The most virtual addresses to list for one page
    #[arg(long, default_value_t = 16, value_name = "N")]
    pub limit: usize,
    #[command(flatten)]
    pub source: Source,
}

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DiffOnly {
    /// The bytes of pages
    Memory,
    /// What virtual addresses map
    Tables,
}

/// Formats of guest memory that can be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SaveAs {
    /// Byte 0 is the first byte of the guest's memory
    Raw,
    /// An ELF core, as dump-guest-memory writes it
    Elf,
    /// A LiME dump
    Lime,
}

/// Print where the members of a QEMU's structs are, read from its debug info
///
/// The result is what --layout FILE takes. Debug info is looked for in the file itself, then as
/// gdb does: by build-id under /usr/lib/debug, by .gnu_debuglink beside the file, in .debug and
/// under /usr/lib/debug; what was read is kept in ~/.cache/rr-mem.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  rr-mem layout build/qemu-system-x86_64 > layout.json
  rr-mem layout --debug-file qemu.debug /usr/bin/qemu-system-aarch64
  rr-mem layout --unit target/arm libpanda-arm.so")]
pub struct Layout {
    /// The module that holds QEMU: the executable, or a library such as libpanda-x86_64.so
    #[arg(value_name = "ELF")]
    pub module: PathBuf,
    /// Its debug info, where it is in no usual place: the build-id must be the same
    #[arg(long, value_name = "FILE")]
    pub debug_file: Option<PathBuf>,
    /// Where units differ on a struct, take the definition of the one with NAME in its path
    #[arg(long, value_name = "NAME")]
    pub unit: Option<String>,
}

/// Print a completion script for a shell
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  rr-mem completions bash > /etc/bash_completion.d/rr-mem")]
pub struct Completions {
    pub shell: Shell,
}
