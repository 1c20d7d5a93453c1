//! Rows as lines of text, for people: the command line's and gdb's.

use std::fmt::{self, Display, Formatter};

use super::{
    AliasRow, ConvertRow, CpuRow, ErrorRow, FaultRow, FindRow, FlatRangeRow, HitRow, IfAsked,
    MappingRow, PieceRow, PsRow, RamRow, RegionRow, RegsRow, RightsRow, RootRow, RwxRow, SliceRow,
    StepRow, V2pRow, WherePlace, WhereRow, WrittenRow, XRow,
};
use crate::{addr::Hex, mmu::FaultKind, regs::Arch};

/// `4K`, `2M`, `1G`; other sizes in hex.
#[must_use]
pub fn size(bytes: u64) -> String {
    const UNITS: [(u64, &str); 4] =
        [(1 << 40, "T"), (1 << 30, "G"), (1 << 20, "M"), (1 << 10, "K")];
    match UNITS.iter().find(|(unit, _)| bytes >= *unit && bytes.is_multiple_of(*unit)) {
        Some((unit, letter)) => format!("{}{letter}", bytes / unit),
        None => format!("{bytes:#x}"),
    }
}

impl Display for RwxRow {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { r, w, x } = *self;
        for (set, letter) in [(r, "r"), (w, "w"), (x, "x")] {
            f.write_str(if set { letter } else { "-" })?;
        }
        Ok(())
    }
}

impl Display for RightsRow {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "kernel {} user {}", self.kernel, self.user)
    }
}

impl Display for FaultRow {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence)
    }
}

impl Display for ErrorRow {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence)
    }
}

/// The answer in a line; an error of ours is said as "unknown".
impl Display for V2pRow {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} -> ", self.gva)?;
        match &self.fault {
            Some(fault) => self.faulted(fault, f),
            None => self.found(f),
        }?;
        named(&self.symbol, "  ", f)
    }
}

impl V2pRow {
    fn faulted(&self, fault: &FaultRow, f: &mut Formatter<'_>) -> fmt::Result {
        match (fault.status, self.arch) {
            (None, _) if fault.kind == FaultKind::Separation.name() => write!(f, "#GP: {fault}"),
            (None, _) => write!(f, "not mapped: {fault}"),
            (Some(code), Some(Arch::I386 | Arch::X86_64)) => {
                write!(f, "#PF, error code {code}: {fault}")
            }
            (Some(code), _) => write!(f, "fault, status {code}: {fault}"),
        }
    }

    fn found(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (Some(gpa), Some(page)) = (self.gpa, self.page_size) else {
            return f.write_str("unknown");
        };
        write!(f, "{gpa}  {}  {}", size(page), worded(self.rights))?;
        if self.encrypted.0 == Some(true) {
            f.write_str("  encrypted")?;
        }
        if let (Some(region), Some(offset)) = (&self.region, self.offset) {
            write!(f, "  {region}+{offset}")?;
        }
        self.host.map_or(Ok(()), |host| write!(f, "  host {host}"))
    }
}

/// Rights, or that nobody knows them.
pub(super) fn worded(rights: Option<RightsRow>) -> String {
    rights.map_or_else(|| "rights unknown".to_owned(), |rights| rights.to_string())
}

/// The name of an address, where it was asked for.
fn named(symbol: &IfAsked<String>, gap: &str, f: &mut Formatter<'_>) -> fmt::Result {
    symbol.0.as_ref().map_or(Ok(()), |name| write!(f, "{gap}<{name}>"))
}

/// In the manner of crash's vtop: entry address => raw value.
impl Display for StepRow {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { level, index, at, entry, .. } = self;
        write!(f, "{level:>13}: {at:x}")?;
        if let Some(host) = self.host {
            write!(f, " (host {host})")?;
        }
        write!(f, " => {entry:x}  [{index}]  ({})", self.flags.join("|"))
    }
}

impl Display for AliasRow {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (Some(gva), Some(page)) = (self.gva, self.page_size) else {
            return write!(f, "{} -> not mapped", self.gpa);
        };
        write!(f, "{} -> {gva}  {}  {}", self.gpa, size(page), worded(self.rights))?;
        match self.count {
            0 | 1 => Ok(()),
            count => write!(f, "  {count} times, every {}", self.stride),
        }
    }
}

