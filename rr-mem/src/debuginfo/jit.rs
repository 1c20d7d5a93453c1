//! Code that a program made as it ran, as it tells debuggers of it: Debugging
//! with GDB, chapter "JIT Compilation Interface". Each piece of code comes with
//! an ELF image in the program's memory.

use crate::{
    addr::Hva,
    memory::{Memory, ReadError},
};

/// The variable that leads to the list.
pub const DESCRIPTOR: &str = "__jit_debug_descriptor";

/// From the descriptor to its pointer to the first entry, behind version, flag
/// and another pointer.
const FIRST: u64 = 16;
/// Bytes of an entry: the next, the one before, the image, its size.
const ENTRY: usize = 32;
/// Entries that are read, at most.
const MOST: usize = 256;
/// An image that is larger is none.
const LARGEST: u64 = 64 << 20;

/// The images of the list whose descriptor is at `address`, of a process with
/// 64-bit pointers, low byte first.
///
/// # Errors
/// When its memory cannot be read.
pub fn images<M: Memory<Hva>>(memory: &M, address: Hva) -> Result<Vec<Vec<u8>>, ReadError> {
    let mut found = Vec::new();
    let mut next = memory.read_u64(Hva(address.0.wrapping_add(FIRST)))?;
    while next != 0 && found.len() < MOST {
        let mut entry = [0; ENTRY];
        memory.read(Hva(next), &mut entry)?;
        let word = |number: usize| {
            entry.iter().skip(8 * number).take(8).rev().fold(0, |sum, b| sum << 8 | u64::from(*b))
        };
        let (image, size) = (word(2), word(3));
        if (1..=LARGEST).contains(&size) {
            let mut bytes = vec![0; size as usize];
            memory.read(Hva(image), &mut bytes)?;
            found.push(bytes);
        }
        next = word(0);
    }
    Ok(found)
}
