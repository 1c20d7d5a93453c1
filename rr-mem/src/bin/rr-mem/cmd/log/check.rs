//! `rr-mem log check`.

use std::path::Path;

use rr_mem::{
    container::stream::{self, Sum},
    replay::{
        EventLog,
        check::{Check, Finding},
    },
};
use serde::Serialize;

use super::{is_stdin, open};
use crate::{
    cli::log,
    output::{Outcome, Output, failed},
};

#[derive(Serialize)]
struct Row<'a> {
    finding: &'a str,
    what: &'a str,
    why: &'a str,
}

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
    for finding in &findings {
        show(finding, output)?;
    }
    Ok(match (error, findings.is_empty()) {
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
    let sums = stream::verify(path).map_err(|error| {
        failed(format!("{}: {error}", path.display()), "check that the archive is complete")
    })?;
    // PANDA's list leaves out the members that it adds last.
    let wrong = |sum: &Sum| sum.listed.is_some() && !sum.is_right();
    let wrong = sums.unwrap_or_default().into_iter().filter(wrong);
    Ok(wrong.map(|sum| finding(&sum)).collect())
}

fn finding(sum: &Sum) -> Finding {
    let what = match (&sum.listed, &sum.found) {
        (Some(_), None) => format!("the archive lists {}, and does not hold it", sum.name),
        (listed, found) => format!(
            "the SHA-1 of {} is {}, listed is {}",
            sum.name,
            found.as_deref().unwrap_or_default(),
            listed.as_deref().unwrap_or_default()
        ),
    };
    Finding { name: "sha1", what, why: "the archive was changed or damaged after the recording" }
}

fn show(finding: &Finding, output: &mut Output) -> anyhow::Result<()> {
    let Finding { name, what, why } = finding;
    if output.json {
        return output.row(&Row { finding: name, what, why });
    }
    output.line(format_args!("{name}: {what}\n    {why}"))
}
