//! Code that a program generated while it ran, as it announces it to debuggers:
//! Debugging with GDB, chapter "JIT Compilation Interface". Each piece of code
//! comes with an ELF image in the program's memory.

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
/// Bytes of all images that are read.
const LARGEST: u64 = 64 << 20;

/// The images of the list whose descriptor is at `address`, of a process with
/// 64-bit pointers, low byte first.
///
/// # Errors
/// When its memory cannot be read.
pub fn images<M: Memory<Hva>>(memory: &M, address: Hva) -> Result<Vec<Vec<u8>>, ReadError> {
    let mut found = Vec::new();
    let mut next = memory.read_u64(Hva(address.0.wrapping_add(FIRST)))?;
    let mut room = LARGEST;
    for _ in 0..MOST {
        if next == 0 {
            break;
        }
        let mut entry = [0; ENTRY];
        memory.read(Hva(next), &mut entry)?;
        let word = |number: usize| {
            entry.iter().skip(8 * number).take(8).rev().fold(0, |sum, b| sum << 8 | u64::from(*b))
        };
        let (image, size) = (word(2), word(3));
        if (1..=room).contains(&size) {
            room -= size;
            let mut bytes = vec![0; size as usize];
            memory.read(Hva(image), &mut bytes)?;
            found.push(bytes);
        }
        next = word(0);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::SliceMemory;

    fn memory(entries: &[[u64; 4]]) -> Vec<u8> {
        let head = [1, 0, if entries.is_empty() { 0 } else { 24 }];
        let words = head.iter().chain(entries.iter().flatten());
        words.flat_map(|word| word.to_le_bytes()).collect()
    }

    #[test]
    fn the_images_of_a_list_are_read() {
        let bytes = memory(&[[56, 0, 0, 4], [0, 24, 8, 2]]);
        let found = images(&SliceMemory::new(Hva(0), &bytes), Hva(0)).expect("is there");
        assert_eq!(found, [bytes[..4].to_vec(), bytes[8..10].to_vec()]);
    }

    #[test]
    fn a_list_that_does_not_end_ends() {
        for size in [0, u64::MAX] {
            let bytes = memory(&[[24, 0, 0, size]]);
            let found = images(&SliceMemory::new(Hva(0), &bytes), Hva(0)).expect("is there");
            assert!(found.is_empty());
        }
        let unread = memory(&[[1 << 40, 0, 0, 4]]);
        assert!(images(&SliceMemory::new(Hva(0), &unread), Hva(0)).is_err());
    }
}
