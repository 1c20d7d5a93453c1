//! `rr-mem regs`.

use rr_mem::{guest::Missing, regs::RegisterSet, report::RegsRow};

use crate::{
    cli::Regs,
    output::{Outcome, Output},
    source,
};

pub fn run(args: &Regs, output: &mut Output) -> anyhow::Result<Outcome> {
    let opened = source::open(&args.source, output)?;
    let row = RegsRow::new(opened.number as usize, &opened.cpu, opened.mode_known);
    if row.registers.iter().all(|(_, value)| value.is_none()) {
        let none = Missing::Registers(RegisterSet::NONE);
        return Err(source::lacks(opened.other.map_or(none, Missing::Walker)));
    }
    output.answer(&row)?;
    Ok(Outcome::Answered)
}
