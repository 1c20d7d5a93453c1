//! The first write that differs: runs forwards from the last equal point, with
//! as many watches as there are on bytes that differ later.

use std::ops::RangeInclusive;

use super::{
    Backtrace, Differences, Execution, ExecutionError,
    pair::{Pair, SearchError},
};
use crate::{addr::Gpa, memory::Memory};

/// Bytes that one watch covers, aligned: what x86 and ARM hosts can.
const WATCH: u64 = 8;
/// Places that are watched, at most.
const PLACES: usize = 32;
/// Writes of the same value by both that are passed over in one run, at most.
const CHANGES: usize = 100_000;

/// The code that made a difference.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Writer {
    /// The first point behind the write.
    pub at: u64,
    /// Where it wrote; `None` if no watch was needed, because the two points
    /// are one instruction apart.
    pub gpa: Option<Gpa>,
    /// Whether a second run came to the same.
    pub confirmed: bool,
    /// Whether places that differ were not watched, because there were too many.
    pub more: bool,
    /// The code in the first execution.
    pub a: Backtrace,
    /// In the second.
    pub b: Backtrace,
}

/// The first write between two points, of what differs at the second.
pub(super) fn first_write(
    pair: &mut Pair<'_>,
    equal: u64,
    differs: u64,
    differences: &Differences,
) -> Result<Option<Writer>, SearchError> {
    if differences.runs.is_empty() {
        return Ok(None);
    }
    let most = pair.a.most_places().min(pair.b.most_places());
    if most == 0 {
        pair.go_to(equal)?;
        let (a, b) = pair.both(|execution| execution.backtrace())?;
        let writer =
            Writer { at: differs, gpa: None, confirmed: differs - equal == 1, more: false, a, b };
        return Ok(Some(writer));
    }
    let mut places = places(differences);
    let more = places.len() > PLACES;
    places.truncate(PLACES);
    let mut first: Option<(u64, Gpa)> = None;
    for group in places.chunks(most) {
        let until = first.map_or(differs, |(at, _)| at);
        let found = first_in(pair, group, equal, until)?;
        first = found.filter(|(at, _)| first.is_none_or(|(best, _)| *at < best)).or(first);
    }
    let Some((at, gpa)) = first else { return Ok(None) };
    let place = places.iter().find(|place| place.contains(&gpa)).cloned();
    let again = first_in(pair, place.as_slice(), equal, differs)?;
    let (a, b) = pair.both(|execution| execution.backtrace())?;
    let confirmed = again.is_some_and(|(again, _)| again == at);
    Ok(Some(Writer { at, gpa: Some(gpa), confirmed, more, a, b }))
}

/// What to watch, aligned, each once.
fn places(differences: &Differences) -> Vec<RangeInclusive<Gpa>> {
    let mut starts: Vec<u64> = Vec::new();
    for run in &differences.runs {
        let last = run.gpa.0 + (run.a.len() as u64 - 1);
        starts.extend((run.gpa.0 / WATCH..=last / WATCH).map(|number| number * WATCH));
    }
    starts.dedup();
    starts.into_iter().map(|start| Gpa(start)..=Gpa(start + (WATCH - 1))).collect()
}

/// The first write to one of the places in which the two executions differ, and
/// the first byte that differs there.
fn first_in(
    pair: &mut Pair<'_>,
    places: &[RangeInclusive<Gpa>],
    from: u64,
    until: u64,
) -> Result<Option<(u64, Gpa)>, SearchError> {
    pair.go_to(from)?;
    for _ in 0..CHANGES {
        let (a, b) = pair.both(|execution| execution.next_change(places, until))?;
        let (left, right) = pair.both(|execution| bytes(execution, places))?;
        let differing = left.iter().zip(&right).find(|(a, b)| a != b).map(|(a, _)| a.0);
        let at = a.into_iter().chain(b).min();
        match (at, differing) {
            (None, _) => return Ok(None),
            (Some(at), Some(gpa)) => return Ok(Some((at, gpa))),
            (Some(_), None) if a == b => {}
            (Some(at), None) => return Ok(places.first().map(|place| (at, *place.start()))),
        }
    }
    Ok(None)
}

/// The bytes at the places, each with its address.
fn bytes(
    execution: &mut dyn Execution,
    places: &[RangeInclusive<Gpa>],
) -> Result<Vec<(Gpa, Option<u8>)>, ExecutionError> {
    let snapshot = execution.snapshot()?;
    let addresses = places.iter().flat_map(|place| place.start().0..=place.end().0);
    let byte = |gpa| {
        let mut byte = [0];
        snapshot.memory.read(Gpa(gpa), &mut byte).ok().map(|()| byte[0])
    };
    Ok(addresses.map(|gpa| (Gpa(gpa), byte(gpa))).collect())
}
