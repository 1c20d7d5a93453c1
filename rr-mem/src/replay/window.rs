//! The bytes of a log in order, seen through a window: all of a mapped file, or
//! as much of a stream as its next entry takes. Memory does not grow with the
//! log: mapped pages are given back once they are read.

use std::io::{self, Read};

use crate::memory::MappedFile;

/// A stream is read in pieces of this size.
const PIECE: usize = 256 << 10;
/// No entry of a stream may be larger.
pub(super) const MOST_KEPT: usize = 64 << 20;
/// Mapped pages are given back in pieces of this size.
const GIVEN_BACK: usize = 8 << 20;

/// Where the bytes are.
enum Input {
    Mapped { file: MappedFile, given_back: usize },
    Stream { reader: Box<dyn Read + Send>, kept: Vec<u8>, filled: usize, ended: bool },
}

/// A place in the bytes of a log.
pub(super) struct Window {
    input: Input,
    /// Of the next byte, in what is kept.
    at: usize,
    /// Of the first byte that is kept, in the log.
    base: u64,
}

impl std::fmt::Debug for Window {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Window").field("offset", &self.offset()).finish_non_exhaustive()
    }
}

impl Window {
    pub fn mapped(file: MappedFile) -> Self {
        Self { input: Input::Mapped { file, given_back: 0 }, at: 0, base: 0 }
    }

    pub fn stream(reader: Box<dyn Read + Send>) -> Self {
        let input = Input::Stream { reader, kept: Vec::new(), filled: 0, ended: false };
        Self { input, at: 0, base: 0 }
    }

    /// Bytes that are there from the place on.
    #[inline]
    pub fn rest(&self) -> &[u8] {
        match &self.input {
            Input::Mapped { file, .. } => file.bytes().get(self.at..).unwrap_or_default(),
            Input::Stream { kept, filled, .. } => kept.get(self.at..*filled).unwrap_or_default(),
        }
    }

    /// The `len` bytes before the place, which were skipped last.
    #[inline]
    pub fn before(&self, len: usize) -> &[u8] {
        let range = self.at.saturating_sub(len)..self.at;
        match &self.input {
            Input::Mapped { file, .. } => file.bytes().get(range).unwrap_or_default(),
            Input::Stream { kept, .. } => kept.get(range).unwrap_or_default(),
        }
    }

    /// The place in the log.
    #[inline]
    pub fn offset(&self) -> u64 {
        self.base + self.at as u64
    }

    /// Bytes of the whole log, where that is known.
    pub fn len(&self) -> Option<u64> {
        match &self.input {
            Input::Mapped { file, .. } => Some(file.bytes().len() as u64),
            Input::Stream { .. } => None,
        }
    }

    /// Goes on by `len` bytes of [`Self::rest`].
    #[inline]
    pub fn skip(&mut self, len: usize) {
        self.at += len;
        if let Input::Mapped { file, given_back } = &mut self.input
            && self.at >= *given_back + 2 * GIVEN_BACK
        {
            let until = self.at - GIVEN_BACK;
            file.give_back(*given_back..until);
            *given_back = until;
        }
    }

    /// Goes to an offset of a mapped log; a stream stays where it is.
    pub fn seek(&mut self, offset: u64) -> bool {
        let Input::Mapped { file, given_back } = &mut self.input else { return false };
        match usize::try_from(offset) {
            Ok(offset) if offset <= file.bytes().len() => {
                self.at = offset;
                *given_back = offset;
                true
            }
            _ => false,
        }
    }

    /// Reads on, so that there is more than now; false at the end of the log.
    /// Memory grows with the bytes that came, never with a length that is
    /// claimed.
    pub fn more(&mut self) -> io::Result<bool> {
        let Input::Stream { reader, kept, filled, ended } = &mut self.input else {
            return Ok(false);
        };
        if *ended {
            return Ok(false);
        }
        kept.copy_within(self.at..*filled, 0);
        *filled -= self.at;
        self.base += self.at as u64;
        self.at = 0;
        if kept.len() - *filled < PIECE {
            kept.resize((*filled + PIECE).max(kept.len()), 0);
        }
        loop {
            match reader.read(&mut kept[*filled..]) {
                Ok(0) => *ended = true,
                Ok(len) => *filled += len,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    *ended = true;
                    return Err(error);
                }
            }
            return Ok(!*ended);
        }
    }

    /// Has at least `len` bytes there, if the log has them.
    pub fn fill(&mut self, len: usize) -> io::Result<()> {
        while self.rest().len() < len && self.more()? {}
        Ok(())
    }
}
