//! `rr-mem log hash`.

use rr_mem::{replay::digest::Digests, report::log::HashRow};

use super::{between, each, open};
use crate::{
    cli::log::Hash,
    output::{Outcome, Output},
};

pub fn run(args: &Hash, output: &mut Output) -> anyhow::Result<Outcome> {
    let mut log = open(&args.file.log)?;
    let mut digests = Digests::every(args.every.unwrap_or(u64::MAX));
    let outcome =
        each(&args.file.log, &mut log, &mut between(None, None)?, output, |entry, output| {
            match digests.add(entry) {
                Some(passed) => output.answer(&HashRow::from(passed)),
                None => Ok(()),
            }
        })?;
    output.answer(&HashRow::from(digests.end()))?;
    Ok(outcome)
}
