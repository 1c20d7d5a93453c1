//! `rr-mem state`.

use std::ops::ControlFlow;

use rr_mem::{
    image::{self, OpenOptions},
    report::StateRow,
};

use crate::{
    cli::State,
    output::{Outcome, Output, Progress, failed},
};

pub fn run(args: &State, output: &mut Output) -> anyhow::Result<Outcome> {
    let shown = args.file.display();
    let fail = |error: image::ImageError| failed(format!("{shown}: {error}"), error.advice());
    let mut progress = Progress::new("reading");
    let options = OpenOptions::default().snapshot(args.snapshot.as_deref());
    let stream = image::open_stream(&args.file, &options, &mut |bytes| progress.set(bytes));
    let stream = stream.map_err(fail)?;
    drop(progress);
    let mut printed = Ok(());
    let mut outcome = Outcome::Negative;
    let visited = stream.fields(&mut |field| {
        let row = StateRow::new(field);
        if !args.path.as_deref().is_none_or(|path| row.is_in(path)) {
            return ControlFlow::Continue(());
        }
        outcome = Outcome::Answered;
        printed = output.answer(&row);
        if printed.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    printed?;
    visited.map_err(fail)?;
    Ok(outcome)
}
