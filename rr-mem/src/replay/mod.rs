//! Record/replay logs: every input that a machine ever got, entry by entry.
//! PANDA's nondet logs ([`panda`]) and QEMU's replay logs ([`qemu`]), found by
//! their contents, through zstd, lz4, gzip and rr2 archives.
//!
//! A log is read once, front to back, in memory that does not grow with it. One
//! that was cut, killed or damaged gives every whole entry, then one error that
//! says where. Nothing here knows guests: addresses are what the log says.
//!
//! ```no_run
//! use rr_mem::replay::{EventLog, Log};
//!
//! let mut log = Log::open("NAME-rr-nondet.log".as_ref())?;
//! while let Some(entry) = log.next_entry()? {
//!     println!("{} {}", entry.instructions, entry.fields().kind);
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod check;
mod cursor;
pub mod cut;
pub mod diff;
pub mod digest;
mod error;
pub mod filter;
#[doc(hidden)]
pub mod index;
pub mod packets;
pub mod panda;
pub mod qemu;
mod reading;
pub mod serial;
pub mod stat;
mod window;

use std::{fmt, io::Read, path::Path};

pub use error::{LogError, LogErrorKind, OpenError};
pub use reading::{Ending, Reading, read};
use window::Window;

use crate::{
    container::stream::{self, Unwrapped},
    memory::MappedFile,
};

/// Entries that a format is tried on.
const TRIED: usize = 64;
/// Bytes that a format is tried on.
const TRIED_BYTES: usize = 64 << 10;

/// Whose log it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LogFormat {
    /// A nondet log of PANDA.
    Panda,
    /// A replay log of QEMU, of this version.
    Qemu(qemu::Version),
}

impl fmt::Display for LogFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Panda => f.write_str("panda"),
            Self::Qemu(version) => write!(f, "qemu {:#x}", version.number()),
        }
    }
}

/// An entry of a log. It borrows the log's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Its place in the log, from 0.
    pub index: u64,
    /// The byte of the log (unpacked) at which it starts.
    pub offset: u64,
    /// Guest instructions executed before it.
    pub instructions: u64,
    /// Its bytes.
    pub raw: &'a [u8],
    coding: Coding,
}

/// How the bytes of an entry are to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coding {
    Panda,
    Qemu(qemu::Coding),
}

/// What an entry says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event<'a> {
    /// In a nondet log of PANDA.
    Panda(panda::Callsite, panda::Event<'a>),
    /// In a replay log of QEMU.
    Qemu(qemu::Event<'a>),
}

/// What every event has in common: the columns of a table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fields<'a> {
    /// The format's name of the kind, without prefix.
    pub kind: &'static str,
    /// Where in the emulator the event came from.
    pub callsite: Option<&'static str>,
    /// What kind of call, clock, checkpoint or cause.
    pub call: Option<&'static str>,
    /// The guest address it is about. Some calls log a region's start, or an
    /// offset within a region.
    pub address: Option<u64>,
    /// Bytes that it is about.
    pub length: Option<u64>,
    /// The value that went in; of signed ones the bits in their own size.
    pub value: Option<u64>,
    /// The bytes that went in.
    pub payload: Option<&'a [u8]>,
}

/// Kind, call and callsite of an event as small numbers, for counting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Below [`Key::CLASSES`]: kind and call.
    pub class: u8,
    /// Below [`Key::CALLSITES`].
    pub callsite: u8,
}

impl Key {
    /// Number of classes.
    pub const CLASSES: usize = 64;
    /// Number of callsites.
    pub const CALLSITES: usize = 64;

    /// As an index.
    #[inline]
    #[must_use]
    pub const fn index(self) -> usize {
        (self.class as usize % Self::CLASSES) * Self::CALLSITES
            + self.callsite as usize % Self::CALLSITES
    }
}

