//! `rr-mem log check`.

use std::path::Path;

use rr_mem::{
    replay::{
        EventLog,
        check::{Check, Finding, archive_findings},
    },
    report::log::FindingRow,
};

use super::{is_stdin, open};
use crate::{
    cli::log,
    output::{Outcome, Output, failed},
};

pub fn run(args: &log::Check, output: &mut Output) -> anyhow::Result<Outcome> {
    let path = &args.file.log;
    let mut log = open(path)?;
    let mut check = Check::default();
    let error = loop {
        match log.next_entry() {
            Ok(Some(entry)) => check.add(&entry),
            Ok(None) => break None,
            Err(error) => break Some(error),
        }
    };
    let mut findings = check.findings(&log, error.as_ref());
    findings.extend(wrong_sums(path)?);
    let empty = findings.is_empty();
    findings.into_iter().try_for_each(|finding| output.answer(&FindingRow::from(finding)))?;
    Ok(match (error, empty) {
        (Some(_), _) => Outcome::Unreadable,
        (None, false) => Outcome::Negative,
        (None, true) => Outcome::Answered,
    })
}

/// Members of an rr2 archive that are not as its own list says.
fn wrong_sums(path: &Path) -> anyhow::Result<Vec<Finding>> {
    if is_stdin(path) {
        return Ok(Vec::new());
    }
    archive_findings(path).map_err(|error| {
        failed(format!("{}: {error}", path.display()), "check that the archive is complete")
    })
}
