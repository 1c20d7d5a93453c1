//! What a release's log looks like beyond its version: how many causes of a
//! shutdown it knows, and how wide its audio counts are. Neither is in the
//! header, so the numbers of all later events depend on what fits.

use super::{AudioWidth, Ids, Stop, Version, measure};

/// Numbers of causes that are tried; releases since 5.2 have 10 or 11.
const CAUSES: std::ops::RangeInclusive<u8> = 8..=14;
/// Entries behind an audio event that its width is tried on.
const TRIED: usize = 32;

/// How a log goes with one way to read it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Score {
    /// It goes on to the end of what is there, or to the end mark.
    fits: bool,
    /// Bytes that could be read.
    bytes: usize,
    /// The end mark is the last byte.
    ends: bool,
    /// The numbers of a release that is known.
    usual: bool,
}

/// The numbering under which `events` can be read farthest; `ended` says that
/// the log ends with them. All ways are followed until one is left.
pub(super) fn ids(events: &[u8], version: Version, ended: bool) -> Ids {
    let mut ways: Vec<Way> = CAUSES.map(|causes| Way::new(Ids::new(version, causes))).collect();
    // The one that is behind goes on, so that all stop where one is left.
    while undecided(&ways)
        && let Some(way) = ways.iter_mut().filter(|way| way.open).min_by_key(|way| way.at)
    {
        way.step(events, ended);
    }
    let usual = Ids::new(version, version.usual_causes());
    let best = ways.iter().max_by_key(|way| way.score(events, usual));
    best.map_or(usual, |way| way.ids)
}

/// Whether more than one way may still be right.
fn undecided(ways: &[Way]) -> bool {
    let open = ways.iter().filter(|way| way.open).count();
    let at_the_end = ways.iter().any(|way| !way.open && way.fits);
    open > 1 || open == 1 && at_the_end
}

struct Way {
    ids: Ids,
    at: usize,
    open: bool,
    fits: bool,
    marked: bool,
}

impl Way {
    const fn new(ids: Ids) -> Self {
        Self { ids, at: 0, open: true, fits: true, marked: false }
    }

    fn step(&mut self, events: &[u8], ended: bool) {
        let rest = &events[self.at..];
        match measure(rest, self.ids, AudioWidth::Narrow) {
            Ok(len) => {
                self.marked = rest.first() == Some(&self.ids.end());
                self.at += len;
                let behind = self.marked && (self.at < events.len() || !ended);
                self.fits &= !behind;
                self.open = !self.marked && self.at < events.len();
            }
            Err(stop) => {
                self.open = false;
                self.fits = matches!(stop, Stop::Short(_)) && !ended;
            }
        }
        if !self.fits {
            self.open = false;
        }
    }

    fn score(&self, events: &[u8], usual: Ids) -> Score {
        let ends = self.marked && self.at == events.len();
        Score { fits: self.fits, bytes: self.at, ends, usual: self.ids == usual }
    }
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
