//! Where in guest memory an entry put or took bytes, and in which region.

use std::ops::RangeInclusive;

use rr_mem::{
    addr::Gpa,
    guest::Guest,
    replay::{
        Entry, Event,
        panda::{self, Call, Transfer},
    },
};

use crate::{
    cli::Source,
    output::{Output, usage},
    source::{self, Opened},
};

/// Places of one offset that are listed.
const MOST_PLACES: usize = 16;

/// The regions of a source, where one was given.
pub struct Regions(Option<Opened>);

/// Guest-physical addresses that an entry is about, or may be about.
pub struct Touched {
    places: Vec<u64>,
    len: u64,
    /// The address is an offset within a region that is not known.
    pub doubtful: bool,
    /// Bytes came there; else they were read.
    pub written: bool,
}

impl Regions {
    /// Those of `source`.
    pub fn of(source: &Source, output: &Output) -> anyhow::Result<Self> {
        let given = source.image.is_some()
            || source.mtree.is_some()
            || source::emulator::is_meant(&source.emulator);
        let opened = given.then(|| source::open(source, output.verbose)).transpose()?;
        if opened.as_ref().is_some_and(|opened| opened.guest.flat_view().is_err()) {
            return Err(usage("the source holds no memory regions", "give --mtree FILE, or --pid"));
        }
        Ok(Self(opened))
    }

    fn guest(&self) -> Option<&Guest> {
        self.0.as_ref().map(|opened| &opened.guest)
    }

    pub fn is_given(&self) -> bool {
        self.0.is_some()
    }

    /// What an entry is about.
    pub fn touched(&self, entry: &Entry) -> Option<Touched> {
        let Event::Panda(_, panda::Event::SkippedCall(call)) = entry.event() else { return None };
        let one = |place, len, written| {
            Some(Touched { places: vec![place], len, doubtful: false, written })
        };
        match call {
            Call::CpuMemRw { addr, data } => one(addr, data.len() as u64, true),
            Call::CpuMemUnmap { addr, data } => {
                let len = data.len() as u64;
                let places = self.guest().map_or(vec![addr], |guest| candidates(guest, addr, len));
                Some(Touched { places, len, doubtful: true, written: true })
            }
            Call::HdTransfer(moved) | Call::NetTransfer(moved) => {
                let (place, written) = in_ram(&moved)?;
                one(place, moved.bytes.into(), written)
            }
            _ => None,
        }
    }

    /// The places of an entry in words: address, region and offset. None
    /// without a source.
    pub fn words(&self, entry: &Entry) -> Vec<String> {
        let Some(guest) = self.guest() else { return Vec::new() };
        let words = |&gpa: &u64| match guest.place(Gpa(gpa)) {
            Some(place) => format!("{gpa:#x} {}+{:#x}", place.region, place.offset),
            None => format!("{gpa:#x} unassigned"),
        };
        self.touched(entry).iter().flat_map(|touched| &touched.places).map(words).collect()
    }
}

impl Touched {
    pub fn meets(&self, range: &RangeInclusive<u64>) -> bool {
        let last = |start: u64| start.saturating_add(self.len.saturating_sub(1));
        self.places.iter().any(|&start| start <= *range.end() && last(start) >= *range.start())
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
fn candidates(guest: &Guest, offset: u64, len: u64) -> Vec<u64> {
    let (Ok(view), Ok(map)) = (guest.flat_view(), guest.regions()) else { return Vec::new() };
    let mut places = Vec::new();
    for range in view.ranges() {
        let skip = offset.checked_sub(range.offset_in_region);
        let Some(skip) = skip.filter(|&skip| u128::from(skip) < range.size) else { continue };
        let fits = u128::from(skip) + u128::from(len) <= range.size;
        let region = map.region(range.region);
        if region.ram && !range.readonly && fits && places.len() < MOST_PLACES {
            places.push(range.start.0 + skip);
        }
    }
    places
}

/// Appends the places to an entry's line.
pub fn append(text: &mut Vec<u8>, places: &[String]) {
    if !places.is_empty() {
        text.extend_from_slice(b"  -> ");
        text.extend_from_slice(places.join(" or ").as_bytes());
    }
}
