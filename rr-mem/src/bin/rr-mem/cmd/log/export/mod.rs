//! `rr-mem log export`.

#[cfg(feature = "parquet")]
mod parquet;

use std::{
    fs::File,
    io::{self, Write},
    path::Path,
};

use rr_mem::{
    replay::Entry,
    report::log::{LogRow, csv},
};

use super::{PIECE, each, is_stdin, open};
use crate::{
    cli::log::Export,
    output::{Outcome, Output, failed, usage},
};

pub fn run(args: &Export, output: &mut Output) -> anyhow::Result<Outcome> {
    match (&args.parquet, &args.csv, &args.jsonl) {
        (Some(path), _, _) => to_parquet(args, path, output),
        (_, Some(path), _) => to_text(args, path, csv::HEAD, csv::row, output),
        (_, _, Some(path)) => to_text(args, path, b"", jsonl, output),
        _ => Err(usage("no table is named", "give --parquet, --csv or --jsonl")),
    }
}

#[cfg(feature = "parquet")]
use parquet::to_parquet;

#[cfg(not(feature = "parquet"))]
fn to_parquet(_: &Export, _: &Path, _: &mut Output) -> anyhow::Result<Outcome> {
    Err(usage("this program was built without Parquet", "give --csv FILE"))
}

fn refused(path: &Path) -> impl Fn(io::Error) -> anyhow::Error {
    move |error| failed(format!("{}: {error}", path.display()), "check the path and the disk")
}

fn to_text(
    args: &Export,
    path: &Path,
    head: &[u8],
    row: fn(&mut Vec<u8>, &Entry),
    output: &mut Output,
) -> anyhow::Result<Outcome> {
    let mut filter = args.filters.filter()?;
    let mut log = open(&args.file.log)?;
    let mut file = match is_stdin(path) {
        true => None,
        false => Some(File::create(path).map_err(refused(path))?),
    };
    let mut text = head.to_vec();
    let mut write = |text: &mut Vec<u8>, output: &mut Output| -> anyhow::Result<()> {
        match &mut file {
            Some(file) => file.write_all(text).map_err(refused(path))?,
            None => output.raw(text)?,
        }
        text.clear();
        Ok(())
    };
    let outcome = each(&args.file.log, &mut log, &mut filter, output, |entry, output| {
        row(&mut text, entry);
        if text.len() >= PIECE { write(&mut text, output) } else { Ok(()) }
    });
    write(&mut text, output)?;
    outcome
}

fn jsonl(text: &mut Vec<u8>, entry: &Entry) {
    // A vector takes all.
    let _ = serde_json::to_writer(&mut *text, &LogRow::from(entry));
    text.push(b'\n');
}
