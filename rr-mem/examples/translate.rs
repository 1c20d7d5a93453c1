//! Where an address leads in a dump, and by which table entries:
//! `cargo run --example translate -- dump.elf 0xffffffff81000000`.
#![allow(clippy::print_stdout)]

use std::{env, error::Error, path::Path};

use rr_mem::{Asked, Gva, Query, Source, WalkError};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let [path, address] = &arguments[..] else { return Err("give a file and an address".into()) };
    let address = u64::from_str_radix(address.trim_start_matches("0x"), 16)?;
    println!("{}", translate(path.as_ref(), Gva(address))?);
    Ok(())
}

/// A line for each table entry, and one for the answer.
///
/// # Errors
/// What keeps anybody from an answer, such as a table base that nobody knows.
pub fn translate(path: &Path, gva: Gva) -> Result<String, Box<dyn Error>> {
    let opened = rr_mem::open(Source::image(path), &Asked::default(), &mut |_| {})?;
    let walk = opened.guest.walk(gva, Query::Presence)?;
    let mut lines = String::new();
    for step in &walk.steps {
        lines += &format!("{} at {}: {:#x}\n", step.level, step.at, step.raw);
    }
    match walk.result {
        Ok(found) => {
            lines += &format!("{gva} -> {}  {}", found.gpa, found.rights);
            if let Some(place) = opened.guest.place(found.gpa) {
                lines += &format!("  {}+{:#x}", place.region, place.offset);
            }
        }
        Err(WalkError::Fault(fault)) => lines += &format!("{gva} is not mapped: {fault}"),
        Err(failed) => return Err(failed.into()),
    }
    Ok(lines)
}
