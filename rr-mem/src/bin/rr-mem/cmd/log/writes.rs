//! `rr-mem log writes`.

use std::ops::RangeInclusive;

use rr_mem::{
    addr::Gpa,
    guest::Guest,
    replay::{
        Entry, Event,
        panda::{self, Call},
    },
    report::log::{
        LogRow,
        line::{Data, line},
    },
};

use super::{between, each, open};
use crate::{
    cli::{Source, log::Writes},
    output::{Outcome, Output, note, usage},
    source,
};

/// Places of one offset that are listed.
const MOST_PLACES: usize = 16;

/// Guest-physical addresses that a write went to, or may have gone to.
struct Written {
    places: Vec<u64>,
    len: u64,
    /// The address is an offset within a region that is not known.
    doubtful: bool,
}

pub fn run(args: &Writes, output: &mut Output) -> anyhow::Result<Outcome> {
    let mut filter = between(args.from, args.to)?;
    let mut log = open(&args.file.log)?;
    let opened = given(&args.source).then(|| source::open(&args.source, output.verbose));
    let opened = opened.transpose()?;
    let guest = opened.as_ref().map(|opened| &opened.guest);
    if guest.is_some_and(|guest| guest.flat_view().is_err()) {
        return Err(usage("the source holds no memory regions", "give --mtree FILE, or --pid"));
    }
    let mut found = false;
    let mut doubtful = false;
    let outcome = each(&args.file.log, &mut log, &mut filter, output, |entry, output| {
        let Some(written) = written(entry, guest) else { return Ok(()) };
        if args.gpa.as_ref().is_some_and(|gpa| !written.touches(gpa)) {
            return Ok(());
        }
        found = true;
        doubtful |= written.doubtful;
        show(args, entry, &places(&written, guest), output)
    })?;
    if doubtful && guest.is_none() {
        note("CPU_MEM_UNMAP logs offsets within a region; --mtree or --pid shows which it can be");
    }
    let empty = if found { Outcome::Answered } else { Outcome::Negative };
    Ok(outcome.max(empty))
}

/// Whether a source of regions is given.
fn given(source: &Source) -> bool {
    source.image.is_some() || source.mtree.is_some() || source::emulator::is_meant(&source.emulator)
}

impl Written {
    fn touches(&self, range: &RangeInclusive<u64>) -> bool {
        let last = |start: u64| start.saturating_add(self.len.saturating_sub(1));
        self.places.iter().any(|&start| start <= *range.end() && last(start) >= *range.start())
    }
}

fn written(entry: &Entry, guest: Option<&Guest>) -> Option<Written> {
    let Event::Panda(_, panda::Event::SkippedCall(call)) = entry.event() else { return None };
    let at = |place, len| Some(Written { places: vec![place], len, doubtful: false });
    match call {
        Call::CpuMemRw { addr, data } => at(addr, data.len() as u64),
        Call::CpuMemUnmap { addr, data } => {
            let len = data.len() as u64;
            let places = match guest {
                Some(guest) => candidates(guest, addr, len),
                None => vec![addr],
            };
            Some(Written { places, len, doubtful: true })
        }
        Call::HdTransfer(moved) | Call::NetTransfer(moved) if moved.way.ends_with("TO_RAM") => {
            at(moved.destination, moved.bytes.into())
        }
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

/// The places in words: address, region and offset.
fn places(written: &Written, guest: Option<&Guest>) -> Vec<String> {
    let Some(guest) = guest else { return Vec::new() };
    let words = |&gpa: &u64| match guest.place(Gpa(gpa)) {
        Some(place) => format!("{gpa:#x} {}+{:#x}", place.region, place.offset),
        None => format!("{gpa:#x} unassigned"),
    };
    written.places.iter().map(words).collect()
}

fn show(
    args: &Writes,
    entry: &Entry,
    places: &[String],
    output: &mut Output,
) -> anyhow::Result<()> {
    if output.json {
        return output.row(&LogRow { places: places.to_vec(), ..LogRow::from(entry) });
    }
    let mut text = Vec::new();
    line(&mut text, entry, Data { hex: args.hex, ascii: args.ascii });
    if !places.is_empty() {
        text.extend_from_slice(b"  -> ");
        text.extend_from_slice(places.join(" or ").as_bytes());
    }
    output.line(String::from_utf8_lossy(&text))
}
