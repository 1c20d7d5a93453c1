//! What `rr-mem diverge` reports, as JSON and as text.

use std::fmt::{self, Display, Formatter};

use rr_mem::{addr::Gpa, diverge::Differences, report::AliasRow};
use serde::Serialize;

/// All that was found.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    pub found: bool,
    /// The first instruction count at which they differ.
    pub instr: Option<u64>,
    pub last_equal_instr: Option<u64>,
    /// The CPU that ran the instruction between the two.
    pub cpu: Option<u64>,
    /// Its linear address.
    pub guest_pc: Option<String>,
    pub symbol: Option<String>,
    pub registers: Vec<RegisterRow>,
    pub bytes: Vec<BytesRow>,
    /// How many bytes differ in all, and in how many pages.
    pub bytes_differing: u64,
    pub pages_differing: u64,
    pub writer: Option<WriterRow>,
    /// The entries of the logs around `instr`.
    pub log_entries: LogEntries,
    /// Where the logs differ first.
    pub log_difference: Option<LogDifference>,
    /// At how many points they were compared.
    pub probes: usize,
    pub from: u64,
    pub to: u64,
    /// Pages that could not be read at the worst point.
    pub unread_pages: usize,
    /// Who ended before its time, and why.
    pub ended: Option<String>,
    /// What did not go as it should, though the answers stand.
    pub remarks: Vec<String>,
}

/// A register that differs.
#[derive(Debug, Serialize)]
pub struct RegisterRow {
    pub cpu: u64,
    pub register: String,
    pub a: Option<String>,
    pub b: Option<String>,
}

/// Neighbouring bytes that differ.
#[derive(Debug, Serialize)]
pub struct BytesRow {
    pub gpa: Gpa,
    pub region: Option<String>,
    pub offset: Option<String>,
    /// Virtual addresses that map the first of them, of the CPU that ran.
    pub gvas: Vec<AliasRow>,
    pub a: String,
    pub b: String,
}

/// The first write that differs.
#[derive(Debug, Serialize)]
pub struct WriterRow {
    pub instr: u64,
    pub last_equal_instr: u64,
    pub cpu: Option<u64>,
    pub guest_pc: Option<String>,
    pub symbol: Option<String>,
    pub bytes: Vec<BytesRow>,
    /// Whether a second run came to the same.
    pub confirmed: bool,
    /// The emulator's code, where the backend knows it.
    pub host_a: Vec<String>,
    pub host_b: Vec<String>,
}

/// Entries of both logs.
#[derive(Debug, Default, Serialize)]
pub struct LogEntries {
    pub a: Vec<String>,
    pub b: Vec<String>,
}

/// Where two logs differ first.
#[derive(Clone, Debug, Serialize)]
pub struct LogDifference {
    pub instr: u64,
    pub a: Option<String>,
    pub b: Option<String>,
}

/// Bytes that a line shows.
const SHOWN: usize = 16;
/// Lines of one kind.
const LINES: usize = 16;

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if let Some(instr) = self.instr {
            self.parting(instr, f)?;
        }
        if let Some(LogDifference { instr, a, b }) = &self.log_difference {
            let entry = |side: &Option<String>| {
                side.clone().unwrap_or_else(|| "(the end of the log)".to_owned())
            };
            writeln!(f, "first difference of the logs, at instruction {instr}:")?;
            writeln!(f, "A {}\nB {}", entry(a), entry(b))?;
        }
        for (side, entries) in [("A", &self.log_entries.a), ("B", &self.log_entries.b)] {
            if !entries.is_empty() {
                writeln!(f, "log of {side} there:")?;
            }
            entries.iter().try_for_each(|entry| writeln!(f, "  {entry}"))?;
        }
        if let Some(ended) = &self.ended {
            writeln!(f, "{ended}")?;
        }
        let Self { from, to, probes, .. } = self;
        let verdict = if self.found { "compared" } else { "no difference" };
        write!(f, "{verdict} at {probes} points from instruction {from} to {to}")
    }
}

