//! The first bytes of a running QEMU's guest, read from outside while it runs:
//! `cargo run --example live -- 4242`. Without a number, the only QEMU that runs.
#![allow(clippy::print_stdout)]

use std::{env, error::Error};

use rr_mem::{Asked, Gpa, Source, Which};

fn main() -> Result<(), Box<dyn Error>> {
    let which = match env::args().nth(1) {
        Some(pid) => Which::Process(pid.parse()?),
        None => Which::Only,
    };
    let opened = rr_mem::open(Source::emulator(which), &Asked::default(), &mut |_| {})?;
    for (number, cpu) in &opened.cpus {
        println!("CPU {number}: {}, paging {}", cpu.regs.arch(), cpu.regs.paging_is_on());
    }
    let mut bytes = [0; 16];
    opened.guest.read_physical(Gpa(0), &mut bytes)?;
    println!("at 0x0: {bytes:02x?}");
    if let Some(place) = opened.guest.place(Gpa(0)) {
        let host = place.host.map_or("nowhere".to_owned(), |hva| hva.to_string());
        println!("which is {}+{:#x}, in the emulator at {host}", place.region, place.offset);
    }
    // What was assumed, or makes answers doubtful.
    for remark in &opened.remarks {
        println!("{remark}");
    }
    Ok(())
}
