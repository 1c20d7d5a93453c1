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
    match output.json {
        true => output.row(&row)?,
        false => text(&row, output)?,
    }
    Ok(Outcome::Answered)
}

fn text(row: &RegsRow, output: &mut Output) -> anyhow::Result<()> {
    let RegsRow { cpu, arch, mode, registers } = row;
    output.line(format_args!("CPU {cpu}  {arch}  {}", mode.unwrap_or("unknown mode")))?;
    let shown = |(name, value): &(&str, Option<u64>)| match value {
        Some(value) => format!("{name}={value:#x}"),
        None => format!("{name}=unknown"),
    };
    output.line(format_args!("  {}", registers.iter().map(shown).collect::<Vec<_>>().join(" ")))
}