impl Display for FindRow {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Some(region) = &self.region else { return write!(f, "{} -> no region", self.gpa) };
        let hex =
            |value: Option<Hex<u64>>| value.map_or("unknown".into(), |value| value.to_string());
        let yes = |value: Option<bool>| if value == Some(true) { "yes" } else { "no" };
        write!(
            f,
            "{} -> {region}  offset_within_region {}  offset_within_address_space {}  size {}  readonly {}  nonvolatile {}",
            self.gpa,
            hex(self.offset_within_region),
            hex(self.offset_within_address_space),
            self.size.unwrap_or_default(),
            yes(self.readonly),
            yes(self.nonvolatile),
        )?;
        self.host.map_or(Ok(()), |host| write!(f, "  host {host}"))
    }
}

/// Two lines: the CPU, and its paging registers.
impl Display for CpuRow {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { cpu, arch, mode, accelerator, thread, pc, .. } = self;
        let state = match (self.stopped, self.halted) {
            (true, _) => "stopped",
            (false, true) => "halted",
            (false, false) => "running",
        };
        let privilege = match self.user_mode {
            Some(true) => "user",
            Some(false) => "kernel",
            None => "unknown privilege",
        };
        let mode = mode.unwrap_or("unknown mode");
        let pc = pc.map_or_else(|| "unknown".to_owned(), |pc| pc.to_string());
        let space = self.address_space.as_deref().unwrap_or("unknown");
        let world = self.world.map_or(String::new(), |world| format!("  {world}"));
        let registers: Vec<_> =
            self.registers.iter().map(|(name, value)| format!("{name}={value}")).collect();
        write!(
            f,
            "CPU {cpu}  {arch}  {mode}  {privilege}  {state}  pc {pc}  thread {thread}  {accelerator}  address space {space}{world}",
        )?;
        if registers.is_empty() { Ok(()) } else { write!(f, "\n  {}", registers.join(" ")) }
    }
}

impl Display for RamRow {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let host = self.host.map_or("unknown".into(), |host| host.to_string());
        write!(f, "{}  host {host}  {}", self.name, size(self.used_length.0))?;
        if self.max_length != self.used_length {
            write!(f, " of at most {}", size(self.max_length.0))?;
        }
        match (self.resident, self.in_core) {
            (_, Some(Hex(0))) => f.write_str("  not in the core")?,
            (_, Some(Hex(bytes))) => write!(f, "  {} in the core", size(bytes))?,
            (Some(Hex(bytes)), None) => write!(f, "  resident {}", size(bytes))?,
            (None, None) => f.write_str("  resident unknown")?,
        }
        let backing = match self.backing.as_deref() {
            None => "unknown",
            Some("") => "anonymous memory",
            Some(name) => name,
        };
        write!(f, "  ram_addr {}  pages of {}  {backing}", self.offset, size(self.page_size))
    }
}

/// The RAM block, or what else the emulator has there.
impl Display for WhereRow {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let hva = self.hva;
        if let (Some(block), Some(offset)) = (&self.ram_block, self.offset_in_block) {
            return write!(f, "{hva} -> RAM block {block}+{offset}");
        }
        match self.area.as_deref() {
            None if self.mapped == Some(false) => write!(f, "{hva} -> not mapped in the emulator"),
            None if self.mapped.is_none() => write!(f, "{hva} -> not in the core, no guest RAM"),
            None => write!(f, "{hva} -> memory of the emulator, no guest RAM"),
            Some("") => write!(f, "{hva} -> anonymous memory of the emulator, no guest RAM"),
            Some(name) => write!(f, "{hva} -> {name}, no guest RAM"),
        }
    }
}

/// A line for the place, one for each virtual address.
impl Display for WherePlace {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "  {}  {}+{}", self.gpa, self.region, self.offset)?;
        for alias in self.gvas.iter().flatten() {
            let gva = alias.gva.map_or("unknown".into(), |gva| gva.to_string());
            let page = alias.page_size.map_or(String::new(), |bytes| format!("  {}", size(bytes)));
            write!(f, "\n    {gva}{page}")?;
            if alias.count > 1 {
                write!(f, "  {} times, every {}", alias.count, alias.stride)?;
            }
        }
        Ok(())
    }
}

impl Display for MappingRow {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.painted("", "").fmt(f)
    }
}

impl MappingRow {
    /// The line with `before` and `after` around the rights, for colours.
    pub fn painted<T: Display>(&self, before: T, after: T) -> Painted<'_, T> {
        Painted { row: self, before, after }
    }
}

