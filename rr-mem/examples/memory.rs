//! A walk through memory of your own: implement [`Memory`] and give the registers.
//! `cargo run --example memory`.
#![allow(clippy::print_stdout)]

use std::{collections::BTreeMap, error::Error};

use rr_mem::{Arch, Cpu, Gpa, Guest, Gva, Memory, Query, ReadCause, ReadError, Register};

/// Words of a guest's memory, as a simulator or a network protocol might have them.
#[derive(Debug, Default)]
struct Words(BTreeMap<u64, u64>);

impl Memory for Words {
    fn read(&self, addr: Gpa, dst: &mut [u8]) -> Result<(), ReadError> {
        for (at, byte) in (addr.0..).zip(dst) {
            let word = self.0.get(&(at & !7));
            let word = word.ok_or_else(|| ReadError::new(Gpa(at), ReadCause::Hole))?;
            *byte = word.to_le_bytes()[at as usize % 8];
        }
        Ok(())
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    println!("{}", translated()?);
    Ok(())
}

/// Where 0x40000123 is mapped.
///
/// # Errors
/// Never, here.
pub fn translated() -> Result<Gpa, Box<dyn Error>> {
    // x86, 4-level paging: PML4 at 0x1000, PDPT at 0x2000, and a page of 1 GB.
    let words = Words(BTreeMap::from([(0x1000, 0x2007), (0x2008, 0x8000_0087)]));
    // Nobody knows the other registers: their usual values are taken.
    let cpu = Cpu::unknown(Arch::X86_64).with(Register::Cr3, 0x1000)?;
    let guest = Guest::new(Some(words), Some(cpu), None)?;
    Ok(guest.walk(Gva(0x4000_0123), Query::Presence)?.result?.gpa)
}
