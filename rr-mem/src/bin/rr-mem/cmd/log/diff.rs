//! `rr-mem log diff`.

use rr_mem::{
    replay::diff::diff,
    report::log::{LogDiffRow, line::words},
};

use super::open;
use crate::{
    cli::log::Diff,
    output::{Outcome, Output, usage},
};

pub fn run(args: &Diff, output: &mut Output) -> anyhow::Result<Outcome> {
    let (mut a, mut b) = (open(&args.a)?, open(&args.b)?);
    if std::mem::discriminant(&a) != std::mem::discriminant(&b) {
        return Err(usage(
            "one is a log of PANDA, the other of QEMU",
            "only logs of the same emulator can be compared",
        ));
    }
    let (summary, errors) = diff(&mut a, &mut b, &words);
    let equal = summary.equal();
    output.answer(&LogDiffRow::from(summary))?;
    let mut outcome = if equal { Outcome::Answered } else { Outcome::Negative };
    for (path, error) in [&args.a, &args.b].into_iter().zip(errors) {
        let Some(error) = error else { continue };
        output.complain(format!("{}: {error}", path.display()), error.kind.advice())?;
        outcome = Outcome::Unreadable;
    }
    Ok(outcome)
}
