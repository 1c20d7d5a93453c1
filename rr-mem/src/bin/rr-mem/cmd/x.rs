//! `rr-mem x`.

use rr_mem::{
    guest::VirtualReadError,
    regs::Arch,
    report::examine::{Format, Letter, STRING_WINDOW, quoted, string_at},
};
use serde::Serialize;

use super::{complain_read, read_at};
use crate::{
    cli::X,
    output::{Outcome, Output, usage},
    source::{self, Opened},
};

/// A line of values.
#[derive(Serialize)]
struct Row {
    addr: String,
    values: Vec<String>,
}

pub fn run(args: &X, output: &mut Output) -> anyhow::Result<Outcome> {
    // A wrong format is said before a large file is opened.
    parse(&args.format, 8)?;
    let opened = match args.phys {
        true => source::open(&args.source, output.verbose)?,
        false => source::open_paged(&args.source, output.verbose)?,
    };
    if let Err(missing) = opened.guest.memory() {
        return Err(opened.lacks(missing));
    }
    let pointer = match opened.shape.arch() {
        Arch::I386 | Arch::Arm => 4,
        Arch::X86_64 | Arch::Aarch64 => 8,
    };
    let format = parse(&args.format, pointer)?;
    let result = match format.letter {
        Letter::String => strings(args, format, &opened, output)?,
        _ => values(args, format, &opened, output)?,
    };
    match result {
        Ok(()) => Ok(Outcome::Answered),
        Err(error) => complain_read(&error, output),
    }
}

fn parse(format: &str, pointer: usize) -> anyhow::Result<Format> {
    Format::parse(format, pointer)
        .map_err(|error| usage(error, "see `rr-mem x --help` for the formats"))
}

/// Bytes read at once.
const CHUNK: usize = 1 << 16;

fn values(
    args: &X,
    format: Format,
    opened: &Opened,
    output: &mut Output,
) -> anyhow::Result<Result<(), VirtualReadError>> {
    let line = format.per_line() * format.size;
    let mut bytes = vec![0; CHUNK / line * line];
    let mut done: u64 = 0;
    let mut left = u128::from(format.count) * format.size as u128;
    while left > 0 {
        let wanted = left.min(bytes.len() as u128) as usize;
        let at = (args.address, done);
        let (len, error) = read_at(&opened.guest, args.phys, at, &mut bytes[..wanted]);
        let addr = args.address.wrapping_add(done);
        let whole = len / format.size * format.size;
        for (i, row) in bytes[..whole].chunks(line).enumerate() {
            let values = row.chunks(format.size).map(|value| format.value(value)).collect();
            show(addr.wrapping_add((i * line) as u64), values, output)?;
        }
        if let Some(error) = error {
            return Ok(Err(error));
        }
        done += len as u64;
        left -= len as u128;
    }
    Ok(Ok(()))
}

fn strings(
    args: &X,
    format: Format,
    opened: &Opened,
    output: &mut Output,
) -> anyhow::Result<Result<(), VirtualReadError>> {
    let mut done = 0;
    for _ in 0..format.count {
        let mut bytes = [0; STRING_WINDOW];
        let at = (args.address, done);
        let (len, error) = read_at(&opened.guest, args.phys, at, &mut bytes);
        let addr = args.address.wrapping_add(done);
        let (string, next, cut) = string_at(&bytes[..len]);
        if let (Some(error), true) = (error, cut) {
            if !string.is_empty() {
                show(addr, vec![quoted(string)], output)?;
            }
            return Ok(Err(error));
        }
        let dots = if cut { "..." } else { "" };
        show(addr, vec![format!("{}{dots}", quoted(string))], output)?;
        done += next as u64;
    }
    Ok(Ok(()))
}

fn show(addr: u64, values: Vec<String>, output: &mut Output) -> anyhow::Result<()> {
    let addr = format!("{addr:#x}");
    if output.json {
        output.row(&Row { addr, values })
    } else {
        output.line(format_args!("{addr}:\t{}", values.join("\t")))
    }
}
