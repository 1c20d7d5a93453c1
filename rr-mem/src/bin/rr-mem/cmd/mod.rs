//! One file per command: plain arguments in, rows out.

pub mod convert;
pub mod cpus;
pub mod diff;
pub mod diverge;
pub mod find;
pub mod layout;
pub mod log;
pub mod mtree;
mod naming;
pub mod p2v;
pub mod ps;
pub mod pt;
pub mod ram;
pub mod read;
pub mod regs;
pub mod roots;
mod saving;
pub mod shell;
pub mod slice;
pub mod state;
pub mod v2p;
pub mod r#where;
pub mod write;
pub mod x;

use rr_mem::{
    addr::{Gpa, GuestAddress, Gva, Hex},
    advice::Advice,
    guest::{Guest, GuestReadCause, GuestReadError},
    memory::ReadCause,
    mmu::VirtualSpace,
    report::{ErrorRow, StopRow},
};

use crate::face::CommandLine;
use crate::output::{Outcome, Output};

/// An address as the flag `--phys` has it.
const fn guest_address(address: u64, physical: bool) -> GuestAddress {
    match physical {
        true => GuestAddress::Physical(Gpa(address)),
        false => GuestAddress::Virtual(Gva(address)),
    }
}

/// Tables that could not be read, and limits that were hit: mappings may be
/// missing from what was listed.
fn complain_about(
    guest: &Guest,
    space: &VirtualSpace,
    output: &mut Output,
) -> anyhow::Result<Outcome> {
    let gaps = guest.gaps(space.unreadable(), space.truncated());
    let outcome = if gaps.is_empty() { Outcome::Answered } else { Outcome::Unreadable };
    gaps.into_iter().try_for_each(|gap| output.complain(gap.what, gap.advice))?;
    Ok(outcome)
}

/// Says where a read ended: a hole in the guest's map is an answer, a
/// failure to read is not.
fn complain_read(error: &GuestReadError, output: &mut Output) -> anyhow::Result<Outcome> {
    let (fault, row, outcome, hint) = match &error.cause {
        GuestReadCause::Fault(fault) => {
            (Some(fault.into()), None, Outcome::Negative, Advice::Nothing)
        }
        GuestReadCause::Table(table) => (
            None,
            Some(ErrorRow::table(table, &CommandLine)),
            Outcome::Unreadable,
            table.source.advice(),
        ),
        GuestReadCause::Data(data) => {
            let hole = matches!(data.cause, ReadCause::Hole | ReadCause::Device(_));
            let outcome = if hole { Outcome::Negative } else { Outcome::Unreadable };
            (None, Some(ErrorRow::read(data, &CommandLine)), outcome, data.advice())
        }
        GuestReadCause::Missing(missing) => (
            None,
            Some(ErrorRow::missing(*missing, &CommandLine)),
            Outcome::Unreadable,
            missing.advice(),
        ),
        // The address space ends.
        _ => (None, None, Outcome::Negative, Advice::Nothing),
    };
    if output.json {
        output.row(&StopRow { addr: Hex(error.at.raw()), fault, error: row })?;
    }
    output.complain(format!("stopped at {error}"), hint)?;
    Ok(outcome)
}