impl<'a> Entry<'a> {
    /// What it says. It is read when it is asked for.
    #[inline(always)]
    #[must_use]
    pub fn event(&self) -> Event<'a> {
        match self.coding {
            Coding::Panda => panda::event(self.raw),
            Coding::Qemu(coding) => Event::Qemu(coding.decode(self.raw)),
        }
    }

    /// The columns of the entry.
    #[inline]
    #[must_use]
    pub fn fields(&self) -> Fields<'a> {
        match self.event() {
            Event::Panda(callsite, event) => event.fields(callsite),
            Event::Qemu(event) => event.fields(),
        }
    }

    /// The data that went in, where there are any.
    #[inline]
    #[must_use]
    pub fn payload(&self) -> Option<&'a [u8]> {
        match self.coding {
            Coding::Panda => panda::payload(self.raw),
            Coding::Qemu(coding) => coding.decode(self.raw).payload(),
        }
    }

    /// What it is counted as.
    #[inline]
    #[must_use]
    pub fn key(&self) -> Key {
        match self.coding {
            Coding::Panda => panda::key(self.raw),
            Coding::Qemu(coding) => coding.key(self.raw),
        }
    }

    /// Whether this is the mark at the end of a log.
    #[inline]
    #[must_use]
    pub fn is_end(&self) -> bool {
        match self.coding {
            Coding::Panda => self.key().class == panda::END_OF_LOG,
            Coding::Qemu(_) => self.key().class == qemu::END,
        }
    }

    /// Whether a CPU was interrupted, or the request for it changed.
    #[inline]
    #[must_use]
    pub fn is_interrupt(&self) -> bool {
        match self.coding {
            Coding::Panda => self.key().class == panda::INTERRUPT_REQUEST,
            Coding::Qemu(_) => self.key().class == qemu::INTERRUPT,
        }
    }

    /// The bytes of the entry that two recordings can share: host pointers and
    /// padding are zero in `head`.
    #[must_use]
    pub fn shared(&self) -> Shared<'a> {
        match self.coding {
            Coding::Panda => panda::shared(self.raw),
            Coding::Qemu(_) => Shared { head: [0; 64], head_len: 0, payload: self.raw },
        }
    }
}

/// See [`Entry::shared`].
#[derive(Clone, Copy, Debug)]
pub struct Shared<'a> {
    head: [u8; 64],
    head_len: usize,
    /// The rest.
    pub payload: &'a [u8],
}

impl Shared<'_> {
    /// What comes first.
    #[must_use]
    pub fn head(&self) -> &[u8] {
        &self.head[..self.head_len]
    }
}

impl PartialEq for Shared<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.head() == other.head() && self.payload == other.payload
    }
}

/// A log that gives its entries one by one, in the order of the file.
pub trait EventLog {
    /// Whose log it is.
    fn format(&self) -> LogFormat;

    /// Goes to the next entry; false behind the last, and behind an error.
    ///
    /// # Errors
    /// Once, when what is left of the log is no whole entry.
    fn advance(&mut self) -> Result<bool, LogError>;

    /// The entry that the log is at, after [`Self::advance`] answered true.
    fn entry(&self) -> Entry<'_>;

