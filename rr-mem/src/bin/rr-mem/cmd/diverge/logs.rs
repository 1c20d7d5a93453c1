//! What the logs of two executions say before either is run.

use std::path::Path;

use rr_mem::{
    diverge::Side,
    replay::{self, Entry, Event, EventLog, Log, qemu},
    report::log::line::{Data, line},
};

use super::rows::LogDifference;
use crate::output::{failed, note, usage};

/// Entries that are shown before an instruction, and behind it.
const BEFORE: u64 = 4;
const BEHIND: u64 = 3;
/// QEMU, `replay_finish`: writes the end mark.
const NO_END: &str = "it has no end mark, so the recording was not finished or the file is cut";

/// Opens a log.
pub fn open(path: &Path) -> anyhow::Result<Log> {
    Log::open(path).map_err(|error| failed(format!("{}: {error}", path.display()), error.hint()))
}

/// Says what is known at once.
pub fn announce(different: Option<&LogDifference>) {
    let Some(LogDifference { instr, a, b }) = different else {
        return note("the logs are the same");
    };
    let entry =
        |side: &Option<String>| side.clone().unwrap_or_else(|| "(the end of the log)".to_owned());
    note(format!("the logs differ at instruction {instr}:"));
    note(format!("A {}", entry(a)));
    note(format!("B {}", entry(b)));
}

/// How far a log goes.
pub struct Extent {
    /// The instructions that it goes on for, as far as it is whole.
    pub instructions: u64,
    /// Why it is not whole.
    pub cut: Option<String>,
    /// Writes to a character device that nobody took.
    pub refused: u64,
}

impl Extent {
    pub fn of(path: &Path) -> anyhow::Result<Self> {
        let mut log = open(path)?;
        if let Log::Panda(_) = log {
            return Err(usage(
                format!("{} is a log of PANDA", path.display()),
                "give the rrfile of QEMU's -icount ...,rr=record",
            ));
        }
        let mut extent = Self { instructions: 0, cut: None, refused: 0 };
        let mut ended = false;
        loop {
            match log.advance() {
                Ok(true) => {}
                Ok(false) => {
                    extent.cut = (!ended).then(|| NO_END.to_owned());
                    return Ok(extent);
                }
                Err(error) => {
                    extent.cut = Some(error.to_string());
                    return Ok(extent);
                }
            }
            let entry = log.entry();
            extent.instructions = entry.instructions;
            ended = entry.is_end();
            if let Event::Qemu(qemu::Event::CharWrite { result: ..0, .. }) = entry.event() {
                extent.refused += 1;
            }
        }
    }
}

/// What of two executions that do not differ was not compared, because a log
/// ends.
pub fn not_compared(logs: &[Extent; 2], to: Option<u64>) -> Option<String> {
    let [a, b] = logs;
    if to.is_some_and(|to| to < a.instructions.min(b.instructions)) {
        return None;
    }
    let cut = |side, log: &Extent| {
        let cut = log.cut.as_ref()?;
        Some(format!(
            "the log of {side} is whole up to instruction {} only: {cut}",
            log.instructions
        ))
    };
    let shorter = || {
        let (short, long) =
            if a.instructions < b.instructions { (Side::A, b) } else { (Side::B, a) };
        let end = a.instructions.min(b.instructions);
        let end = format!(
            "the log of {short} ends at instruction {end}, the other's at {}",
            long.instructions
        );
        (a.instructions != b.instructions).then_some(end)
    };
    cut(Side::A, a).or_else(|| cut(Side::B, b)).or_else(shorter)
}

/// Where two logs differ first.
pub fn difference(a: &Path, b: &Path) -> anyhow::Result<Option<LogDifference>> {
    let (summary, _) = replay::diff::diff(&mut open(a)?, &mut open(b)?, &words);
    Ok(summary.first.map(|first| LogDifference {
        instr: first.instructions,
        a: first.a,
        b: first.b,
    }))
}

/// The entries around an instruction.
pub fn around(path: &Path, instruction: u64) -> anyhow::Result<Vec<String>> {
    let mut behind: u64 = 0;
    let mut log = open(path)?;
    while log.advance().unwrap_or(false) && log.entry().instructions <= instruction {
        behind += 1;
    }
    let shown = behind.saturating_sub(BEFORE)..behind.saturating_add(BEHIND);
    let mut lines = Vec::new();
    let mut log = open(path)?;
    while log.advance().unwrap_or(false) && log.entry().index < shown.end {
        if shown.contains(&log.entry().index) {
            lines.push(words(&log.entry()));
        }
    }
    Ok(lines)
}

fn words(entry: &Entry) -> String {
    let mut text = Vec::new();
    line(&mut text, entry, Data::default());
    String::from_utf8_lossy(&text).into_owned()
}
