//! Why an emulator could not be read.

use thiserror::Error;

use super::layouts;
use crate::{
    addr::Hva,
    advice::{Advice, Explain, Part, Setting},
    debuginfo::DebugError,
    memory::ReadError,
    region::{FlatError, MapError},
};

/// Why an emulator could not be read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum QemuError {
    /// No module has QEMU's symbols.
    #[error("no QEMU is in this process: none of its files has the symbol {0}")]
    NoEmulator(&'static str),
    /// The debug file that was given will not do.
    #[error("{0}")]
    DebugInfo(#[from] DebugError),
    /// No layout fits.
    #[error("no layout fits this QEMU: {}", summary(.0))]
    NoLayout(Vec<Misfit>),
}

/// A layout that does not fit, and why.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{layout} ({why})")]
#[non_exhaustive]
pub struct Misfit {
    /// The layout's name.
    pub layout: String,
    /// What was found instead.
    pub why: Wrong,
}

/// What is not as it must be in a healthy emulator that has this layout.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Wrong {
    /// A member that the layout does not have.
    #[error("it has no {0}.{1}")]
    Member(&'static str, &'static str),
    /// A pointer that leads nowhere.
    #[error("{0}")]
    Read(#[from] ReadError),
    /// A struct that holds what it cannot hold.
    #[error("{0}")]
    Struct(String),
    /// No layout could be had from its debug info.
    #[error("{0}")]
    DebugInfo(#[from] DebugError),
    /// They are for other hosts.
    #[error("they are for {known} hosts, and this is {0}: debug info is needed", known = layouts::HOST)]
    Host(String),
    /// The flat views were replaced while they were read.
    #[error("the memory map changes whenever it is read")]
    Torn,
}

impl Wrong {
    pub(super) fn at(what: &str, address: u64) -> Self {
        Self::Struct(format!("{what} at {}", Hva(address)))
    }
}

impl From<MapError> for Wrong {
    fn from(error: MapError) -> Self {
        Self::Struct(error.to_string())
    }
}

impl From<FlatError> for Wrong {
    fn from(error: FlatError) -> Self {
        Self::Struct(error.to_string())
    }
}

impl Explain for QemuError {
    fn kind(&self) -> &'static str {
        Self::kind(self)
    }

    fn advice(&self) -> Advice {
        Self::advice(self)
    }

    fn details(&self) -> Vec<String> {
        match self {
            Self::NoLayout(misfits) if misfits.len() > 1 => {
                misfits.iter().map(Misfit::to_string).collect()
            }
            _ => Vec::new(),
        }
    }
}

impl QemuError {
    /// A short stable name for scripts.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::NoEmulator(_) => "no_emulator",
            Self::DebugInfo(error) => error.kind(),
            Self::NoLayout(_) => "no_layout",
        }
    }

    /// What the user can do about it.
    #[must_use]
    pub fn advice(&self) -> Advice {
        match self {
            Self::NoEmulator(_) => Advice::Parts(&[
                Part::Say(
                    "`rr-mem ps` lists emulators; of a QEMU without exported symbols, give its debug file with ",
                ),
                Part::Name(Setting::DebugFile),
                Part::Say(", or the monitor's text with "),
                Part::Name(Setting::RegionMap),
                Part::Say(" and memory with "),
                Part::Name(Setting::Image),
            ]),
            Self::DebugInfo(error) => error.advice(),
            Self::NoLayout(_) => Advice::Parts(&[
                Part::Say(
                    "install the debug symbols of this QEMU (Debian: -dbgsym), or give them with ",
                ),
                Part::Name(Setting::DebugFile),
                Part::Say(", or the struct offsets with "),
                Part::Name(Setting::Layout),
                Part::Say(" (`rr-mem layout ELF` makes one)"),
            ]),
        }
    }
}

fn summary(misfits: &[Misfit]) -> String {
    match misfits {
        [] => "none was given".into(),
        [one] => one.to_string(),
        [first, ..] => format!("{} were tried, the first: {first}", misfits.len()),
    }
}
