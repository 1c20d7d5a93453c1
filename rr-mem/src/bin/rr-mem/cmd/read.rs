//! `rr-mem read`.

use std::{
    fs::File,
    io::{BufWriter, Write},
};

use rr_mem::{
    addr::{Gpa, Gva},
    guest::{VirtualReadCause, VirtualReadError},
};

use super::complain_read;
use crate::{
    cli::Read,
    output::{Failed, Outcome, Output, Progress},
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
            Failed::error(format!("could not write the output file: {error}"), "check its path")
        })?
        .map(BufWriter::new);
    let mut progress = Progress::new("reading");
    let mut bytes = vec![0; CHUNK.min(args.len) as usize];
    let mut done = 0;
    while done < args.len {
        let len = CHUNK.min(args.len - done) as usize;
        let addr = args.address.wrapping_add(done);
        let result = match args.phys {
            false => opened.guest.read_virtual(Gva(addr), &mut bytes[..len]),
            true => opened.guest.read_physical(Gpa(addr), &mut bytes[..len]).map_err(physical),
        };
        let read = match &result {
            Ok(()) => len,
            Err(error) => error.gva.0.wrapping_sub(addr) as usize,
        };
        match &mut file {
            Some(file) => file.write_all(&bytes[..read])?,
            None => output.raw(&bytes[..read])?,
        }
        if let Err(error) = result {
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

fn physical(error: rr_mem::memory::ReadError) -> VirtualReadError {
    VirtualReadError { gva: Gva(error.addr), cause: VirtualReadCause::Data(error) }
}