    /// The next entry; none behind the last, and none behind an error.
    ///
    /// # Errors
    /// As [`Self::advance`].
    #[inline]
    fn next_entry(&mut self) -> Result<Option<Entry<'_>>, LogError> {
        Ok(if self.advance()? { Some(self.entry()) } else { None })
    }

    /// Gives entries to `take` while it answers true, as far as they can be
    /// read at full speed. More entries or an error may follow:
    /// [`Self::advance`] tells.
    fn batch(&mut self, take: impl FnMut(&Entry<'_>) -> bool)
    where
        Self: Sized;

    /// The number of instructions that the header gives, of a recording that
    /// ended properly; replay logs have none.
    fn total_instructions(&self) -> Option<u64>;

    /// Bytes of the whole log, unpacked, where that is known before its end.
    fn size(&self) -> Option<u64>;

    /// Goes on at an entry that starts at `offset` and is the `index`th, with
    /// `instructions` executed before it. False where the log is a stream.
    fn seek(&mut self, offset: u64, index: u64, instructions: u64) -> bool;
}

/// A log of either format.
#[derive(Debug)]
#[non_exhaustive]
pub enum Log {
    /// A nondet log of PANDA.
    Panda(panda::Log),
    /// A replay log of QEMU.
    Qemu(qemu::Log),
}

impl EventLog for Log {
    fn format(&self) -> LogFormat {
        match self {
            Self::Panda(log) => log.format(),
            Self::Qemu(log) => log.format(),
        }
    }

    #[inline]
    fn advance(&mut self) -> Result<bool, LogError> {
        match self {
            Self::Panda(log) => log.advance(),
            Self::Qemu(log) => log.advance(),
        }
    }

    #[inline]
    fn entry(&self) -> Entry<'_> {
        match self {
            Self::Panda(log) => log.entry(),
            Self::Qemu(log) => log.entry(),
        }
    }

    #[inline]
    fn batch(&mut self, take: impl FnMut(&Entry<'_>) -> bool) {
        match self {
            Self::Panda(log) => log.batch(take),
            Self::Qemu(log) => log.batch(take),
        }
    }

    fn total_instructions(&self) -> Option<u64> {
        match self {
            Self::Panda(log) => log.total_instructions(),
            Self::Qemu(log) => log.total_instructions(),
        }
    }

    fn size(&self) -> Option<u64> {
        match self {
            Self::Panda(log) => log.size(),
            Self::Qemu(log) => log.size(),
        }
    }

    fn seek(&mut self, offset: u64, index: u64, instructions: u64) -> bool {
        match self {
            Self::Panda(log) => log.seek(offset, index, instructions),
            Self::Qemu(log) => log.seek(offset, index, instructions),
        }
    }
}

impl Log {
    /// The number in the header: of PANDA's the instructions, 0 where the recording
    /// never ended.
    #[must_use]
    pub fn header(&self) -> u64 {
        match self {
            Self::Panda(log) => log.header(),
            Self::Qemu(log) => log.header().into(),
        }
    }

    /// What kind of log it is, in words.
    #[must_use]
    pub fn format_words(&self) -> String {
        match (self.format(), self) {
            (LogFormat::Qemu(version), Self::Qemu(log)) => format!(
                "QEMU replay log {:#x}, {} causes of a shutdown",
                version.number(),
                log.ids().causes()
            ),
            _ => "PANDA nondet log".to_owned(),
        }
    }

    /// Opens the log at `path`: mapped, or as a stream where it is compressed.
    ///
    /// # Errors
    /// When the file cannot be read, or is no log.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        match stream::open(path)? {
            Unwrapped::Plain(file) => Self::from_file(file),
            Unwrapped::Packed(reader) => Self::from_reader(reader),
            Unwrapped::NoLog => Err(OpenError::NoLog),
        }
    }

    /// A log that is mapped, or was unpacked before.
    ///
    /// # Errors
    /// When it is no log.
    pub fn from_file(file: MappedFile) -> Result<Self, OpenError> {
        Self::from_window(Window::mapped(file))
    }

    /// A log that comes as a stream; zstd, lz4 and gzip are taken off.
    ///
    /// # Errors
    /// When it cannot be read, or is no log.
    pub fn from_reader(reader: Box<dyn Read + Send>) -> Result<Self, OpenError> {
        Self::from_window(Window::stream(stream::unpack(reader)?))
    }

    fn from_window(mut window: Window) -> Result<Self, OpenError> {
        window.fill(TRIED_BYTES)?;
        let start = window.rest();
        match Kind::of(start)? {
            Kind::Panda => panda::Log::new(window).map(Self::Panda),
            Kind::Qemu(version) => qemu::Log::new(window, version).map(Self::Qemu),
        }
    }
}

enum Kind {
    Panda,
    Qemu(qemu::Version),
}

impl Kind {
    /// By what fits the start of a log. The header alone does not tell: a
    /// replay log's version and a nondet log's count are both 0 when the
    /// recording was killed.
    fn of(start: &[u8]) -> Result<Self, OpenError> {
        let Some(first) = start.first_chunk::<4>() else {
            return Err(OpenError::Short(start.len()));
        };
        let word = u32::from_be_bytes(*first);
        let version = qemu::Version::new(word);
        let panda = panda::fit(start, TRIED);
        let of_qemu = |version| qemu::fit(start, version, TRIED);
        match (version, word) {
            (Some(version), _) if of_qemu(version) >= panda => Ok(Self::Qemu(version)),
            (None, 0) if of_qemu(qemu::Version::LATEST) > panda => {
                Ok(Self::Qemu(qemu::Version::LATEST))
            }
            (None, word) if word >> 8 == 0xe020 && panda <= 1 => Err(OpenError::Version(word)),
            _ if panda > 0 => Ok(Self::Panda),
            _ if start.len() < panda::HEADER => Err(OpenError::Short(start.len())),
            (Some(version), _) => Ok(Self::Qemu(version)),
            _ if start.len() == panda::HEADER => Ok(Self::Panda),
            _ => Err(OpenError::Unknown),
        }
    }
}
