//! The bytes of a core, and of mapped files that the core leaves out. Nothing
//! is copied. Bytes in neither are an error, never zeros.

use std::sync::Arc;

use crate::{
    addr::{Address, Hva},
    memory::{MappedFile, Memory, ReadCause, ReadError},
};

/// The memory of a process that a core holds; cheap to clone.
#[derive(Clone, Debug)]
pub struct CoreMemory(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// By address, without overlaps.
    pieces: Vec<FileRun>,
    /// The core first.
    files: Vec<MappedFile>,
}

/// A range of addresses whose bytes are in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileRun {
    pub start: u64,
    pub len: u64,
    /// Which file; 0 is the core.
    pub file: usize,
    pub offset: u64,
}

impl FileRun {
    fn end(&self) -> u64 {
        self.start.saturating_add(self.len)
    }

    /// What of it lies between two addresses.
    pub fn clip(&self, from: u64, to: u64) -> Option<Self> {
        let (start, end) = (from.max(self.start), to.min(self.end()));
        let offset = self.offset.checked_add(start.checked_sub(self.start)?)?;
        (start < end).then(|| Self { start, len: end - start, offset, ..*self })
    }
}

impl CoreMemory {
    /// `held` by the core, sorted and without overlaps; between that, `mapped`.
    pub(super) fn new(held: Vec<FileRun>, mapped: Vec<FileRun>, files: Vec<MappedFile>) -> Self {
        let mut pieces = fill(&held, without_overlaps(mapped));
        pieces.extend(held);
        pieces.sort_unstable_by_key(|piece| piece.start);
        Self(Arc::new(Inner { pieces, files }))
    }

    /// How many of `len` bytes from `start` on can be read.
    #[must_use]
    pub fn held(&self, start: Hva, len: u64) -> u64 {
        let end = start.0.saturating_add(len);
        let first = self.0.pieces.partition_point(|piece| piece.end() <= start.0);
        let inside = self.0.pieces[first..].iter().take_while(|piece| piece.start < end);
        inside.filter_map(|piece| piece.clip(start.0, end)).map(|piece| piece.len).sum()
    }

    /// All bytes of the piece that `addr` is in, from there on.
    #[inline]
    fn rest(&self, addr: u64) -> Option<&[u8]> {
        let Inner { pieces, files } = &*self.0;
        let after = pieces.partition_point(|piece| piece.start <= addr);
        let piece = pieces.get(after.checked_sub(1)?)?;
        let inside = addr - piece.start;
        let left = piece.len.checked_sub(inside).filter(|left| *left > 0)?;
        let start = usize::try_from(piece.offset.checked_add(inside)?).ok()?;
        let end = start.checked_add(usize::try_from(left).ok()?)?;
        files.get(piece.file)?.bytes().get(start..end)
    }
}

impl Memory<Hva> for CoreMemory {
    fn read(&self, addr: Hva, dst: &mut [u8]) -> Result<(), ReadError> {
        let mut done = 0;
        while done < dst.len() {
            let end = || ReadError::new(addr, ReadCause::Hole);
            let here = addr.checked_add(done as u64).ok_or_else(end)?;
            let rest = self.rest(here.0);
            let rest = rest.ok_or_else(|| ReadError::new(here, ReadCause::NotInCore))?;
            let len = rest.len().min(dst.len() - done);
            dst[done..done + len].copy_from_slice(&rest[..len]);
            done += len;
        }
        Ok(())
    }

    #[inline]
    fn slice(&self, addr: Hva, len: usize) -> Option<&[u8]> {
        self.rest(addr.0)?.get(..len)
    }
}

/// Sorted; the first in memory wins.
fn without_overlaps(mut pieces: Vec<FileRun>) -> Vec<FileRun> {
    pieces.sort_unstable_by_key(|piece| piece.start);
    let mut end = 0;
    let mut left = Vec::with_capacity(pieces.len());
    for piece in pieces {
        left.extend(piece.clip(end, u64::MAX));
        end = end.max(piece.end());
    }
    left
}

/// What of `more` lies between the pieces `held`.
fn fill(held: &[FileRun], more: Vec<FileRun>) -> Vec<FileRun> {
    let mut found = Vec::new();
    for piece in more {
        let mut from = piece.start;
        let first = held.partition_point(|held| held.end() <= from);
        for other in held[first..].iter().take_while(|other| other.start < piece.end()) {
            found.extend(piece.clip(from, other.start));
            from = other.end();
        }
        found.extend(piece.clip(from, piece.end()));
    }
    found
}
