//! `rr-mem roots`.

use rr_mem::{
    mmu::{find_roots, usual_shapes},
    report::RootRow,
};

use crate::{
    cli::Roots,
    output::{Outcome, Output, Progress, note},
    source,
};

pub fn run(args: &Roots, output: &mut Output) -> anyhow::Result<Outcome> {
    let opened = source::open(&args.source, output.verbose)?;
    let memory = opened.guest.memory().map_err(source::lacks)?;
    let shapes =
        if opened.mode_known { vec![opened.cpu.regs] } else { usual_shapes(&opened.cpu.regs) };
    let mut progress = Progress::new("scanning");
    let roots =
        find_roots(&shapes, memory, &opened.coverage.held, &mut |bytes| progress.set(bytes));
    drop(progress);
    if roots.truncated {
        note("gave up on tables that lead into each other without end: some may be missing");
    }
    for root in roots.candidates.iter().take(args.limit) {
        output.answer(&RootRow::from(root))?;
    }
    Ok(if roots.candidates.is_empty() { Outcome::Negative } else { Outcome::Answered })
}
