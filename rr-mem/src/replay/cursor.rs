//! The place in a log that is read entry by entry, for every format: what was
//! read last, how to read on, and where the log stopped making sense.

use super::{
    Coding, Entry, LogError, LogErrorKind,
    window::{MOST_KEPT, Window},
};

/// Why the next entry cannot be measured.
pub(super) enum Stop {
    /// It takes at least so many bytes.
    Short(u64),
    /// It makes no sense.
    Bad(LogErrorKind),
}

/// See the module.
#[derive(Debug)]
pub(super) struct Cursor {
    pub window: Window,
    /// Entries so far; the last took `len` bytes.
    pub index: u64,
    pub len: usize,
    pub instructions: u64,
    /// Nothing more comes.
    pub failed: bool,
}

impl Cursor {
    pub const fn new(window: Window) -> Self {
        Self { window, index: 0, len: 0, instructions: 0, failed: false }
    }

    /// Bytes of the next entry by `measure`, all of which are in the window;
    /// none at the end.
    #[inline]
    pub fn measure(
        &mut self,
        measure: impl Fn(&[u8]) -> Result<usize, Stop>,
    ) -> Result<Option<usize>, LogError> {
        loop {
            match measure(self.window.rest()) {
                Ok(len) => return Ok(Some(len)),
                Err(Stop::Short(needs)) if !self.read_on(needs)? => return Ok(None),
                Err(Stop::Short(_)) => {}
                Err(Stop::Bad(kind)) => return Err(self.fail(kind)),
            }
        }
    }

    /// Reads on for an entry of at least `needs` bytes; false at the end of the
    /// log.
    #[cold]
    fn read_on(&mut self, needs: u64) -> Result<bool, LogError> {
        match self.window.more() {
            Ok(true) if self.window.rest().len() > MOST_KEPT => {
                Err(self.fail(LogErrorKind::Large(needs)))
            }
            Ok(false) if !self.window.rest().is_empty() => {
                let has = self.window.rest().len() as u64;
                Err(self.fail(LogErrorKind::Cut { needs, has }))
            }
            Ok(more) => Ok(more),
            Err(error) => Err(self.fail(error.into())),
        }
    }

    /// Nothing may follow here.
    pub fn end(&mut self) -> Result<(), LogError> {
        match self.window.rest().is_empty().then(|| self.window.more()) {
            Some(Ok(false)) => Ok(()),
            Some(Err(error)) => Err(self.fail(error.into())),
            Some(Ok(true)) | None => Err(self.fail(LogErrorKind::Behind)),
        }
    }

    /// What is wrong with the next entry.
    #[cold]
    pub fn fail(&mut self, kind: LogErrorKind) -> LogError {
        self.failed = true;
        LogError {
            offset: self.window.offset(),
            entry: self.index,
            instructions: self.instructions,
            kind,
        }
    }

    /// Goes behind the next entry, which takes `len` bytes.
    #[inline]
    pub fn pass(&mut self, len: usize) {
        self.index += 1;
        self.len = len;
        self.window.skip(len);
    }

    /// The entry that was passed last.
    #[inline]
    pub fn entry(&self, coding: Coding) -> Entry<'_> {
        Entry {
            index: self.index.saturating_sub(1),
            offset: self.window.offset() - self.len as u64,
            instructions: self.instructions,
            raw: self.window.before(self.len),
            coding,
        }
    }

    /// See [`super::EventLog::seek`].
    pub fn seek(&mut self, offset: u64, index: u64, instructions: u64) -> bool {
        let moved = self.window.seek(offset);
        if moved {
            (self.index, self.instructions) = (index, instructions);
            (self.len, self.failed) = (0, false);
        }
        moved
    }
}
