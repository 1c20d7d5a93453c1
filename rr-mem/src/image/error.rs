//! Why a file could not be opened as an image.

use thiserror::Error;

use crate::advice::{Advice, Part, Setting};
use crate::{container::ContainerError, machine::PlaceError, region::physical::PhysicalError};

/// Why a file could not be opened as an image.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ImageError {
    /// The file, or what wraps it.
    #[error(transparent)]
    Container(#[from] ContainerError),
    /// A format that is known but not a guest's memory.
    #[error("this is {what}, not a guest's memory")]
    NotAnImage {
        /// What it is.
        what: &'static str,
        /// What the user can do.
        advice: Advice,
    },
    /// A known format, written in a way that is not read.
    #[error("{format}: {what} cannot be read")]
    Unsupported {
        /// The format.
        format: &'static str,
        /// What is in it.
        what: &'static str,
        /// What the user can do.
        advice: Advice,
    },
    /// The state of devices is wanted of a file that has none.
    #[error("this is no migration stream")]
    NotAStream,
    /// The file is damaged.
    #[error("{format}: {what} at file offset {offset:#x}")]
    Damaged {
        /// The format that it claims to be.
        format: &'static str,
        /// What is wrong.
        what: String,
        /// Where.
        offset: u64,
    },
    /// Where the blocks of the file lie is not known.
    #[error("where the RAM blocks lie is not known: {source}; the blocks are {blocks}")]
    Placement {
        /// Why.
        source: PlaceError,
        /// Their names and sizes.
        blocks: String,
    },
    /// The blocks of the file are no memory map.
    #[error("{format}: {source}")]
    Blocks {
        /// The format.
        format: &'static str,
        /// Why.
        source: PhysicalError,
    },
}

crate::advice::explain!(ImageError);

impl ImageError {
    /// A short stable name for scripts.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Container(_) => "container",
            Self::NotAnImage { .. } => "not_an_image",
            Self::Unsupported { .. } => "unsupported",
            Self::NotAStream => "not_a_stream",
            Self::Damaged { .. } => "damaged",
            Self::Placement { .. } => "placement",
            Self::Blocks { .. } => "blocks",
        }
    }

    /// What the user can do about it.
    #[must_use]
    pub fn advice(&self) -> Advice {
        match self {
            Self::Container(ContainerError::Qcow2(error)) => error.advice(),
            Self::Container(_) => {
                Advice::Say("check the path, its permissions and that the file is complete")
            }
            Self::NotAnImage { advice, .. } | Self::Unsupported { advice, .. } => advice.clone(),
            Self::NotAStream => {
                Advice::Say("give the file that migrate or savevm wrote, or PANDA's NAME-rr-snp")
            }
            Self::Placement { .. } => Advice::Parts(&[
                Part::Say("give the machine type with "),
                Part::Name(Setting::Machine),
                Part::Say(", or the text of the monitor's `info mtree -f` with "),
                Part::Name(Setting::RegionMap),
            ]),
            Self::Damaged { .. } | Self::Blocks { .. } => {
                Advice::Say("check that the file was written to its end; take the dump again")
            }
        }
    }
}
