//! One file per command: plain arguments in, rows out.

pub mod cpus;
pub mod find;
pub mod layout;
pub mod mtree;
pub mod p2v;
pub mod ps;
pub mod pt;
pub mod ram;
pub mod read;
pub mod regs;
pub mod roots;
pub mod shell;
pub mod v2p;
pub mod r#where;
pub mod write;
pub mod x;

use rr_mem::{
    addr::{Gpa, Gva},
    guest::{Guest, VirtualReadCause, VirtualReadError},
    memory::ReadCause,
    mmu::Space,
    report::{ErrorRow, FaultRow},
};
use serde::Serialize;

use crate::output::{Outcome, Output};

/// `4K`, `2M`, `1G`; other sizes in hex.
fn size(bytes: u64) -> String {
    const UNITS: [(u64, &str); 4] =
        [(1 << 40, "T"), (1 << 30, "G"), (1 << 20, "M"), (1 << 10, "K")];
    match UNITS.iter().find(|(unit, _)| bytes >= *unit && bytes.is_multiple_of(*unit)) {
        Some((unit, letter)) => format!("{}{letter}", bytes / unit),
        None => format!("{bytes:#x}"),
    }
}

/// A place in words: `pc.ram+0x1000`.
fn place(region: Option<&str>, offset: Option<u64>) -> String {
    match (region, offset) {
        (Some(region), Some(offset)) => format!("  {region}+{offset:#x}"),
        _ => String::new(),
    }
}

/// Tables that could not be read, and limits that were hit: mappings may be
/// missing from what was listed.
fn complain_about(guest: &Guest, space: &Space, output: &mut Output) -> anyhow::Result<Outcome> {
    let mut outcome = Outcome::Answered;
    if let [first, others @ ..] = space.unreadable() {
        let source = guest.explain(first.source.clone());
        let more = match others.len() {
            0 => String::new(),
            count => format!(", and {count} more like it"),
        };
        let what = format!("what the {} entry at {} maps is not known", first.level, first.at);
        output.complain(format!("{what}{more}: {source}"), source.hint())?;
        outcome = Outcome::Unreadable;
    }
    if space.truncated() {
        output.complain("the tables are larger than any kernel's: not all were read", "")?;
        outcome = Outcome::Unreadable;
    }
    Ok(outcome)
}

/// Reads guest memory `offset` bytes behind a virtual or physical address: how
/// many bytes could be read, and what stopped it.
fn read_at(
    guest: &Guest,
    physical: bool,
    (start, offset): (u64, u64),
    dst: &mut [u8],
) -> (usize, Option<VirtualReadError>) {
    let Some(addr) = start.checked_add(offset) else {
        return (0, Some(VirtualReadError { gva: Gva(0), cause: VirtualReadCause::End }));
    };
    let result = match physical {
        false => guest.read_virtual(Gva(addr), dst),
        true => guest.read_physical(Gpa(addr), dst).map_err(|error| VirtualReadError {
            gva: Gva(error.addr),
            cause: VirtualReadCause::Data(error),
        }),
    };
    match result {
        Ok(()) => (dst.len(), None),
        Err(error) => (error.gva.0.wrapping_sub(addr) as usize, Some(error)),
    }
}

/// A read that ended early, as a row of its own.
#[derive(Serialize)]
struct ReadFailure {
    /// The first address that could not be read.
    addr: String,
    fault: Option<FaultRow>,
    error: Option<ErrorRow>,
}

/// Says where a virtual read ended: a hole in the guest's map is an answer, a
/// failure to read is not.
fn complain_read(error: &VirtualReadError, output: &mut Output) -> anyhow::Result<Outcome> {
    let (fault, row, outcome, hint) = match &error.cause {
        VirtualReadCause::Fault(fault) => (Some(fault.into()), None, Outcome::Negative, ""),
        VirtualReadCause::Table(table) => {
            (None, Some((&**table).into()), Outcome::Unreadable, table.source.hint())
        }
        VirtualReadCause::Data(data) => {
            let hole = matches!(data.cause, ReadCause::Hole | ReadCause::Device(_));
            let outcome = if hole { Outcome::Negative } else { Outcome::Unreadable };
            (None, Some(data.into()), outcome, data.hint())
        }
        VirtualReadCause::End => (None, None, Outcome::Negative, ""),
        VirtualReadCause::Missing(missing) => {
            (None, Some((*missing).into()), Outcome::Unreadable, missing.hint())
        }
    };
    if output.json {
        output.row(&ReadFailure { addr: error.gva.to_string(), fault, error: row })?;
    }
    output.complain(format!("stopped at {error}"), hint)?;
    Ok(outcome)
}
