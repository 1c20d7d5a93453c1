//! Where in guest memory an entry of a log put or took bytes, and in which region.

use std::ops::RangeInclusive;

use crate::{
    addr::Gpa,
    guest::Guest,
    replay::{
        Entry, Event,
        panda::{self, Call, Transfer},
    },
};

/// Places of one offset that are listed.
const MOST_PLACES: usize = 16;

/// Guest-physical addresses that an entry is about, or may be about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Touched {
    /// Where the bytes begin.
    pub places: Vec<Gpa>,
    /// Bytes at each.
    pub len: u64,
    /// The address is an offset within a region that is not known.
    pub doubtful: bool,
    /// Bytes came there; else they were read.
    pub written: bool,
}

impl Touched {
    /// What an entry is about; with a guest, every place at which it has the
    /// offset that the entry says.
    #[must_use]
    pub fn by<M>(entry: &Entry, guest: Option<&Guest<M>>) -> Option<Self> {
        let Event::Panda(_, panda::Event::SkippedCall(call)) = entry.event() else { return None };
        let one = |place, len, written| {
            Some(Self { places: vec![Gpa(place)], len, doubtful: false, written })
        };
        match call {
            Call::CpuMemRw { addr, data } => one(addr, data.len() as u64, true),
            Call::CpuMemUnmap { addr, data } => {
                let len = data.len() as u64;
                let places = guest.map_or(vec![Gpa(addr)], |guest| candidates(guest, addr, len));
                Some(Self { places, len, doubtful: true, written: true })
            }
            Call::HdTransfer(moved) | Call::NetTransfer(moved) => {
                let (place, written) = in_ram(&moved)?;
                one(place, moved.bytes.into(), written)
            }
            _ => None,
        }
    }

    /// Whether a byte of `range` is meant.
    #[must_use]
    pub fn meets(&self, range: &RangeInclusive<u64>) -> bool {
        let last = |start: u64| start.saturating_add(self.len.saturating_sub(1));
        self.places.iter().any(|start| start.0 <= *range.end() && last(start.0) >= *range.start())
    }
}

/// The places of an entry in words: address, region and offset.
#[must_use]
pub fn words<M>(entry: &Entry, guest: &Guest<M>) -> Vec<String> {
    let words = |&gpa: &Gpa| match guest.place(gpa) {
        Some(place) => format!("{gpa} {}+{:#x}", place.region, place.offset),
        None => format!("{gpa} unassigned"),
    };
    let touched = Touched::by(entry, Some(guest));
    touched.iter().flat_map(|touched| &touched.places).map(words).collect()
}

/// Appends the places to an entry's line.
pub fn append(text: &mut Vec<u8>, places: &[String]) {
    if !places.is_empty() {
        text.extend_from_slice(b"  -> ");
        text.extend_from_slice(places.join(" or ").as_bytes());
    }
}

/// The side of a transfer that is guest memory, and whether it is written.
fn in_ram(moved: &Transfer) -> Option<(u64, bool)> {
    match moved.way {
        way if way.ends_with("TO_RAM") => Some((moved.destination, true)),
        way if way.starts_with("RAM_TO") => Some((moved.source, false)),
        _ => None,
    }
}

/// Every guest-physical address at which a byte of some RAM region has this
/// offset.
fn candidates<M>(guest: &Guest<M>, offset: u64, len: u64) -> Vec<Gpa> {
    let (Ok(view), Ok(map)) = (guest.flat_view(), guest.regions()) else { return Vec::new() };
    let mut places = Vec::new();
    for range in view.ranges() {
        let skip = offset.checked_sub(range.offset_in_region);
        let Some(skip) = skip.filter(|&skip| u128::from(skip) < range.size) else { continue };
        let fits = u128::from(skip) + u128::from(len) <= range.size;
        let region = map.region(range.region);
        if region.ram && !range.readonly && fits && places.len() < MOST_PLACES {
            places.push(Gpa(range.start.0 + skip));
        }
    }
    places
}
