//! `rr-mem slice`.

use rr_mem::{
    addr::{Gpa, Gva},
    guest::slice::{SliceContents, SliceError},
    report::SliceRow,
    save::{self, SliceAsked, SliceFileError},
};

use super::saving;
use crate::{
    cli::Slice,
    output::{Outcome, Output, Progress, usage},
    source,
};

pub fn run(args: &Slice, output: &mut Output) -> anyhow::Result<Outcome> {
    let contents = contents(args)?;
    let asked = SliceAsked { contents, redact: args.redact, writer: saving::writer("slice") };
    let opened = source::open(&args.source, output)?;
    let mut progress = Progress::new("writing");
    let sliced = save::slice(&opened, &args.output, &asked, &mut |bytes| progress.set(bytes));
    drop(progress);
    let sliced = sliced.map_err(|error| refuse(&error))?;
    saving::note_numbers(&opened);
    output.answer(&SliceRow::from(&sliced))?;
    let mut outcome = Outcome::Answered;
    for shortfall in sliced.shortfalls {
        output.complain(shortfall.what, shortfall.advice)?;
        let answered = shortfall.answered;
        outcome = outcome.max(if answered { Outcome::Negative } else { Outcome::Unreadable });
    }
    Ok(outcome)
}

fn contents(args: &Slice) -> anyhow::Result<SliceContents> {
    if args.gva.is_empty() && args.gpa.is_empty() && !args.space {
        return Err(usage("nothing is asked for", "give --gva, --gpa or --space"));
    }
    Ok(SliceContents {
        gva: args.gva.iter().map(|range| Gva(*range.start())..=Gva(*range.end())).collect(),
        gpa: args.gpa.iter().map(|range| Gpa(*range.start())..=Gpa(*range.end())).collect(),
        space: args.space,
    })
}

fn refuse(error: &SliceFileError) -> anyhow::Error {
    match error {
        SliceFileError::Contents(SliceError::Missing(missing)) => source::lacks(*missing),
        SliceFileError::File(error) => saving::refuse(error),
        _ => usage(error, "give smaller ranges, or --space for its tables"),
    }
}
