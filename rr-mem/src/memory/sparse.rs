//! Pages here and there, for tests: everything else is a hole.

use std::collections::HashMap;

use super::{Memory, ReadCause, ReadError};
use crate::addr::{Address, Gpa, PAGE};

/// A sparse guest-physical memory that tests write tables into.
#[derive(Clone, Debug, Default)]
pub struct SparseMemory {
    pages: HashMap<u64, Box<[u8; PAGE as usize]>>,
}

impl SparseMemory {
    /// Writes `bytes` at `gpa`, making zeroed pages where there are none.
    pub fn put(&mut self, gpa: u64, bytes: &[u8]) {
        for (at, byte) in (gpa..).zip(bytes) {
            let page = self.pages.entry(at / PAGE).or_insert_with(|| Box::new([0; PAGE as usize]));
            page[(at % PAGE) as usize] = *byte;
        }
    }

    /// A little-endian 64-bit entry.
    pub fn put64(&mut self, gpa: u64, value: u64) {
        self.put(gpa, &value.to_le_bytes());
    }

    /// A little-endian 32-bit entry.
    pub fn put32(&mut self, gpa: u64, value: u32) {
        self.put(gpa, &value.to_le_bytes());
    }
}

impl Memory for SparseMemory {
    fn read(&self, addr: Gpa, dst: &mut [u8]) -> Result<(), ReadError> {
        for (i, byte) in dst.iter_mut().enumerate() {
            let at = addr.raw().wrapping_add(i as u64);
            let page = self.pages.get(&(at / PAGE));
            let page = page.ok_or_else(|| ReadError::new(Gpa(at), ReadCause::Hole))?;
            *byte = page[(at % PAGE) as usize];
        }
        Ok(())
    }
}
