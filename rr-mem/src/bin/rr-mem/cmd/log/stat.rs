//! `rr-mem log stat`.

use rr_mem::replay::{
    EventLog, Format, Log,
    stat::{Count, Large, Stat},
};
use serde::Serialize;

use super::{Ending, each, open};
use crate::{
    cli::log,
    output::{Outcome, Output},
};

/// Characters of the histogram's bars.
const BARS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

pub fn run(args: &log::Stat, output: &mut Output) -> anyhow::Result<Outcome> {
    let mut filter = args.filters.filter()?;
    let mut log = open(&args.file.log)?;
    let mut stat = Stat::default();
    let outcome = match filter.takes_all() {
        true => all(&mut log, &mut stat, output)?,
        false => each(&args.file.log, &mut log, &mut filter, output, |entry, _| {
            stat.add(entry);
            Ok(())
        })?,
    };
    match output.json {
        true => output.row(&Row::new(&log, &stat))?,
        false => text(&log, &stat, output)?,
    }
    Ok(outcome)
}

/// Counts every entry: what [`each`] looks for is in the numbers.
fn all(log: &mut Log, stat: &mut Stat, output: &mut Output) -> anyhow::Result<Outcome> {
    let error = loop {
        log.batch(|entry| {
            stat.add(entry);
            true
        });
        match log.next_entry() {
            Ok(Some(entry)) => stat.add(&entry),
            Ok(None) => break None,
            Err(error) => break Some(error),
        }
    };
    let (ended, entries) = (stat.ended, stat.entries());
    let ending = Ending { ended, entries, backwards: stat.first_backwards, previous: stat.last };
    ending.say(log, error.as_ref(), output)
}

/// The numbers of a log as JSON.
#[derive(Serialize)]
struct Row {
    format: String,
    entries: u64,
    bytes: u64,
    header_instr: Option<u64>,
    first_instr: u64,
    last_instr: u64,
    ended: bool,
    backwards: u64,
    interrupts: u64,
    kinds: Vec<KindRow>,
    gaps: Vec<LargeRow>,
    payloads: Vec<LargeRow>,
    bar_instr: u64,
    bars: Vec<u64>,
}

#[derive(Serialize)]
struct KindRow {
    kind: &'static str,
    call: Option<&'static str>,
    callsite: Option<&'static str>,
    entries: u64,
    bytes: u64,
}

#[derive(Serialize)]
struct LargeRow {
    size: u64,
    index: u64,
    instr: u64,
}

impl Row {
    fn new(log: &Log, stat: &Stat) -> Self {
        let (bar_instr, bars) = stat.histogram();
        let kind = |count: Count| KindRow {
            kind: count.names.0,
            call: count.names.1,
            callsite: count.names.2,
            entries: count.entries,
            bytes: count.bytes,
        };
        let large = |large: &Large| LargeRow {
            size: large.size,
            index: large.index,
            instr: large.instructions,
        };
        Self {
            format: format(log),
            entries: stat.entries(),
            bytes: stat.bytes(),
            header_instr: log.total_instructions(),
            first_instr: stat.first.min(stat.last),
            last_instr: stat.last,
            ended: stat.ended,
            backwards: stat.backwards,
            interrupts: stat.interrupts(),
            kinds: stat.counts().into_iter().map(kind).collect(),
            gaps: stat.gaps.iter().map(large).collect(),
            payloads: stat.payloads.iter().map(large).collect(),
            bar_instr,
            bars: bars.to_vec(),
        }
    }
}

/// What kind of log it is.
fn format(log: &Log) -> String {
    match (log.format(), log) {
        (Format::Qemu(version), Log::Qemu(log)) => format!(
            "QEMU replay log {:#x}, {} causes of a shutdown",
            version.number(),
            log.ids().causes()
        ),
        _ => "PANDA nondet log".to_owned(),
    }
}

fn text(log: &Log, stat: &Stat, output: &mut Output) -> anyhow::Result<()> {
    output.line(format(log))?;
    let span = stat.last.saturating_sub(stat.first.min(stat.last));
    output.line(format_args!("{} entries, {} bytes", stat.entries(), stat.bytes()))?;
    output.line(format_args!(
        "instructions {} to {}{}",
        stat.first.min(stat.last),
        stat.last,
        log.total_instructions().map_or(String::new(), |total| format!(", header {total}")),
    ))?;
    output.line(format_args!(
        "{} interrupts or changes of them, {} a million instructions",
        stat.interrupts(),
        rate(stat.interrupts(), span)
    ))?;
    counts(stat, span, output)?;
    larges("largest gaps", "instructions, before", &stat.gaps, output)?;
    larges("largest payloads", "bytes, in", &stat.payloads, output)?;
    histogram(stat, output)
}

/// So many a million instructions.
fn rate(count: u64, instructions: u64) -> String {
    if instructions == 0 {
        return "-".into();
    }
    format!("{:.1}", count as f64 * 1e6 / instructions as f64)
}

fn counts(stat: &Stat, span: u64, output: &mut Output) -> anyhow::Result<()> {
    output.line(format_args!(
        "\n{:>10} {:>12} {:>6} {:>12}  kind, callsite",
        "entries", "bytes", "bytes%", "per million"
    ))?;
    let bytes = stat.bytes();
    for count in stat.counts() {
        let (kind, call, callsite) = count.names;
        let share = count.bytes as f64 * 100.0 / bytes as f64;
        output.line(format_args!(
            "{:>10} {:>12} {share:>6.1} {:>12}  {}",
            count.entries,
            count.bytes,
            rate(count.entries, span),
            [Some(kind), call, callsite].into_iter().flatten().collect::<Vec<_>>().join(" "),
        ))?;
    }
    Ok(())
}

fn larges(title: &str, what: &str, list: &[Large], output: &mut Output) -> anyhow::Result<()> {
    if list.is_empty() {
        return Ok(());
    }
    output.line(format_args!("\n{title}"))?;
    for Large { size, index, instructions } in list {
        output
            .line(format_args!("{size:>12} {what} entry {index} at instruction {instructions}"))?;
    }
    Ok(())
}

/// Entries over time, a character a bar.
fn histogram(stat: &Stat, output: &mut Output) -> anyhow::Result<()> {
    let (width, bars) = stat.histogram();
    let most = bars.iter().copied().max().unwrap_or_default().max(1);
    let bar = |&entries: &u64| {
        let height = (entries * 8).div_ceil(most).min(8);
        BARS[height as usize]
    };
    output.line(format_args!(
        "\nentries over time, {width} instructions a bar, up to {most}\n|{}|",
        bars.iter().map(bar).collect::<String>()
    ))
}
