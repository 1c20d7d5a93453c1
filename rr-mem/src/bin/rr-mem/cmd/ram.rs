//! `rr-mem ram`.

use rr_mem::{host::Host, report::RamRow};

use super::size;
use crate::{
    cli::Ram,
    output::{Outcome, Output},
    source::emulator::attach_any,
};

pub fn run(args: &Ram, output: &mut Output) -> anyhow::Result<Outcome> {
    let emulator = attach_any(&args.emulator, output.verbose)?;
    for block in emulator.machine.map.ram_blocks() {
        let resident =
            block.host.and_then(|host| emulator.process.memory().resident(host, block.used_length));
        let row = RamRow::new(block, emulator.process.areas(), resident);
        if output.json {
            output.row(&row)?;
        } else {
            output.line(text(&row))?;
        }
    }
    Ok(Outcome::Answered)
}

fn text(row: &RamRow) -> String {
    let RamRow { name, offset, used_length, .. } = row;
    let host = row.host.map_or("unknown".into(), |host| host.to_string());
    let max = match row.max_length {
        max if max == *used_length => String::new(),
        max => format!(" of at most {}", size(max)),
    };
    let resident = row.resident.map_or("unknown".into(), size);
    let backing = match row.backing.as_deref() {
        None => "unknown",
        Some("") => "anonymous memory",
        Some(name) => name,
    };
    format!(
        "{name}  host {host}  {}{max}  resident {resident}  ram_addr {offset:#x}  pages of {}  {backing}",
        size(*used_length),
        size(row.page_size),
    )
}
