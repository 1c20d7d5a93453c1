//! The entries of a record/replay log that bring data into the guest:
//! `cargo run --example log -- NAME-rr-nondet.log`.
#![allow(clippy::print_stdout)]

use std::{env, error::Error, path::Path};

use rr_mem::{EventLog, Log};

fn main() -> Result<(), Box<dyn Error>> {
    let path = env::args().nth(1).ok_or("give a log")?;
    print!("{}", entries(path.as_ref())?);
    Ok(())
}

/// A line for each entry with data.
///
/// # Errors
/// When the file is no log. A log that is cut gives its whole entries first.
pub fn entries(path: &Path) -> Result<String, Box<dyn Error>> {
    let mut log = Log::open(path)?;
    let mut lines = String::new();
    while let Some(entry) = log.next_entry()? {
        let fields = entry.fields();
        let Some(data) = fields.payload else { continue };
        let (at, kind) = (entry.instructions, fields.kind);
        lines += &format!("{at}: {kind}, {} bytes\n", data.len());
    }
    Ok(lines)
}
