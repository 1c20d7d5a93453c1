//! `rr-mem state`.

use std::ops::ControlFlow;

use rr_mem::{
    image::{self, OpenOptions, savevm::StateField},
    report::StateRow,
};

use crate::{
    cli::State,
    output::{Outcome, Output, Progress, failed},
};

/// Bytes of a buffer that are shown in a line of text.
const SHOWN: usize = 32;

pub fn run(args: &State, output: &mut Output) -> anyhow::Result<Outcome> {
    let shown = args.file.display();
    let fail = |error: image::ImageError| failed(format!("{shown}: {error}"), error.hint());
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
        printed = print(field, &row, output);
        if printed.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    printed?;
    visited.map_err(fail)?;
    Ok(outcome)
}

fn print(field: &StateField<'_>, row: &StateRow<'_>, output: &mut Output) -> anyhow::Result<()> {
    if output.json {
        return output.row(row);
    }
    let (kind, name) = (field.kind, row.name());
    match field.bytes.get(..SHOWN).filter(|_| row.is_bytes()) {
        Some(start) => {
            let (start, len) = (StateRow::hex(start), field.bytes.len());
            output.line(format_args!("{name}  {kind}  {start}... ({len:#x} bytes)"))
        }
        None => output.line(format_args!("{name}  {kind}  {}", row.value)),
    }
}