/// See [`MappingRow::painted`].
#[derive(Debug)]
pub struct Painted<'a, T> {
    row: &'a MappingRow,
    before: T,
    after: T,
}

impl<T: Display> Display for Painted<'_, T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { row, before, after } = self;
        let MappingRow { gva, last, length: Hex(length), rights, page_size, .. } = row;
        let length = u64::try_from(*length).map_or_else(|_| format!("{length:#x}"), size);
        write!(f, "{gva:#018x}-{last:#018x}  {length:>6}  {before}{}{after}", worded(*rights))?;
        write!(f, "  {:>3}  ", size(*page_size))?;
        row.gpa.map_or(Ok(()), |gpa| write!(f, "-> {gpa}"))?;
        row.every.map_or(Ok(()), |unit| write!(f, " every {unit}"))
    }
}

impl Display for RootRow {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { root, register, mode, kernel_pages, user_pages, shared_by, .. } = self;
        write!(f, "{register} {root}  {mode}")?;
        self.tcr.map_or(Ok(()), |tcr| write!(f, " with tcr {tcr}"))?;
        write!(f, "  kernel pages {kernel_pages}  user pages {user_pages}")?;
        write!(f, "  same kernel half in {shared_by} tables")?;
        self.pair.map_or(Ok(()), |pair| write!(f, "  KPTI pair with {pair}"))
    }
}

/// Two lines, as for a [`CpuRow`].
impl Display for RegsRow {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { cpu, arch, mode, registers } = self;
        write!(f, "CPU {cpu}  {arch}  {}\n ", mode.unwrap_or("unknown mode"))?;
        registers.iter().try_for_each(|(name, value)| match value {
            Some(value) => write!(f, " {name}={value}"),
            None => write!(f, " {name}=unknown"),
        })
    }
}

impl Display for FlatRangeRow {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { gpa, size, region, offset, kind } = self;
        let last = Hex(u128::from(gpa.0).wrapping_add(size.0).wrapping_sub(1));
        write!(f, "{gpa:#018x}-{last:#018x}  {kind}: {region}+{offset}")
    }
}

impl Display for RegionRow {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { addr, size, kind, .. } = self;
        let name = self.name.as_deref().unwrap_or("(null)");
        write!(f, "{addr:#018x}  {size} bytes  {kind}: {name}")
    }
}

impl Display for PieceRow {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { address, gpa, host, length } = self;
        write!(f, "{address}  gpa {gpa}  host {host}  {length} bytes")
    }
}

impl Display for XRow {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.addr)?;
        named(&self.symbol, " ", f)?;
        write!(f, ":\t{}", self.values.join("\t"))
    }
}

impl Display for WrittenRow {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}  host {}  {} bytes written", self.gpa, self.host, self.bytes)
    }
}

impl Display for PsRow {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { pid, binary, .. } = self;
        let machine = self.machine.as_deref().unwrap_or("default machine");
        write!(f, "{pid}  {binary}  {machine}  ")?;
        match (&self.error, self.ram, self.cpus) {
            (None, Some(Hex(ram)), Some(cpus)) => {
                let mode = self.mode.or(self.arch).unwrap_or("no CPU");
                write!(f, "RAM {}  CPUs {cpus}  {mode}", size(ram))
            }
            (error, ..) => f.write_str(error.as_deref().unwrap_or("unknown")),
        }
    }
}

impl Display for HitRow {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { gva, gpa, count, stride } = self;
        let gpa = gpa.map_or("unknown".into(), |gpa| gpa.to_string());
        write!(f, "{gva} -> {gpa}")?;
        if *count > 1 { write!(f, "  {count} times, every {stride}") } else { Ok(()) }
    }
}

impl Display for SliceRow {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { table_pages, data_pages, cpus, file_bytes: Hex(file_bytes) } = self;
        write!(
            f,
            "{table_pages} pages of tables, {data_pages} of data, {cpus} CPUs: {file_bytes} bytes"
        )
    }
}

impl Display for ConvertRow {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { ranges, bytes, absent_pages, file_bytes: Hex(file_bytes) } = self;
        write!(
            f,
            "{ranges} ranges, {bytes} bytes of memory, {absent_pages} pages absent: {file_bytes} bytes"
        )
    }
}
