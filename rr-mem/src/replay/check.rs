//! What makes a replay fail and can be seen in the log.

use std::{io, path::Path};

use super::{
    Entry, Event, Log, LogError,
    panda::{self, Call},
    stat::Backwards,
};
use crate::container::stream::{self, Sum};

/// Something that makes a replay fail.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// A stable short name.
    pub name: &'static str,
    /// What was seen, and where.
    pub what: String,
    /// What it means.
    pub why: &'static str,
}

/// What of the rr2 archive at `path` differs from its own list; nothing for
/// other files.
///
/// # Errors
/// When the archive cannot be read.
pub fn archive_findings(path: &Path) -> io::Result<Vec<Finding>> {
    // PANDA's list leaves out the members that it adds last.
    let wrong = |sum: &Sum| sum.listed.is_some() && !sum.is_right();
    let sums = stream::verify(path)?.unwrap_or_default();
    Ok(sums.iter().filter(|sum| wrong(sum)).map(wrong_sum).collect())
}

fn wrong_sum(sum: &Sum) -> Finding {
    let what = match (&sum.listed, &sum.found) {
        (Some(_), None) => format!("the archive lists {}, and does not hold it", sum.name),
        (listed, found) => format!(
            "the SHA-1 of {} is {}, listed is {}",
            sum.name,
            found.as_deref().unwrap_or_default(),
            listed.as_deref().unwrap_or_default()
        ),
    };
    Finding { name: "sha1", what, why: "the archive was changed or damaged after the recording" }
}

/// Looks at every entry.
#[derive(Clone, Debug, Default)]
pub struct Check {
    entries: u64,
    previous: u64,
    last: Option<u64>,
    ended: bool,
    behind: u64,
    interrupts: Interrupts,
    backwards: Option<(Backwards, u64)>,
    ram: Option<(String, u64)>,
}

/// The last interrupt entry, and the first that repeats the one before it.
#[derive(Clone, Copy, Debug, Default)]
struct Interrupts {
    request: i32,
    lost: Option<(u64, u64, i32, bool)>,
    seen: bool,
}

impl Check {
    /// Looks at the next entry.
    pub fn add(&mut self, entry: &Entry) {
        self.behind += u64::from(self.ended);
        self.ended |= entry.is_end();
        self.entries += 1;
        if entry.instructions < self.previous {
            let seen =
                Backwards { index: entry.index, from: self.previous, to: entry.instructions };
            self.backwards.get_or_insert((seen, 0)).1 += 1;
        }
        self.previous = entry.instructions;
        self.last = Some(entry.instructions);
        match entry.event() {
            Event::Panda(_, panda::Event::InterruptRequest(request)) => {
                self.interrupt(entry, request);
            }
            Event::Panda(_, panda::Event::SkippedCall(Call::MemRegionChange(change)))
                if change.added && change.kind_name() == "RAM" =>
            {
                let first = || {
                    format!(
                        "{} ({:#x} bytes at {:#x}, entry {}, instruction {})",
                        change.name.escape_ascii(),
                        change.size,
                        change.start,
                        entry.index,
                        entry.instructions
                    )
                };
                self.ram.get_or_insert_with(|| (first(), 0)).1 += 1;
            }
            _ => {}
        }
    }

    /// An entry stands only where the request changes, from 0 on.
    fn interrupt(&mut self, entry: &Entry, request: i32) {
        let seen = &mut self.interrupts;
        if request == seen.request && seen.lost.is_none() {
            seen.lost = Some((entry.index, entry.instructions, request, !seen.seen));
        }
        (seen.request, seen.seen) = (request, true);
    }

    /// What was found in a log that was read to its end, or to `error`.
    #[must_use]
    pub fn findings(&self, log: &Log, error: Option<&LogError>) -> Vec<Finding> {
        [
            self.header(log),
            error.map(|error| Finding {
                name: error.kind.name(),
                what: error.to_string(),
                why: "the replay stops there",
            }),
            self.end(),
            self.first_interrupt(),
            self.time(),
            self.added_ram(),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    fn header(&self, log: &Log) -> Option<Finding> {
        let header = log.header();
        if header == 0 {
            return Some(Finding {
                name: "header",
                what: "the header is 0".into(),
                why: "the recording never ended: it was killed, or is still going on",
            });
        }
        let last = self.last.filter(|_| matches!(log, Log::Panda(_)) && self.ended)?;
        (last != header).then(|| Finding {
            name: "header",
            what: format!("the header says {header} instructions, the last entry {last}"),
            why: "header and entries are of different recordings",
        })
    }

    fn end(&self) -> Option<Finding> {
        if !self.ended {
            return Some(Finding {
                name: "end",
                what: format!("no end mark behind the {} entries", self.entries),
                why: "the recording was killed or the file was copied too early: the replay runs into the end of the file",
            });
        }
        (self.behind > 0).then(|| Finding {
            name: "end",
            what: format!("{} entries behind the end mark", self.behind),
            why: "the replay stops at the mark",
        })
    }

    fn first_interrupt(&self) -> Option<Finding> {
        let (index, instructions, request, first) = self.interrupts.lost?;
        let (name, why) = if first {
            (
                "first-interrupt",
                "the entry that raised it is missing, as in a second recording of one process: the replay waits for an interrupt that never comes",
            )
        } else {
            ("interrupt", "a change of it is missing between the two")
        };
        let what = format!(
            "the interrupt request is {request:#x} already where entry {index} (instruction {instructions}) sets it to that"
        );
        Some(Finding { name, what, why })
    }

    fn time(&self) -> Option<Finding> {
        let (Backwards { index, from, to }, times) = self.backwards?;
        Some(Finding {
            name: "backwards",
            what: format!(
                "the instruction count goes back {times} times, first from {from} to {to} at entry {index}"
            ),
            why: "the replay is ahead of the log there and stops",
        })
    }

    fn added_ram(&self) -> Option<Finding> {
        let (first, times) = self.ram.as_ref()?;
        Some(Finding {
            name: "ram-added",
            what: format!("RAM is added {times} times, first {first}"),
            why: "the replay has no such RAM: it cannot add any",
        })
    }
}
