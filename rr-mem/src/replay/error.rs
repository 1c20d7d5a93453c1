//! Where and why a log stops making sense.

use crate::advice::Advice;
use std::io;

use thiserror::Error;

/// What is wrong with a log, and exactly where: every entry before it is whole.
#[derive(Debug, Error)]
#[error("{kind}: entry {entry} at offset {offset:#x}, after instruction {instructions}")]
#[non_exhaustive]
pub struct LogError {
    /// Byte of the log (unpacked) at which the entry starts that cannot be read.
    pub offset: u64,
    /// Its index, from 0: as many whole entries come before it.
    pub entry: u64,
    /// The instruction count of the entry before it.
    pub instructions: u64,
    /// What is wrong.
    pub kind: LogErrorKind,
}

/// What is wrong with a log.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LogErrorKind {
    /// The log ends within an entry.
    #[error("the log ends within an entry ({has} of at least {needs} bytes are there)")]
    Cut {
        /// Bytes that the entry takes at least.
        needs: u64,
        /// Bytes that are left.
        has: u64,
    },
    /// An entry of no known kind.
    #[error("unknown kind of entry {0}")]
    Kind(u8),
    /// A callsite that no recorder has.
    #[error("unknown callsite {0}")]
    Callsite(u8),
    /// A skipped call of no known kind.
    #[error("unknown skipped call {0}")]
    Call(u8),
    /// An input event of no known type.
    #[error("unknown input event {0}")]
    Input(u32),
    /// A length below 0.
    #[error("negative length {0}")]
    Length(i64),
    /// More in one entry than is kept of a stream.
    #[error("an entry of {0} bytes is larger than what is kept of a stream")]
    Large(u64),
    /// Bytes behind the end mark.
    #[error("there are bytes behind the end of the log")]
    Behind,
    /// The file or stream could not be read or unpacked.
    #[error("could not read the log: {0}")]
    Read(#[from] io::Error),
}

impl LogErrorKind {
    /// A stable short name for scripts.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Cut { .. } => "cut",
            Self::Kind(_) => "kind",
            Self::Callsite(_) => "callsite",
            Self::Call(_) => "call",
            Self::Input(_) => "input",
            Self::Length(_) => "length",
            Self::Large(_) => "large",
            Self::Behind => "behind",
            Self::Read(_) => "io",
        }
    }

    /// What the user can do.
    #[must_use]
    pub fn advice(&self) -> Advice {
        match self {
            Self::Cut { .. } => Advice::Say(
                "the recording was killed or the file was copied too early; `log cut` keeps what is whole",
            ),
            Self::Large(_) => Advice::Say("unpack the log into a file and give that"),
            Self::Read(_) => Advice::Say("check that the file is complete"),
            _ => Advice::Say("the log is damaged from there on; `log cut` keeps what is whole"),
        }
    }
}

/// Why a file is no log that could be opened.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OpenError {
    /// It could not be opened, read or unpacked.
    #[error("could not open the log: {0}")]
    Read(#[from] io::Error),
    /// It holds less than a header.
    #[error("the log is empty or ends within its header ({0} bytes)")]
    Short(usize),
    /// Neither format fits what is there.
    #[error("this is neither a PANDA nondet log nor a QEMU replay log")]
    Unknown,
    /// A replay log of a version that we do not know.
    #[error("a QEMU replay log of unknown version {0:#x} (known: 0xe0200a to 0xe0200c)")]
    Version(u32),
    /// An archive without a log in it.
    #[error("the rr2 archive holds no nondetlog")]
    NoLog,
}

impl OpenError {
    /// A stable short name for scripts.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Read(_) => "io",
            Self::Short(_) => "short",
            Self::Unknown => "unknown",
            Self::Version(_) => "version",
            Self::NoLog => "no_log",
        }
    }

    /// What the user can do.
    #[must_use]
    pub fn advice(&self) -> Advice {
        match self {
            Self::Read(_) => {
                Advice::Say("check the path, its permissions and that the file is complete")
            }
            Self::Short(_) => Advice::Say("the recording never wrote an entry"),
            Self::NoLog => Advice::Say("give the archive that PANDA's end_record wrote"),
            Self::Unknown | Self::Version(_) => Advice::Say(
                "give NAME-rr-nondet.log, NAME.rr2 or the rrfile of `-icount ...,rr=record`",
            ),
        }
    }
}
