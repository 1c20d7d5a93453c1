//! `rr-mem log`: one file per command.

mod check;
mod cut;
mod diff;
mod export;
mod hash;
mod index;
mod io_tables;
mod places;
mod print;
mod regions;
mod serial;
mod stat;
mod writes;

use std::{ffi::OsStr, io, path::Path};

use rr_mem::{
    container,
    memory::MappedFile,
    replay::{
        Entry, EventLog, Log, LogError, OpenError, filter,
        filter::{Criteria, Filter},
        index::Index,
        stat::Backwards,
    },
};

use self::index::Kept;
use crate::{
    cli::log::{Filters, LogCommand},
    output::{Outcome, Output, failed, note, usage},
};

/// Text is written out in pieces of this size.
const PIECE: usize = 1 << 18;

pub fn run(command: &LogCommand, output: &mut Output) -> anyhow::Result<Outcome> {
    match command {
        LogCommand::Print(args) => print::run(args, output),
        LogCommand::Stat(args) => stat::run(args, output),
        LogCommand::Writes(args) => writes::run(args, output),
        LogCommand::Diff(args) => diff::run(args, output),
        LogCommand::Check(args) => check::run(args, output),
        LogCommand::Regions(args) => regions::run(args, output),
        LogCommand::Serial(args) => serial::run(args, output),
        LogCommand::Disk(args) => io_tables::disk(args, output),
        LogCommand::Packets(args) => io_tables::packets(args, output),
        LogCommand::Hash(args) => hash::run(args, output),
        LogCommand::Cut(args) => cut::run(args, output),
        LogCommand::Export(args) => export::run(args, output),
    }
}

/// Opens a log; `-` is standard input.
fn open(path: &Path) -> anyhow::Result<Log> {
    let log = match is_stdin(path) {
        true => Log::from_reader(Box::new(io::stdin())),
        false => Log::open(path),
    };
    log.map_err(|error| not_opened(path, &error))
}

/// Opens a log whose size is known: what is compressed, or comes through a
/// pipe, goes to an unlinked file first.
fn open_sized(path: &Path) -> anyhow::Result<Log> {
    if !is_stdin(path) {
        let log = open(path)?;
        if log.size().is_some() {
            return Ok(log);
        }
    }
    spool(path).map_err(|error| not_opened(path, &error))
}

fn spool(path: &Path) -> Result<Log, OpenError> {
    let mut reader: container::stream::Reader = match is_stdin(path) {
        true => Box::new(io::stdin()),
        false => Box::new(std::fs::File::open(path)?),
    };
    let mut file = tempfile::tempfile()?;
    reader = container::stream::unpack(reader)?;
    io::copy(&mut reader, &mut file)?;
    Log::from_file(MappedFile::map(&file)?)
}

fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == OsStr::new("-")
}

fn not_opened(path: &Path, error: &OpenError) -> anyhow::Error {
    failed(format!("{}: {error}", path.display()), error.hint())
}

impl Filters {
    /// The filter of these options.
    fn filter(&self) -> anyhow::Result<Filter> {
        let names =
            |given: &[String]| given.iter().map(|name| known(name)).collect::<anyhow::Result<_>>();
        let (from, to) = (self.from.unwrap_or(0), self.to.unwrap_or(u64::MAX));
        if from > to {
            return Err(usage(format!("--from {from} is behind --to {to}"), "exchange them"));
        }
        Ok(Filter::from(Criteria {
            instructions: from..=to,
            kinds: names(&self.kind)?,
            callsites: names(&self.callsite)?,
            calls: names(&self.call)?,
            values: self.value.clone(),
            addresses: self.addr.clone(),
        }))
    }
}

/// A filter of instruction counts alone.
fn between(from: Option<u64>, to: Option<u64>) -> anyhow::Result<Filter> {
    let (from, to) = (from.unwrap_or(0), to.unwrap_or(u64::MAX));
    if from > to {
        return Err(usage(format!("--from {from} is behind --to {to}"), "exchange them"));
    }
    Ok(Filter::from(Criteria { instructions: from..=to, ..Criteria::default() }))
}

