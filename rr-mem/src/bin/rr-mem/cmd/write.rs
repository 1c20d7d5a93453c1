//! `rr-mem write`.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use rr_mem::{
    addr::GuestAddress,
    guest::GuestReadCause,
    host::HostKind,
    report::WrittenRow,
    write::{self, MOST_BYTES, WriteError, WrittenRun},
};

use super::guest_address;
use crate::{
    cli::{Bytes, Write},
    output::{Outcome, Output, failed, usage},
    source::{self, emulator},
};

pub fn run(args: &Write, output: &mut Output) -> anyhow::Result<Outcome> {
    if !args.write_guest_memory {
        return Err(usage("this changes the guest", "if you mean it, give --write-guest-memory"));
    }
    if !source::is_emulator(&args.source.emulator) || args.source.emulator.core.is_some() {
        return Err(usage(
            "only the memory of a running emulator can be written",
            "give --pid PID or --qmp SOCKET",
        ));
    }
    let bytes = match (&args.bytes, &args.file) {
        (Some(Bytes(bytes)), _) => bytes.clone(),
        (None, file) => file.as_deref().map_or_else(|| Ok(Vec::new()), read)?,
    };
    let opened = source::open_emulator(&args.source, output)?;
    let HostKind::Process(process) = emulator(&opened.source)?.host.kind() else {
        return Ok(Outcome::Unreadable);
    };
    let target = guest_address(args.address, args.phys);
    if let (GuestAddress::Virtual(_), Err(missing)) = (target, opened.guest.mmu()) {
        return Err(source::lacks(missing));
    }
    let pieces = write::plan(&opened.guest, process, target, bytes.len());
    let written = pieces.and_then(|pieces| {
        write::write(process, &pieces, &bytes)?;
        Ok(pieces)
    });
    match written {
        Ok(pieces) => show(&pieces, output),
        Err(error @ WriteError::TooLong(_)) => Err(usage(&error, error.advice())),
        Err(error) => refuse(&error, output),
    }
}

/// The bytes of a file, one more than are written at most.
fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = |bytes: &mut Vec<u8>| -> io::Result<usize> {
        File::open(path)?.take(MOST_BYTES as u64 + 1).read_to_end(bytes)
    };
    read(&mut bytes)
        .map_err(|error| failed(format!("{}: {error}", path.display()), "check the path"))?;
    Ok(bytes)
}

/// Refused bytes are an answer; bytes that could not be read, or were lost, are a failure.
fn refuse(error: &WriteError, output: &mut Output) -> anyhow::Result<Outcome> {
    output.complain(error, error.advice())?;
    Ok(match error {
        WriteError::Refused { .. } => Outcome::Negative,
        WriteError::Virtual(error) if matches!(error.cause, GuestReadCause::Fault(_)) => {
            Outcome::Negative
        }
        _ => Outcome::Unreadable,
    })
}

fn show(pieces: &[WrittenRun], output: &mut Output) -> anyhow::Result<Outcome> {
    for &WrittenRun { gpa, hva, len, .. } in pieces {
        output.answer(&WrittenRow { gpa, host: hva, bytes: len })?;
    }
    Ok(Outcome::Answered)
}
