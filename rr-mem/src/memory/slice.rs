//! Memory over bytes that we already hold.

use super::{Memory, ReadCause, ReadError};
use crate::addr::{Address, Gpa};

/// A byte slice that starts at address `base`.
#[derive(Clone, Copy, Debug)]
pub struct SliceMemory<'a, A: Address = Gpa> {
    base: A,
    bytes: &'a [u8],
}

impl<'a, A: Address> SliceMemory<'a, A> {
    /// `bytes`, the first of which is at `base`.
    #[must_use]
    pub fn new(base: A, bytes: &'a [u8]) -> Self {
        Self { base, bytes }
    }

    /// The bytes from `addr` to the end; `None` outside.
    #[inline]
    fn from(&self, addr: A) -> Option<&'a [u8]> {
        let offset = addr.raw().checked_sub(self.base.raw())?;
        self.bytes.get(usize::try_from(offset).ok()?..)
    }
}

impl<A: Address> Memory<A> for SliceMemory<'_, A> {
    #[inline]
    fn read(&self, addr: A, dst: &mut [u8]) -> Result<(), ReadError> {
        let here = self.from(addr).unwrap_or_default();
        let readable = here.len().min(dst.len());
        dst[..readable].copy_from_slice(&here[..readable]);
        if readable == dst.len() {
            return Ok(());
        }
        let end = A::from_raw(addr.raw().wrapping_add(readable as u64));
        Err(ReadError::new(end, ReadCause::Hole))
    }

    #[inline]
    fn slice(&self, addr: A, len: usize) -> Option<&[u8]> {
        self.from(addr)?.get(..len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_read_over_the_end_fills_the_readable_part_and_names_the_first_hole() {
        let memory = SliceMemory::new(Gpa(0x1000), &[1, 2, 3]);
        let mut dst = [9; 4];
        let error = memory.read(Gpa(0x1001), &mut dst).expect_err("two bytes are missing");
        assert_eq!((error.addr, dst), (0x1003, [2, 3, 9, 9]));
        assert!(memory.read(Gpa(0xfff), &mut dst).is_err());
        assert_eq!(memory.slice(Gpa(0x1001), 2), Some(&[2, 3][..]));
        assert_eq!(memory.slice(Gpa(0x1002), 2), None);
    }
}
