//! `rr-mem log`: one file per command.

mod check;
mod cut;
mod diff;
mod export;
mod hash;
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
        self, Entry, EventLog, Log, OpenError, Reading, filter,
        filter::{Criteria, LogFilter},
        index::KeptIndex,
    },
};

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

/// Opens a log whose size is known: compressed logs, and logs through a pipe, go to an unlinked
/// file first.
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
    failed(format!("{}: {error}", path.display()), error.advice())
}

impl Filters {
    /// The filter of these options.
    fn filter(&self) -> anyhow::Result<LogFilter> {
        let names =
            |given: &[String]| given.iter().map(|name| known(name)).collect::<anyhow::Result<_>>();
        let (from, to) = (self.from.unwrap_or(0), self.to.unwrap_or(u64::MAX));
        if from > to {
            return Err(usage(format!("--from {from} is behind --to {to}"), "exchange them"));
        }
        Ok(LogFilter::from(Criteria {
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
fn between(from: Option<u64>, to: Option<u64>) -> anyhow::Result<LogFilter> {
    let (from, to) = (from.unwrap_or(0), to.unwrap_or(u64::MAX));
    if from > to {
        return Err(usage(format!("--from {from} is behind --to {to}"), "exchange them"));
    }
    Ok(LogFilter::from(Criteria { instructions: from..=to, ..Criteria::default() }))
}

/// The format's own form of a name that a user gave.
fn known(name: &str) -> anyhow::Result<String> {
    filter::known_name(name).map_err(|near| {
        let hint = match near.is_empty() {
            true => "`rr-mem log stat LOG` lists the names that a log has".to_owned(),
            false => format!("did you mean {}?", near.join(", ")),
        };
        usage(format!("no kind, call or callsite has the name {name:?}"), hint)
    })
}

/// Nothing found is an answer.
const fn found_any(found: bool) -> Outcome {
    if found { Outcome::Answered } else { Outcome::Negative }
}

/// Calls `take` for every entry that the filter takes, and says how the log
/// ended.
fn each(
    path: &Path,
    log: &mut Log,
    filter: &mut LogFilter,
    output: &mut Output,
    mut take: impl FnMut(&Entry, &mut Output) -> anyhow::Result<()>,
) -> anyhow::Result<Outcome> {
    let ranged = *filter.instructions() != (0..=u64::MAX) && !is_stdin(path);
    let kept = ranged.then(|| KeptIndex::of(path, log.size())).flatten();
    let reading = replay::read(log, filter, kept.as_ref(), |entry| take(entry, output))?;
    say(&reading, log, output)
}

/// Says what is unusual of a log that was read.
fn say(reading: &Reading, log: &Log, output: &mut Output) -> anyhow::Result<Outcome> {
    output.flush()?;
    let ending = reading.ending.as_ref();
    ending.iter().flat_map(|ending| ending.remarks(log)).for_each(note);
    if let Some(error) = &reading.error {
        output.complain(error, error.kind.advice())?;
        return Ok(Outcome::Unreadable);
    }
    let Some(ending) = ending else { return Ok(Outcome::Answered) };
    ending.without_mark().iter().for_each(note);
    Ok(found_any(ending.entries > 0))
}
