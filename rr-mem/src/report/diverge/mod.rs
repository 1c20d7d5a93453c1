//! Where two executions part, as rows and as text.

mod declared;
mod view;

use std::fmt::{self, Display, Formatter};

use crate::{
    addr::Hex,
    bits::hex_digits,
    diverge::{Differences, Found, LogDifference, Parting, Verdict},
};

pub use declared::{
    BytesRow, DivergeRow, LogDifferenceRow, LogEntries, RegisterPairRow, SCHEMAS, WriterRow,
};
pub use view::{PartingView, ViewError};

impl From<LogDifference> for LogDifferenceRow {
    fn from(LogDifference { instructions, a, b }: LogDifference) -> Self {
        Self { instr: instructions, a, b }
    }
}

impl LogDifferenceRow {
    /// The entries of both logs, in words.
    #[must_use]
    pub fn entries(&self) -> [&str; 2] {
        [&self.a, &self.b].map(|side| side.as_deref().unwrap_or("(the end of the log)"))
    }
}

/// Bytes that a line shows.
const SHOWN: usize = 16;
/// Lines of one kind.
const LINES: usize = 16;

impl Display for DivergeRow {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if let Some(instr) = self.instr {
            self.parting(instr, f)?;
        }
        if let Some(different) = &self.log_difference {
            let [a, b] = different.entries();
            writeln!(f, "first difference of the logs, at instruction {}:", different.instr)?;
            writeln!(f, "A {a}\nB {b}")?;
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

impl DivergeRow {
    /// What a search found. If nothing differs, `not_compared` says what was
    /// left out. [`DivergeRow::part`] adds where they part.
    #[must_use]
    pub fn new(found: &Found, not_compared: Option<&str>) -> Self {
        let points = &found.points;
        let mut row = Self {
            found: false,
            instr: None,
            last_equal_instr: None,
            cpu: None,
            guest_pc: None,
            symbol: None,
            registers: Vec::new(),
            bytes: Vec::new(),
            bytes_differing: 0,
            pages_differing: 0,
            writer: None,
            log_entries: LogEntries { a: Vec::new(), b: Vec::new() },
            log_difference: None,
            probes: points.len(),
            from: points.keys().next().copied().unwrap_or_default(),
            to: points.keys().next_back().copied().unwrap_or_default(),
            unread_pages: found.unread,
            ended: None,
            remarks: Vec::new(),
        };
        if let Verdict::Same { from, to, ended } = &found.verdict {
            (row.from, row.to) = (*from, *to);
            let ended = ended.map(|side| match &found.failure {
                Some(failure) => {
                    format!("{side} does not go on behind instruction {to}: {failure}")
                }
                None => format!("{side} ends behind instruction {to}"),
            });
            row.ended = ended.or_else(|| not_compared.map(str::to_owned));
        }
        row
    }

    /// Tells where they part.
    pub fn part(&mut self, view: &PartingView<'_>, parting: &Parting) {
        self.found = true;
        self.instr = Some(parting.first);
        self.last_equal_instr = parting.last_equal;
        self.cpu = parting.cpu;
        self.guest_pc = parting.pc.map(Hex);
        self.symbol = parting.pc.and_then(|pc| view.symbol(pc));
        self.registers = registers(&parting.differences);
        self.bytes = view.bytes(&parting.differences.runs);
        self.bytes_differing = parting.differences.bytes;
        self.pages_differing = parting.differences.pages;
        self.writer = view.writer(parting);
    }

    /// The instruction around which logs are worth a look.
    #[must_use]
    pub fn of_interest(&self) -> Option<u64> {
        self.instr.or_else(|| self.ended.as_ref().map(|_| self.to))
    }

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
        if let Some(place) = place(self.cpu, self.guest_pc, self.symbol.as_ref()) {
            writeln!(f, "executed there: {place}")?;
        }
        for row in self.registers.iter().take(LINES) {
            let of = |side: &Option<String>| side.clone().unwrap_or_else(|| "-".to_owned());
            let RegisterPairRow { cpu, register, a, b } = row;
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
        let place = place(self.cpu, self.guest_pc, self.symbol.as_ref());
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

fn place(cpu: Option<u64>, pc: Option<Hex<u64>>, symbol: Option<&String>) -> Option<String> {
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
fn registers(differences: &Differences) -> Vec<RegisterPairRow> {
    let rows = differences.registers.iter().map(|found| RegisterPairRow {
        cpu: found.cpu,
        register: found.register.clone(),
        a: found.a.as_deref().map(|bytes| format!("0x{}", hex_digits(bytes))),
        b: found.b.as_deref().map(|bytes| format!("0x{}", hex_digits(bytes))),
    });
    rows.collect()
}
