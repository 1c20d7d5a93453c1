//! The numbers of a log's events, which differ from version to version.

use super::names;

/// The version in a log's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(u32);

impl Version {
    /// Of QEMU 7.1 to 10.0.
    pub const LATEST: Self = Self(0xe0_200c);
    const FIRST: u32 = 0xe0_200a;

    /// A version that we know.
    #[must_use]
    pub const fn new(number: u32) -> Option<Self> {
        if number >= Self::FIRST && number <= Self::LATEST.0 { Some(Self(number)) } else { None }
    }

    /// The number in the header.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.0
    }

    /// Asynchronous events have numbers of their own.
    pub(super) const fn joined(self) -> bool {
        self.0 >= 0xe0_200c
    }

    /// Asynchronous events say at which checkpoint they were queued.
    pub(super) const fn at_checkpoints(self) -> bool {
        self.0 == Self::FIRST
    }

    /// Causes of a shutdown that the releases with this version know.
    pub(super) const fn usual_causes(self) -> u8 {
        if self.joined() { 11 } else { 10 }
    }
}

/// The numbers of a log's events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ids {
    pub(super) version: Version,
    causes: u8,
}

/// Bytes of the counts in audio events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AudioWidth {
    Narrow,
    Wide,
}

impl AudioWidth {
    pub(super) const fn bytes(self) -> usize {
        match self {
            Self::Narrow => 4,
            Self::Wide => 8,
        }
    }
}

/// What an event's number stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Id {
    Instruction,
    Interrupt,
    Exception,
    /// Kind and checkpoint are in the event.
    AnyAsync,
    Async(u8),
    Shutdown(u8),
    CharWrite,
    CharReadAll,
    CharReadAllError,
    AudioOut,
    AudioIn,
    Random,
    Clock(u8),
    Checkpoint(u8),
    End,
}

impl Ids {
    pub(super) const fn new(version: Version, causes: u8) -> Self {
        Self { version, causes }
    }

    /// How many causes of a shutdown the log's release knows.
    #[must_use]
    pub const fn causes(self) -> u8 {
        self.causes
    }

    pub(super) const fn shutdown(self) -> u8 {
        if self.version.joined() { 3 + names::ASYNC.len() as u8 } else { 4 }
    }

    /// The number of the end mark.
    #[must_use]
    pub const fn end(self) -> u8 {
        self.shutdown() + self.causes + 1 + 6 + 2 + names::CHECKPOINTS.len() as u8
    }

    #[inline]
    pub(super) fn get(self, number: u8) -> Option<Id> {
        let shutdown = self.shutdown();
        Some(match number {
            0 => Id::Instruction,
            1 => Id::Interrupt,
            2 => Id::Exception,
            _ if number < shutdown && !self.version.joined() => Id::AnyAsync,
            _ if number < shutdown => Id::Async(number - 3),
            _ if number - shutdown <= self.causes => Id::Shutdown(number - shutdown),
            _ => return Self::behind_shutdown(number - shutdown - self.causes - 1),
        })
    }

    const fn behind_shutdown(number: u8) -> Option<Id> {
        Some(match number {
            0 => Id::CharWrite,
            1 => Id::CharReadAll,
            2 => Id::CharReadAllError,
            3 => Id::AudioOut,
            4 => Id::AudioIn,
            5 => Id::Random,
            6 | 7 => Id::Clock(number - 6),
            8..=16 => Id::Checkpoint(number - 8),
            17 => Id::End,
            _ => return None,
        })
    }
}
