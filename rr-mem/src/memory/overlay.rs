//! Bytes laid over another memory, such as the writes of a log.

use std::collections::BTreeMap;

use super::{Memory, ReadError};
use crate::addr::Address;

/// A memory with some of its bytes replaced.
#[derive(Clone, Debug)]
pub struct Overlay<M> {
    below: M,
    patches: BTreeMap<u64, u8>,
}

impl<M> Overlay<M> {
    /// `below`, with nothing replaced yet.
    #[must_use]
    pub fn new(below: M) -> Self {
        Self { below, patches: BTreeMap::new() }
    }

    /// Replaces the bytes from `addr` on. Bytes past the end of the space are
    /// dropped.
    pub fn patch<A: Address>(&mut self, addr: A, bytes: &[u8]) {
        let addresses = (0..).map_while(|i| addr.raw().checked_add(i));
        self.patches.extend(addresses.zip(bytes.iter().copied()));
    }
}

impl<A: Address, M: Memory<A>> Memory<A> for Overlay<M> {
    fn read(&self, addr: A, dst: &mut [u8]) -> Result<(), ReadError> {
        let below = self.below.read(addr, dst);
        let Some(last) = (dst.len() as u64).checked_sub(1) else { return below };
        let last = addr.raw().saturating_add(last);
        for (&at, &byte) in self.patches.range(addr.raw()..=last) {
            dst[(at - addr.raw()) as usize] = byte;
        }
        below
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{addr::Gpa, memory::SliceMemory};

    #[test]
    fn patched_bytes_hide_those_below() {
        let mut overlay = Overlay::new(SliceMemory::new(Gpa(0), &[0; 8]));
        overlay.patch(Gpa(3), &[1, 2]);
        let mut dst = [9; 4];
        overlay.read(Gpa(2), &mut dst).expect("all there");
        assert_eq!(dst, [0, 1, 2, 0]);
    }
}
