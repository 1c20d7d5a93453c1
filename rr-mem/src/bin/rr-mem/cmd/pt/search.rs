//! `--find-string` and `--find-bytes`.

use rr_mem::{
    guest::search::{Hit, SearchObserver, Searching},
    mmu::{Merge, VirtualSpace},
    report::{HitRow, filter::Selection},
};

use crate::{
    output::{Outcome, Output, Progress},
    source::Opened,
};

struct Shown<'a> {
    output: &'a mut Output,
    progress: Progress,
}

impl SearchObserver for Shown<'_> {
    type Error = anyhow::Error;

    fn found(&mut self, hit: Hit) -> anyhow::Result<()> {
        self.output.answer(&HitRow::from(hit))
    }

    fn searched(&mut self, bytes: u64) {
        self.progress.set(bytes);
    }
}

pub fn run(
    opened: &Opened,
    space: &VirtualSpace,
    wanted: &Selection,
    needle: &[u8],
    output: &mut Output,
) -> anyhow::Result<Outcome> {
    let parts = space.mappings(Merge::Physical).filter_map(|mapping| wanted.part(&mapping));
    let searching = Searching { needle, held: &opened.coverage.held };
    let mut shown = Shown { output, progress: Progress::new("searching") };
    let searched = opened.guest.search(parts, searching, &mut shown)?;
    drop(shown.progress);
    if let Some(error) = &searched.absent {
        let what = format!("{:#x} mapped bytes were not searched: {error}", searched.absent_bytes);
        output.complain(what, error.advice())?;
        return Ok(Outcome::Unreadable);
    }
    Ok(if searched.hits > 0 { Outcome::Answered } else { Outcome::Negative })
}
