//! `rr-mem log serial`.

use rr_mem::{
    replay::{
        Entry, Event,
        panda::{self, Call},
        qemu::{self, Async},
    },
    report::log::line::Escaped,
};
use serde::Serialize;

use super::{each, open};
use crate::{
    cli::log::Serial,
    output::{Outcome, Output},
};

/// No line is longer, in bytes.
const MOST: usize = 4096;

/// Bytes in one direction.
struct Line {
    instructions: u64,
    out: bool,
    bytes: Vec<u8>,
}

#[derive(Serialize)]
struct Row {
    instr: u64,
    direction: &'static str,
    text: String,
}

pub fn run(args: &Serial, output: &mut Output) -> anyhow::Result<Outcome> {
    let mut filter = super::between(None, None)?;
    let mut log = open(&args.file.log)?;
    let mut line: Option<Line> = None;
    let mut found = false;
    let outcome = each(&args.file.log, &mut log, &mut filter, output, |entry, output| {
        let mut byte = [0];
        let Some((out, bytes)) = bytes(entry, &mut byte) else { return Ok(()) };
        found = true;
        if args.raw {
            return if out { output.write(bytes) } else { Ok(()) };
        }
        for &byte in bytes {
            add(&mut line, entry.instructions, out, byte, output)?;
        }
        Ok(())
    });
    if let Some(line) = line {
        show(&line, output)?;
    }
    let empty = if found { Outcome::Answered } else { Outcome::Negative };
    Ok(outcome?.max(empty))
}

/// The bytes of an entry, and whether the guest sent them.
fn bytes<'a>(entry: &Entry<'a>, byte: &'a mut [u8; 1]) -> Option<(bool, &'a [u8])> {
    match entry.event() {
        Event::Panda(_, panda::Event::SkippedCall(call)) => {
            let (out, value) = match call {
                Call::SerialSend(sent) => (true, sent.value),
                Call::SerialReceive(got) => (false, got.value),
                _ => return None,
            };
            byte[0] = value;
            Some((out, byte))
        }
        Event::Qemu(qemu::Event::Async { what: Async::CharRead { data, .. }, .. }) => {
            Some((false, data))
        }
        _ => None,
    }
}

/// Adds a byte to the line, which ends at a newline or where the direction
/// changes.
fn add(
    line: &mut Option<Line>,
    instructions: u64,
    out: bool,
    byte: u8,
    output: &mut Output,
) -> anyhow::Result<()> {
    if let Some(old) = line.take_if(|line| line.out != out || line.bytes.len() >= MOST) {
        show(&old, output)?;
    }
    let now = line.get_or_insert(Line { instructions, out, bytes: Vec::new() });
    now.bytes.push(byte);
    if byte == b'\n'
        && let Some(whole) = line.take()
    {
        show(&whole, output)?;
    }
    Ok(())
}

fn show(line: &Line, output: &mut Output) -> anyhow::Result<()> {
    if output.json {
        let direction = if line.out { "out" } else { "in" };
        let text = line.bytes.escape_ascii().to_string();
        return output.row(&Row { instr: line.instructions, direction, text });
    }
    let sign = if line.out { '>' } else { '<' };
    output.line(format_args!("{:>12} {sign} {}", line.instructions, Escaped(&line.bytes)))
}
