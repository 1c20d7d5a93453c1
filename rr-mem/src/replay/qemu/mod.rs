//! QEMU's replay logs (`-icount ...,rr=record,rrfile=FILE`), versions 0xe0200a
//! (5.2 to 7.0), 0xe0200b and 0xe0200c (7.1 to 10.0): docs/devel/replay.rst,
//! "Replay log format", and replay/*.c.
//!
//! Big-endian: u32 version (0 until a recording ends), u64 reserved, then events
//! of a u8 number and what belongs to it. Instruction counts are events of their
//! own: instructions since the last. Event numbers after those for shutdown
//! causes depend on how many causes the release knows. The version does not
//! tell: [`Ids`] is what fits the log.
//!
//! Not here: the snapshot that a replay starts from, and which device an id is.

mod coding;
mod event;
mod fit;
mod ids;
mod names;

use super::{
    Entry, EventLog, LogError, LogFormat, OpenError, Window,
    cursor::{Cursor, Stop},
};
use coding::{measure, u32_at};
use ids::{AudioWidth, Id};

pub(super) use coding::Coding;
pub use event::{Async, Event, Input};
pub(super) use event::{END, INTERRUPT, all_names};
pub use ids::{Ids, Version};

/// Bytes before the first event.
pub const HEADER: usize = 12;
/// Bytes of a stream by which the numbering is decided.
const DECIDED_BY: usize = 4 << 20;

/// How many events at the start of a log are whole, up to `most`.
pub(super) fn fit(start: &[u8], version: Version, most: usize) -> usize {
    let Some(events) = start.get(HEADER..) else { return 0 };
    let ids = fit::ids(events, version, false);
    let mut rest = events;
    for found in 0..most {
        match fit::measure_any(rest, ids) {
            Ok(len) => rest = &rest[len..],
            Err(Stop::Short(_)) if !rest.is_empty() => return found + 1,
            Err(_) => return found,
        }
    }
    most
}

/// A replay log.
#[derive(Debug)]
pub struct Log {
    cursor: Cursor,
    version: Version,
    header: u32,
    ids: Ids,
    audio: Option<AudioWidth>,
    /// By the entry that the log is at.
    executed: u32,
    ended: bool,
}

impl Log {
    pub(super) fn new(mut window: Window, version: Version) -> Result<Self, OpenError> {
        window.fill(DECIDED_BY)?;
        let start = window.rest();
        let header = u32_at(start, 0);
        let events = start.get(HEADER..).ok_or(OpenError::Short(start.len()))?;
        let whole = window.len().is_some() || start.len() < DECIDED_BY;
        let ids = fit::ids(events, version, whole);
        window.skip(HEADER);
        let cursor = Cursor::new(window);
        Ok(Self { cursor, version, header, ids, audio: None, executed: 0, ended: false })
    }

    /// The version in the header; 0 when the recording never ended.
    #[must_use]
    pub const fn header(&self) -> u32 {
        self.header
    }

    /// The numbering that fits the log.
    #[must_use]
    pub const fn ids(&self) -> Ids {
        self.ids
    }

    /// Bytes of the next event, all of which are in the window.
    fn measure(&mut self) -> Result<Option<usize>, LogError> {
        if self.ended {
            return self.cursor.end().map(|()| None);
        }
        let (ids, known) = (self.ids, self.audio);
        let width = |rest: &[u8]| known.or_else(|| width_of(rest, ids));
        let len = self
            .cursor
            .measure(|rest| measure(rest, ids, width(rest).unwrap_or(AudioWidth::Narrow)))?;
        self.audio = width(self.cursor.window.rest());
        Ok(len)
    }

    /// Whether the next event can be read without reading on and without an
    /// error.
    fn is_whole(&self) -> bool {
        let rest = self.cursor.window.rest();
        let width = self.audio.or_else(|| width_of(rest, self.ids)).unwrap_or(AudioWidth::Narrow);
        !self.cursor.failed && !self.ended && measure(rest, self.ids, width).is_ok()
    }
}

/// What fits, where the first event of `rest` is one of audio.
#[inline]
fn width_of(rest: &[u8], ids: Ids) -> Option<AudioWidth> {
    let id = rest.first().and_then(|&number| ids.get(number));
    matches!(id, Some(Id::AudioOut | Id::AudioIn)).then(|| fit::audio_width(rest, ids))
}

impl EventLog for Log {
    fn format(&self) -> LogFormat {
        LogFormat::Qemu(self.version)
    }

    #[inline]
    fn advance(&mut self) -> Result<bool, LogError> {
        if self.cursor.failed {
            return Ok(false);
        }
        let before = self.cursor.instructions;
        self.cursor.instructions = before.saturating_add(self.executed.into());
        self.executed = 0;
        let Some(len) = self.measure()? else { return Ok(false) };
        let raw = self.cursor.window.rest();
        match raw.first().and_then(|&number| self.ids.get(number)) {
            Some(Id::Instruction) => self.executed = u32_at(raw, 1),
            Some(Id::End) => self.ended = true,
            _ => {}
        }
        self.cursor.pass(len);
        Ok(true)
    }

    #[inline]
    fn entry(&self) -> Entry<'_> {
        let audio = self.audio.unwrap_or(AudioWidth::Narrow);
        self.cursor.entry(super::Coding::Qemu(Coding { ids: self.ids, audio }))
    }

    #[inline]
    fn batch(&mut self, mut take: impl FnMut(&Entry<'_>) -> bool) {
        while self.is_whole() && matches!(self.advance(), Ok(true)) {
            if !take(&self.entry()) {
                break;
            }
        }
    }

    fn total_instructions(&self) -> Option<u64> {
        None
    }

    fn size(&self) -> Option<u64> {
        self.cursor.window.len()
    }

    fn seek(&mut self, offset: u64, index: u64, instructions: u64) -> bool {
        let moved = self.cursor.seek(offset, index, instructions);
        if moved {
            (self.ended, self.executed) = (false, 0);
        }
        moved
    }
}
