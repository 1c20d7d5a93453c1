//! `rr-mem read`.

use std::{
    fs::File,
    io::{BufWriter, Write},
};

use super::complain_read;
use crate::{
    cli::Read,
    output::{Outcome, Output, Progress, failed},
    source,
};

/// Bytes read at once.
const CHUNK: u64 = 1 << 20;

pub fn run(args: &Read, output: &mut Output) -> anyhow::Result<Outcome> {
    let opened = match args.phys {
        true => source::open(&args.source, output.verbose)?,
        false => source::open_paged(&args.source, output.verbose)?,
    };
    if let Err(missing) = opened.guest.memory() {
        return Err(opened.lacks(missing));
    }
    let mut file = args
        .output
        .as_deref()
        .map(File::create)
        .transpose()
        .map_err(|error| {
            failed(format!("could not write the output file: {error}"), "check its path")
        })?
        .map(BufWriter::new);
    let mut progress = Progress::new("reading");
    let mut bytes = vec![0; CHUNK.min(args.len) as usize];
    let mut done = 0;
    while done < args.len {
        let len = CHUNK.min(args.len - done) as usize;
        let dst = &mut bytes[..len];
        let (read, error) = opened.guest.read_at(args.phys, args.address, done, dst);
        match &mut file {
            Some(file) => file.write_all(&bytes[..read])?,
            None => output.raw(&bytes[..read])?,
        }
        if let Some(error) = error {
            if let Some(file) = &mut file {
                file.flush()?;
            }
            output.json = false;
            return complain_read(&error, output);
        }
        done += len as u64;
        progress.set(done);
    }
    if let Some(file) = &mut file {
        file.flush()?;
    }
    Ok(Outcome::Answered)
}
