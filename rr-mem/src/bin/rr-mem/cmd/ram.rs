//! `rr-mem ram`.

use rr_mem::{
    host::{AnyHost, AnyHostMemory, Host},
    region::RamBlock,
    report::RamRow,
};

use super::size;
use crate::{
    cli::Ram,
    output::{Outcome, Output},
    source::emulator::attach,
};

pub fn run(args: &Ram, output: &mut Output) -> anyhow::Result<Outcome> {
    let emulator = attach(&(&args.emulator).into(), output.verbose)?;
    for block in emulator.machine.map.ram_blocks() {
        let row = row(block, &emulator.host);
        if output.json {
            output.row(&row)?;
        } else {
            output.line(text(&row))?;
        }
    }
    Ok(Outcome::Answered)
}

fn row(block: &RamBlock, host: &AnyHost) -> RamRow {
    let (start, len) = (block.host, block.used_length);
    let row = RamRow::new(block, host.areas());
    match host.memory() {
        AnyHostMemory::Process(memory) => {
            RamRow { resident: start.and_then(|start| memory.resident(start, len)), ..row }
        }
        AnyHostMemory::Core(memory) => {
            RamRow { in_core: start.map(|start| memory.held(start, len)), ..row }
        }
    }
}

fn text(row: &RamRow) -> String {
    let RamRow { name, offset, used_length, .. } = row;
    let host = row.host.map_or("unknown".into(), |host| host.to_string());
    let max = match row.max_length {
        max if max == *used_length => String::new(),
        max => format!(" of at most {}", size(max)),
    };
    let there = match (row.resident, row.in_core) {
        (_, Some(0)) => "not in the core".into(),
        (_, Some(bytes)) => format!("{} in the core", size(bytes)),
        (Some(bytes), None) => format!("resident {}", size(bytes)),
        (None, None) => "resident unknown".into(),
    };
    let backing = match row.backing.as_deref() {
        None => "unknown",
        Some("") => "anonymous memory",
        Some(name) => name,
    };
    format!(
        "{name}  host {host}  {}{max}  {there}  ram_addr {offset:#x}  pages of {}  {backing}",
        size(*used_length),
        size(row.page_size),
    )
}
