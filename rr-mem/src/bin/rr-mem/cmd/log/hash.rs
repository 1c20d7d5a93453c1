//! `rr-mem log hash`.

use rr_mem::replay::digest::Digest;
use serde::Serialize;

use super::{between, each, open};
use crate::{
    cli::log::Hash,
    output::{Outcome, Output},
};

#[derive(Serialize)]
struct Row {
    instr: u64,
    entries: u64,
    digest: String,
}

pub fn run(args: &Hash, output: &mut Output) -> anyhow::Result<Outcome> {
    let mut log = open(&args.file.log)?;
    let every = args.every.unwrap_or(u64::MAX);
    let mut next = every;
    let mut digest = Digest::default();
    let mut last = 0;
    let outcome =
        each(&args.file.log, &mut log, &mut between(None, None)?, output, |entry, output| {
            if entry.instructions >= next {
                // A line stands for the last multiple before the entry.
                next = entry.instructions - entry.instructions % every;
                show(next, &digest, output)?;
                next = next.saturating_add(every);
            }
            last = entry.instructions;
            digest.add(entry);
            Ok(())
        })?;
    show(last, &digest, output)?;
    Ok(outcome)
}

fn show(instr: u64, digest: &Digest, output: &mut Output) -> anyhow::Result<()> {
    let row = Row { instr, entries: digest.entries(), digest: digest.hex() };
    if output.json {
        return output.row(&row);
    }
    output.line(format_args!("{:>12} {:>10} {}", row.instr, row.entries, row.digest))
}
