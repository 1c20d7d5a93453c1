//! The region map as the text of the monitor.

use super::SourceError;
use crate::{
    addr::Gpa,
    region::{
        FlatRange, RegionMap,
        monitor::{self, Form, ParseError, Style},
        physical::{Backing, PhysicalMemory, PhysicalRange},
    },
};

/// What a text of the monitor says of memory regions.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum RegionText {
    /// `info mtree -f`: the flat views.
    Flat {
        /// The map.
        map: Box<RegionMap>,
        /// Whose text it is.
        style: Style,
    },
    /// `info mtree`: a tree that can be shown, but not searched.
    Tree(String),
}

impl RegionText {
    /// Reads the text of `info mtree -f`, or of `info mtree`.
    ///
    /// # Errors
    /// When it is neither.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        match monitor::parse(text) {
            Ok(flat) => Ok(Self::Flat { map: Box::new(flat.map), style: flat.style }),
            Err(ParseError::TreeForm) if Form::of(text) == Some(Form::Tree) => {
                Ok(Self::Tree(text.to_owned()))
            }
            Err(error) => Err(error),
        }
    }

    /// The map, if the text has one.
    #[must_use]
    pub fn map(&self) -> Option<&RegionMap> {
        match self {
            Self::Flat { map, .. } => Some(map),
            Self::Tree(_) => None,
        }
    }

    /// The RAM and ROM that the CPUs' address space shows; `None` of a tree.
    ///
    /// # Errors
    /// When the flat view cannot be rendered.
    pub fn memory(&self) -> Result<Option<PhysicalMemory<Gpa, ()>>, SourceError> {
        let Some(map) = self.map() else { return Ok(None) };
        let space = map.address_space("memory").or(map.address_spaces().first());
        let view = space.map(|space| map.view(space)).transpose()?.unwrap_or_default();
        let like_memory = |range: &&FlatRange| map.region(range.region).reads_like_memory();
        let whole = |range: &FlatRange| PhysicalRange {
            gpa: range.start,
            len: u64::try_from(range.size).unwrap_or(u64::MAX),
            backing: Backing::At(range.start),
        };
        let ranges = view.ranges().iter().filter(like_memory).map(whole).collect();
        PhysicalMemory::new(ranges, ()).map(Some).map_err(SourceError::Ranges)
    }

    /// Whose text the map is from.
    #[must_use]
    pub fn style(&self) -> Option<Style> {
        match self {
            Self::Flat { style, .. } => Some(*style),
            Self::Tree(_) => None,
        }
    }

    /// The text of a tree.
    #[must_use]
    pub fn tree(&self) -> Option<&str> {
        match self {
            Self::Flat { .. } => None,
            Self::Tree(text) => Some(text),
        }
    }
}
