//! Counts the reads that pass through, to hold walks to their promises.

use std::sync::atomic::{AtomicU64, Ordering};

use super::{Memory, ReadError};
use crate::addr::Address;

/// A memory that counts the requests made of it.
#[derive(Debug)]
pub struct Counter<M> {
    source: M,
    reads: AtomicU64,
}

impl<M> Counter<M> {
    /// A counter in front of `source`, at 0.
    #[must_use]
    pub fn new(source: M) -> Self {
        Self { source, reads: AtomicU64::new(0) }
    }

    /// Requests so far.
    #[must_use]
    pub fn reads(&self) -> u64 {
        self.reads.load(Ordering::Relaxed)
    }
}

impl<A: Address, M: Memory<A>> Memory<A> for Counter<M> {
    fn read(&self, addr: A, dst: &mut [u8]) -> Result<(), ReadError> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.source.read(addr, dst)
    }
}
