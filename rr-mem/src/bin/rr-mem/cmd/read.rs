//! `rr-mem read`.

use std::{
    fs::File,
    io::{self, Write},
};

use rr_mem::{
    addr::Hex,
    report::{Bytes, ReadRow},
};

use super::{complain_read, guest_address};
use crate::{
    cli::Read,
    output::{Outcome, Output, Progress, failed},
    source,
};

/// Bytes read at once.
const CHUNK: u64 = 1 << 20;

/// Bytes of a row of JSON.
const ROW: usize = 4096;

pub fn run(args: &Read, output: &mut Output) -> anyhow::Result<Outcome> {
    let opened = match args.phys {
        true => source::open(&args.source, output)?,
        false => source::open_paged(&args.source, output)?,
    };
    if let Err(missing) = opened.guest.memory() {
        return Err(source::lacks(missing));
    }
    let mut file = args.output.as_deref().map(File::create).transpose().map_err(cannot_write)?;
    let mut progress = Progress::new("reading");
    let mut bytes = vec![0; CHUNK.min(args.len) as usize];
    let start = guest_address(args.address, args.phys);
    let mut done = 0;
    while done < args.len {
        let len = CHUNK.min(args.len - done) as usize;
        let dst = &mut bytes[..len];
        let (read, error) = opened.guest.read_at(start, done, dst);
        let read = &bytes[..read];
        match &mut file {
            Some(file) => file.write_all(read).map_err(cannot_write)?,
            None if output.json => rows(args.address.wrapping_add(done), read, output)?,
            None => output.raw(read)?,
        }
        if let Some(error) = error {
            return complain_read(&error, output);
        }
        done += len as u64;
        progress.set(done);
    }
    Ok(Outcome::Answered)
}

fn cannot_write(error: io::Error) -> anyhow::Error {
    failed(format!("could not write the output file: {error}"), "check its path and its disk")
}

fn rows(addr: u64, bytes: &[u8], output: &mut Output) -> anyhow::Result<()> {
    for (number, bytes) in (0..).zip(bytes.chunks(ROW)) {
        output.row(&ReadRow {
            addr: Hex(addr.wrapping_add(number * ROW as u64)),
            length: Hex(bytes.len() as u64),
            data: Bytes(bytes.to_vec()),
        })?;
    }
    Ok(())
}
