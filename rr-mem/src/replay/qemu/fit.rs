//! How many shutdown causes a release knows, and how wide its audio counts are.
//! Neither is in the header; the numbers of all later events depend on them, so
//! what fits the log is found here.

use super::{
    Stop,
    coding::{measure, u32_at},
    ids::{AudioWidth, Id, Ids, Version},
};

/// Numbers of causes that are tried; releases since 5.2 have 10 or 11.
const CAUSES: std::ops::RangeInclusive<u8> = 8..=14;
/// Entries behind an audio event that its width is tried on.
const TRIED: usize = 32;

/// How a log goes with one way to read it, the best last.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fit {
    /// There is an event that cannot be, or more behind the end mark.
    Wrong,
    /// It ends within an event.
    Cut,
    /// It ends with an event, or goes on.
    Whole,
    /// It ends with the end mark.
    Ends,
}

/// The numbering by which most of `events` can be read; `ended` says that the
/// log ends with them. All numberings are tried until one is left.
pub(super) fn ids(events: &[u8], version: Version, ended: bool) -> Ids {
    let mut ways: Vec<Way> = CAUSES.map(|causes| Way::new(Ids::new(version, causes))).collect();
    // The one that is behind goes on, so that all stop where one is left.
    while undecided(&ways)
        && let Some(way) = ways.iter_mut().filter(|way| way.open).min_by_key(|way| way.at)
    {
        way.step(events, ended);
    }
    let usual = Ids::new(version, version.usual_causes());
    let best = ways.iter().max_by_key(|way| (way.fit, way.ids == usual, way.at));
    best.map_or(usual, |way| way.ids)
}

/// Whether more than one way may still be right.
fn undecided(ways: &[Way]) -> bool {
    let open = ways.iter().filter(|way| way.open).count();
    let at_the_end = ways.iter().any(|way| !way.open && way.fit > Fit::Wrong);
    open > 1 || open == 1 && at_the_end
}

struct Way {
    ids: Ids,
    at: usize,
    open: bool,
    fit: Fit,
}

impl Way {
    const fn new(ids: Ids) -> Self {
        Self { ids, at: 0, open: true, fit: Fit::Whole }
    }

    fn step(&mut self, events: &[u8], ended: bool) {
        let rest = &events[self.at..];
        match measure_any(rest, self.ids) {
            // Such an event is written for one instruction or more.
            Ok(_) if rest.first() == Some(&0) && u32_at(rest, 1) as i32 <= 0 => {
                (self.open, self.fit) = (false, Fit::Wrong);
            }
            Ok(len) => {
                self.at += len;
                let last = self.at == events.len();
                if rest.first() == Some(&self.ids.end()) {
                    self.fit = if last { Fit::Ends } else { Fit::Wrong };
                }
                self.open = !last && self.fit == Fit::Whole;
            }
            Err(stop) => {
                self.open = false;
                self.fit = match stop {
                    Stop::Short(_) if !ended => Fit::Whole,
                    Stop::Short(_) if self.at < events.len() => Fit::Cut,
                    Stop::Short(_) => Fit::Whole,
                    Stop::Bad(_) => Fit::Wrong,
                };
            }
        }
    }
}

/// As [`measure`], where the width of audio counts is not known yet.
pub(super) fn measure_any(events: &[u8], ids: Ids) -> Result<usize, Stop> {
    let id = events.first().and_then(|&number| ids.get(number));
    let width = match id {
        Some(Id::AudioOut | Id::AudioIn) => audio_width(events, ids),
        _ => AudioWidth::Narrow,
    };
    measure(events, ids, width)
}

/// The width of audio counts under which more of `events` can be read.
pub(super) fn audio_width(events: &[u8], ids: Ids) -> AudioWidth {
    let readable = |width| {
        let mut rest = events;
        for found in 0..TRIED {
            match measure(rest, ids, width) {
                Ok(len) => rest = &rest[len..],
                Err(Stop::Short(_)) => return TRIED.min(found + 1),
                Err(Stop::Bad(_)) => return found,
            }
        }
        TRIED
    };
    let (narrow, wide) = (readable(AudioWidth::Narrow), readable(AudioWidth::Wide));
    if wide > narrow { AudioWidth::Wide } else { AudioWidth::Narrow }
}
