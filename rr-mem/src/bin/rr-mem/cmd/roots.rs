//! `rr-mem roots`.

use rr_mem::{
    mmu::{RootCandidate, find_roots},
    report::RootRow,
};

use crate::{
    cli::Roots,
    output::{Outcome, Output, Progress},
    source,
};

pub fn run(args: &Roots, output: &mut Output) -> anyhow::Result<Outcome> {
    let opened = source::open(&args.source, output.verbose)?;
    let memory = opened.guest.memory().map_err(|missing| opened.lacks(missing))?;
    let mut progress = Progress::new("scanning");
    let roots = find_roots(&opened.shape, memory, &opened.held, &mut |bytes| progress.set(bytes));
    drop(progress);
    for root in roots.iter().take(args.limit) {
        if output.json {
            output.row(&RootRow::from(root))?;
        } else {
            output.line(text(root))?;
        }
    }
    Ok(if roots.is_empty() { Outcome::Negative } else { Outcome::Answered })
}

fn text(root: &RootCandidate) -> String {
    let pair = root.pair.map_or(String::new(), |pair| format!("  KPTI pair with {pair}"));
    format!(
        "{}  {}  kernel pages {}  user pages {}  same kernel half in {} tables{pair}",
        root.root, root.mode, root.kernel_pages, root.user_pages, root.shared_by
    )
}
