//! `rr-mem roots`.

use rr_mem::report::RootRow;

use crate::{
    cli::Roots,
    output::{Outcome, Output, Progress, note},
    source,
};

pub fn run(args: &Roots, output: &mut Output) -> anyhow::Result<Outcome> {
    let opened = source::open(&args.source, output)?;
    let mut progress = Progress::new("scanning");
    let roots = opened.roots(&mut |bytes| progress.set(bytes)).map_err(source::lacks)?;
    drop(progress);
    if roots.truncated {
        note("gave up on tables that lead into each other without end: some may be missing");
    }
    for root in roots.candidates.iter().take(args.limit) {
        output.answer(&RootRow::from(root))?;
    }
    Ok(if roots.candidates.is_empty() { Outcome::Negative } else { Outcome::Answered })
}