impl Report {
    fn parting(&self, instr: u64, f: &mut Formatter<'_>) -> fmt::Result {
        match self.last_equal_instr {
            Some(equal) if instr - equal == 1 => {
                writeln!(f, "they part at instruction {instr}: equal before it, different behind")?;
            }
            Some(equal) => {
                writeln!(f, "they part between instruction {equal} and {instr}")?;
            }
            None => writeln!(f, "they differ at instruction {instr}, the first compared")?,
        }
        if let Some(place) = place(self.cpu, self.guest_pc.as_ref(), self.symbol.as_ref()) {
            writeln!(f, "executed there: {place}")?;
        }
        for row in self.registers.iter().take(LINES) {
            let of = |side: &Option<String>| side.clone().unwrap_or_else(|| "-".to_owned());
            let RegisterRow { cpu, register, a, b } = row;
            writeln!(f, "  CPU {cpu}  {register:<8} {} | {}", of(a), of(b))?;
        }
        more(self.registers.len(), f)?;
        bytes(&self.bytes, f)?;
        if self.bytes_differing > 0 {
            let Self { bytes_differing, pages_differing, .. } = self;
            writeln!(f, "{bytes_differing} bytes differ in {pages_differing} pages")?;
        }
        self.writer.iter().try_for_each(|writer| writer.fmt(f))
    }
}

impl Display for WriterRow {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let place = place(self.cpu, self.guest_pc.as_ref(), self.symbol.as_ref());
        let confirmed = if self.confirmed { ", confirmed by a second run" } else { "" };
        write!(f, "first write that differs: at instruction {}", self.instr)?;
        writeln!(f, "{}{confirmed}", place.map_or(String::new(), |place| format!(", {place}")))?;
        bytes(&self.bytes, f)?;
        for (side, frames) in [("A", &self.host_a), ("B", &self.host_b)] {
            if !frames.is_empty() {
                writeln!(f, "the emulator's code in {side}:")?;
            }
            frames.iter().try_for_each(|frame| writeln!(f, "  {frame}"))?;
        }
        Ok(())
    }
}

fn place(cpu: Option<u64>, pc: Option<&String>, symbol: Option<&String>) -> Option<String> {
    let pc = pc?;
    let cpu = cpu.map_or(String::new(), |cpu| format!("CPU {cpu}  "));
    let symbol = symbol.map_or(String::new(), |symbol| format!("  {symbol}"));
    Some(format!("{cpu}{pc}{symbol}"))
}

fn bytes(rows: &[BytesRow], f: &mut Formatter<'_>) -> fmt::Result {
    for row in rows.iter().take(LINES) {
        let place = match (&row.region, &row.offset) {
            (Some(region), Some(offset)) => format!("  {region}+{offset}"),
            _ => String::new(),
        };
        write!(f, "  {}{place}  {} | {}", row.gpa, cut(&row.a), cut(&row.b))?;
        let gvas: Vec<_> = row.gvas.iter().filter_map(|alias| alias.gva).collect();
        for gva in &gvas {
            write!(f, "  {gva}")?;
        }
        writeln!(f)?;
    }
    more(rows.len(), f)
}

fn more(rows: usize, f: &mut Formatter<'_>) -> fmt::Result {
    if rows > LINES { writeln!(f, "  and {} more", rows - LINES) } else { Ok(()) }
}

fn cut(digits: &str) -> String {
    match digits.get(..2 * SHOWN) {
        Some(start) if digits.len() > start.len() => format!("{start}.."),
        _ => digits.to_owned(),
    }
}

/// Every register that differs.
pub fn registers(differences: &Differences) -> Vec<RegisterRow> {
    let rows = differences.registers.iter().map(|found| RegisterRow {
        cpu: found.cpu,
        register: found.register.clone(),
        a: found.a.as_deref().map(|bytes| format!("0x{}", hex(bytes))),
        b: found.b.as_deref().map(|bytes| format!("0x{}", hex(bytes))),
    });
    rows.collect()
}

/// Two digits a byte.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
