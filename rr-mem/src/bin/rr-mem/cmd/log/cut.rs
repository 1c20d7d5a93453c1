//! `rr-mem log cut`.

use std::{fs::File, io, io::BufWriter};

use rr_mem::replay::{EventLog, LogError, cut::Cut};

use super::{between, open};
use crate::{
    cli::log,
    output::{Outcome, Output, failed, note},
};

pub fn run(args: &log::Cut, output: &mut Output) -> anyhow::Result<Outcome> {
    let mut filter = between(args.from, args.to)?;
    let mut log = open(&args.file.log)?;
    let refused = |error: io::Error| {
        failed(format!("{}: {error}", args.output.display()), "check the path and the disk")
    };
    // The log may be the very file that would be written.
    let file = File::create_new(&args.output).map_err(refused)?;
    let mut cut = Cut::new(BufWriter::new(file), &log).map_err(refused)?;
    let error: Option<LogError> = loop {
        match log.next_entry() {
            Ok(Some(entry)) if filter.takes(&entry) => cut.add(&entry).map_err(refused)?,
            Ok(Some(_)) => {}
            Ok(None) => break None,
            Err(error) => break Some(error),
        }
    };
    let entries = cut.finish().map_err(refused)?;
    if let Some(error) = &error {
        note(format!("the log is whole up to there: {error}"));
    }
    output.line(format_args!("{entries} entries"))?;
    Ok(if entries == 0 { Outcome::Negative } else { Outcome::Answered })
}
