//! Rows as lines of text, for people: the command line's and gdb's.

use std::fmt::{self, Display, Formatter};

use super::{
    AliasRow, CpuRow, FindRow, RamRow, RightsRow, RwxRow, StepRow, V2pRow, WherePlace, WhereRow,
};
use crate::regs::Arch;

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

/// The answer in a line; an error of ours is said as "unknown".
impl Display for V2pRow {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let gva = self.gva;
        if let Some(fault) = &self.fault {
            return match (fault.status, self.arch) {
                (None, _) => write!(f, "{gva} -> not mapped: {}", fault.text),
                (Some(code), Some(Arch::I386 | Arch::X86_64)) => {
                    write!(f, "{gva} -> #PF, error code {code:#x}: {}", fault.text)
                }
                (Some(code), _) => write!(f, "{gva} -> fault, status {code:#x}: {}", fault.text),
            };
        }
        let (Some(gpa), Some(page), Some(rights)) = (self.gpa, self.page_size, self.rights) else {
            return write!(f, "{gva} -> unknown");
        };
        write!(f, "{gva} -> {gpa}  {}  {rights}", size(page))?;
        if let (Some(region), Some(offset)) = (&self.region, self.offset) {
            write!(f, "  {region}+{offset:#x}")?;
        }
        self.host.map_or(Ok(()), |host| write!(f, "  host {host}"))
    }
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
        let (Some(gva), Some(page), Some(rights)) = (self.gva, self.page_size, self.rights) else {
            return write!(f, "{} -> not mapped", self.gpa);
        };
        write!(f, "{} -> {gva}  {}  {rights}", self.gpa, size(page))?;
        match self.count {
            0 | 1 => Ok(()),
            count => write!(f, "  {count} times, every {:#x}", self.stride),
        }
    }
}

impl Display for FindRow {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Some(region) = &self.region else { return write!(f, "{} -> no region", self.gpa) };
        let hex =
            |value: Option<u64>| value.map_or("unknown".into(), |value| format!("{value:#x}"));
        let yes = |value: Option<bool>| if value == Some(true) { "yes" } else { "no" };
        write!(
            f,
            "{} -> {region}  offset_within_region {}  offset_within_address_space {}  size {:#x}  readonly {}  nonvolatile {}",
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
        let privilege = if self.user_mode { "user" } else { "kernel" };
        let space = self.address_space.as_deref().unwrap_or("unknown");
        let world = self.world.map_or(String::new(), |world| format!("  {world}"));
        let registers: Vec<_> =
            self.registers.iter().map(|(name, value)| format!("{name}={value:#x}")).collect();
        write!(
            f,
            "CPU {cpu}  {arch}  {mode}  {privilege}  {state}  pc {pc:#x}  thread {thread}  {accelerator}  address space {space}{world}\n  {}",
            registers.join(" ")
        )
    }
}

impl Display for RamRow {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let host = self.host.map_or("unknown".into(), |host| host.to_string());
        write!(f, "{}  host {host}  {}", self.name, size(self.used_length))?;
        if self.max_length != self.used_length {
            write!(f, " of at most {}", size(self.max_length))?;
        }
        match (self.resident, self.in_core) {
            (_, Some(0)) => f.write_str("  not in the core")?,
            (_, Some(bytes)) => write!(f, "  {} in the core", size(bytes))?,
            (Some(bytes), None) => write!(f, "  resident {}", size(bytes))?,
            (None, None) => f.write_str("  resident unknown")?,
        }
        let backing = match self.backing.as_deref() {
            None => "unknown",
            Some("") => "anonymous memory",
            Some(name) => name,
        };
        write!(f, "  ram_addr {:#x}  pages of {}  {backing}", self.offset, size(self.page_size))
    }
}

/// The RAM block, or what else the emulator has there.
impl Display for WhereRow {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let hva = self.hva;
        if let (Some(block), Some(offset)) = (&self.ram_block, self.offset_in_block) {
            return write!(f, "{hva} -> RAM block {block}+{offset:#x}");
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
        write!(f, "  {}  {}+{:#x}", self.gpa, self.region, self.offset)?;
        for alias in self.gvas.iter().flatten() {
            let gva = alias.gva.map_or("unknown".into(), |gva| gva.to_string());
            let page = alias.page_size.map_or(String::new(), |bytes| format!("  {}", size(bytes)));
            write!(f, "\n    {gva}{page}")?;
            if alias.count > 1 {
                write!(f, "  {} times, every {:#x}", alias.count, alias.stride)?;
            }
        }
        Ok(())
    }
}
