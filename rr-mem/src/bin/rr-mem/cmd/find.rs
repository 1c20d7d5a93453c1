//! `rr-mem find`.

use rr_mem::{addr::Gpa, report::FindRow};

use crate::{
    cli::Find,
    output::{Outcome, Output},
    source,
};

pub fn run(args: &Find, output: &mut Output) -> anyhow::Result<Outcome> {
    let opened = source::open(&args.source, output)?;
    let mut outcome = Outcome::Answered;
    for &gpa in &args.addresses {
        let gpa = Gpa(gpa);
        let found = opened.guest.find(gpa, args.size).map_err(source::lacks)?;
        let row = FindRow::new(&opened.guest, gpa, found.as_ref());
        if found.is_none() {
            outcome = Outcome::Negative;
        }
        output.answer(&row)?;
    }
    Ok(outcome)
}
