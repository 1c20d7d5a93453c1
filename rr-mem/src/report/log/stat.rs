//! The numbers of a log.

use std::fmt::{self, Display, Formatter};

use super::declared::{CountRow, LargeRow, StatRow};
use crate::replay::{
    EventLog, Log,
    stat::{Count, Large, Stat},
};

/// Characters of the histogram's bars.
const BARS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

impl From<Count> for CountRow {
    fn from(count: Count) -> Self {
        let (kind, call, callsite) = count.names;
        Self { kind, call, callsite, entries: count.entries, bytes: count.bytes }
    }
}

impl From<&Large> for LargeRow {
    fn from(large: &Large) -> Self {
        Self { size: large.size, index: large.index, instr: large.instructions }
    }
}

impl StatRow {
    /// The numbers of a log.
    #[must_use]
    pub fn new(log: &Log, stat: &Stat) -> Self {
        let (bar_instr, bars) = stat.histogram();
        Self {
            format: log.format_words(),
            entries: stat.entries(),
            bytes: stat.bytes(),
            header_instr: log.total_instructions(),
            first_instr: stat.first.min(stat.last),
            last_instr: stat.last,
            ended: stat.ended,
            backwards: stat.backwards,
            interrupts: stat.interrupts(),
            kinds: stat.counts().into_iter().map(Into::into).collect(),
            gaps: stat.gaps.iter().map(Into::into).collect(),
            payloads: stat.payloads.iter().map(Into::into).collect(),
            bar_instr,
            bars: bars.to_vec(),
        }
    }

    fn counts(&self, span: u64, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "\n{:>10} {:>12} {:>6} {:>12}  kind, callsite",
            "entries", "bytes", "bytes%", "per million"
        )?;
        for CountRow { kind, call, callsite, entries, bytes } in &self.kinds {
            let share = *bytes as f64 * 100.0 / self.bytes as f64;
            let names = [Some(*kind), *call, *callsite].into_iter().flatten().collect::<Vec<_>>();
            let rate = rate(*entries, span);
            let names = names.join(" ");
            writeln!(f, "{entries:>10} {bytes:>12} {share:>6.1} {rate:>12}  {names}")?;
        }
        Ok(())
    }

    /// Entries over time, a character a bar.
    fn histogram(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let most = self.bars.iter().copied().max().unwrap_or_default().max(1);
        let bar = |&entries: &u64| BARS[(entries * 8).div_ceil(most).min(8) as usize];
        let bars: String = self.bars.iter().map(bar).collect();
        let width = self.bar_instr;
        write!(f, "\nentries over time, {width} instructions a bar, up to {most}\n|{bars}|")
    }
}

impl Display for StatRow {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { format, entries, bytes, first_instr, last_instr, interrupts, .. } = self;
        let span = last_instr.saturating_sub(*first_instr);
        let header = self.header_instr.map_or(String::new(), |total| format!(", header {total}"));
        writeln!(f, "{format}\n{entries} entries, {bytes} bytes")?;
        writeln!(f, "instructions {first_instr} to {last_instr}{header}")?;
        let rate = rate(*interrupts, span);
        writeln!(f, "{interrupts} interrupts or changes of them, {rate} a million instructions")?;
        self.counts(span, f)?;
        larges("largest gaps", "instructions, before", &self.gaps, f)?;
        larges("largest payloads", "bytes, in", &self.payloads, f)?;
        self.histogram(f)
    }
}

/// So many a million instructions.
fn rate(count: u64, instructions: u64) -> String {
    if instructions == 0 {
        return "-".into();
    }
    format!("{:.1}", count as f64 * 1e6 / instructions as f64)
}

fn larges(title: &str, what: &str, list: &[LargeRow], f: &mut Formatter<'_>) -> fmt::Result {
    if !list.is_empty() {
        writeln!(f, "\n{title}")?;
    }
    for LargeRow { size, index, instr } in list {
        writeln!(f, "{size:>12} {what} entry {index} at instruction {instr}")?;
    }
    Ok(())
}