/// The format's own form of a name that a user gave.
fn known(name: &str) -> anyhow::Result<String> {
    let plain = filter::plain_name(name);
    if filter::known_names().contains(&plain.as_str()) {
        return Ok(plain);
    }
    let near = filter::known_names().into_iter().filter(|known| known.contains(&plain));
    let near: Vec<_> = near.take(8).collect();
    let hint = match near.is_empty() {
        true => "`rr-mem log stat LOG` lists the names that a log has".to_owned(),
        false => format!("did you mean {}?", near.join(", ")),
    };
    Err(usage(format!("no kind, call or callsite has the name {name:?}"), hint))
}

/// What the end of a log shows, beyond its entries.
#[derive(Default)]
struct Ending {
    previous: u64,
    backwards: Option<Backwards>,
    ended: bool,
    entries: u64,
}

impl Ending {
    #[inline(always)]
    fn see(&mut self, entry: &Entry) {
        if entry.instructions < self.previous && self.backwards.is_none() {
            let (from, to) = (self.previous, entry.instructions);
            self.backwards = Some(Backwards { index: entry.index, from, to });
        }
        self.previous = entry.instructions;
        self.ended = entry.is_end();
        self.entries = entry.index + 1;
    }

    /// Says what is unusual of a log that was read to its end, or to `error`.
    fn say(
        &self,
        log: &Log,
        error: Option<&LogError>,
        output: &mut Output,
    ) -> anyhow::Result<Outcome> {
        output.flush()?;
        if let Some(notice) = header_notice(log) {
            note(notice);
        }
        if let Some(Backwards { index, from, to }) = self.backwards {
            note(format!("the instruction count goes back from {from} to {to} at entry {index}"));
        }
        if let Some(error) = error {
            output.complain(error, error.kind.hint())?;
            return Ok(Outcome::Unreadable);
        }
        if !self.ended {
            note(format!("the log has no end mark behind its {} entries", self.entries));
        }
        Ok(if self.entries == 0 { Outcome::Negative } else { Outcome::Answered })
    }
}

/// What the header of a recording that never ended means.
fn header_notice(log: &Log) -> Option<&'static str> {
    let unfinished = match log {
        Log::Panda(log) => log.header() == 0,
        Log::Qemu(log) => log.header() == 0,
    };
    unfinished.then_some("the header is 0: the recording never ended")
}

/// Calls `take` for every entry that the filter takes, and says how the log
/// ended. Of a large file of which a range of instructions is asked for, only
/// the part is read that holds it, once an index was made.
fn each(
    path: &Path,
    log: &mut Log,
    filter: &mut Filter,
    output: &mut Output,
    mut take: impl FnMut(&Entry, &mut Output) -> anyhow::Result<()>,
) -> anyhow::Result<Outcome> {
    let ranged = *filter.instructions() != (0..=u64::MAX) && !is_stdin(path);
    let kept = ranged.then(|| Kept::of(path, log.size())).flatten();
    if let Some(index) = kept.as_ref().and_then(Kept::get) {
        return each_indexed(&index, log, filter, output, &mut take);
    }
    let mut made = kept.as_ref().map(|_| Index::default());
    let mut ending = Ending::default();
    let mut result = Ok(());
    let mut see = |entry: &Entry| {
        ending.see(entry);
        if let Some(index) = &mut made {
            index.add(entry);
        }
        if result.is_ok() && filter.takes(entry) {
            result = take(entry, output);
        }
        result.is_ok()
    };
    let error = loop {
        log.batch(&mut see);
        match log.advance() {
            Ok(true) if see(&log.entry()) => {}
            Ok(_) => break None,
            Err(error) => break Some(error),
        }
    };
    result?;
    if let (Some(kept), Some(index), None) = (kept, made, &error) {
        // Without one the next question takes as long as this.
        let _ = kept.put(&index);
    }
    ending.say(log, error.as_ref(), output)
}

fn each_indexed(
    index: &Index,
    log: &mut Log,
    filter: &mut Filter,
    output: &mut Output,
    take: &mut impl FnMut(&Entry, &mut Output) -> anyhow::Result<()>,
) -> anyhow::Result<Outcome> {
    for (block, end) in index.blocks(filter.instructions().clone()) {
        log.seek(block.offset, block.index, block.instructions);
        loop {
            match log.next_entry() {
                Ok(Some(entry)) if entry.offset < end => {
                    if filter.takes(&entry) {
                        take(&entry, output)?;
                    }
                }
                Ok(_) => break,
                Err(error) => {
                    output.complain(&error, error.kind.hint())?;
                    return Ok(Outcome::Unreadable);
                }
            }
        }
    }
    Ok(Outcome::Answered)
}
