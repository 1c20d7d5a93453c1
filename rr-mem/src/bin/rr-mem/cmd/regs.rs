//! `rr-mem regs`.

use rr_mem::{guest::Missing, report::RegsRow};

use crate::{
    cli::Regs,
    output::{Outcome, Output},
    source,
};

pub fn run(args: &Regs, output: &mut Output) -> anyhow::Result<Outcome> {
    let opened = source::open(&args.source, output.verbose)?;
    let known = |name: &str| opened.knows(name);
    let row = RegsRow::new(args.source.cpu.number, &opened.shape, known, opened.control_known);
    if row.registers.iter().all(|(_, value)| value.is_none()) {
        return Err(opened.lacks(Missing::Registers));
    }
    output.answer(&row)?;
    Ok(Outcome::Answered)
}
