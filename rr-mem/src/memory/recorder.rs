//! Remembers which bytes were read: the bytes that an answer depends on.

use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
};

use super::{Memory, ReadError};
use crate::addr::{Address, RangeSet};

/// A memory that remembers which ranges of it could be read.
#[derive(Debug)]
pub struct Recorder<M> {
    source: M,
    read: Mutex<HashSet<(u64, u64)>>,
}

impl<M> Recorder<M> {
    /// A recorder in front of `source`, with nothing read.
    #[must_use]
    pub fn new(source: M) -> Self {
        Self { source, read: Mutex::default() }
    }

    /// Every byte that was read so far.
    #[must_use]
    pub fn ranges(&self) -> RangeSet {
        let read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        read.iter().map(|&(first, last)| first..=last).collect()
    }

    fn remember(&self, first: u64, len: u64) {
        if let Some(last) = len.checked_sub(1).and_then(|more| first.checked_add(more)) {
            self.read.lock().unwrap_or_else(PoisonError::into_inner).insert((first, last));
        }
    }
}

impl<A: Address, M: Memory<A>> Memory<A> for Recorder<M> {
    fn read(&self, addr: A, dst: &mut [u8]) -> Result<(), ReadError> {
        let result = self.source.read(addr, dst);
        let len = match &result {
            Ok(()) => dst.len() as u64,
            Err(error) => error.addr.wrapping_sub(addr.raw()),
        };
        self.remember(addr.raw(), len);
        result
    }

    fn slice(&self, addr: A, len: usize) -> Option<&[u8]> {
        let found = self.source.slice(addr, len)?;
        self.remember(addr.raw(), len as u64);
        Some(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{addr::Gpa, memory::SliceMemory};

    #[test]
    fn what_was_read_is_remembered_and_what_could_not_be_is_not() {
        let memory = Recorder::new(SliceMemory::new(Gpa(0x10), &[1, 2, 3, 4]));
        assert!(memory.read(Gpa(0x12), &mut [0; 8]).is_err());
        assert!(memory.read(Gpa(0x20), &mut [0; 8]).is_err());
        assert!(memory.slice(Gpa(0x10), 1).is_some() && memory.slice(Gpa(0x13), 2).is_none());
        assert_eq!(memory.ranges().iter().collect::<Vec<_>>(), [(0x10, 0x10), (0x12, 0x13)]);
    }
}
