//! The first point at which two executions of a guest differ: a run forwards in
//! big steps, then bisection between the last equal and the first differing
//! one. It knows nothing of what moves them.
//!
//! A difference that heals between two points that are compared is missed.

use std::collections::BTreeMap;

use super::{
    CpuState, Differences, Digest, Execution, ExecutionError, Ignored,
    pair::{Pair, SearchError, Side, snapshot},
    writer::{self, Writer},
};

/// Into how many parts a stretch is cut when going back is dear.
const PARTS: u64 = 64;

/// How to search.
#[derive(Clone, Debug)]
pub struct SearchOptions {
    /// The first point; else where both can begin.
    pub from: Option<u64>,
    /// The last; else the earlier of the two ends.
    pub to: Option<u64>,
    /// In how many steps to run forwards before bisecting.
    pub steps: u64,
    /// Compare at every so many instructions, instead of `steps`.
    pub exhaustive: Option<u64>,
    /// What does not count.
    pub ignored: Ignored,
    /// Points compared by an earlier search for the same, and whether they were
    /// equal.
    pub known: BTreeMap<u64, bool>,
}

impl Default for SearchOptions {
    fn default() -> Self {
        Self {
            from: None,
            to: None,
            steps: 16,
            exhaustive: None,
            ignored: Ignored::default(),
            known: BTreeMap::new(),
        }
    }
}

/// Hears how a search gets on.
pub trait Observer {
    /// What lies ahead: a difference is searched between these points.
    fn between(&mut self, first: u64, last: u64) {
        let _ = (first, last);
    }

    /// A point has been compared.
    fn compared(&mut self, at: u64, equal: bool) {
        let _ = (at, equal);
    }
}

impl Observer for () {}

/// What was found.
#[derive(Debug)]
#[non_exhaustive]
pub struct Found {
    /// The answer.
    pub verdict: Verdict,
    /// Every point that was compared, and whether it was equal.
    pub points: BTreeMap<u64, bool>,
    /// Pages that could not be read at the worst of these points.
    pub unread: usize,
    /// Why an execution ended early, if it did not end properly.
    pub failure: Option<ExecutionError>,
}

/// Whether they differ.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Verdict {
    /// Nowhere that was compared.
    Same {
        /// The first point.
        from: u64,
        /// The last.
        to: u64,
        /// The execution that ended there before its time.
        ended: Option<Side>,
    },
    /// They part.
    Parted(Box<Parting>),
}

/// Where two executions part.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Parting {
    /// The last point at which they were found equal; `None` if they differ
    /// from the start.
    pub last_equal: Option<u64>,
    /// The first at which they differ.
    pub first: u64,
    /// What differs there.
    pub differences: Differences,
    /// The CPU that ran between the two points.
    pub cpu: Option<u64>,
    /// Its program counter at the last equal point.
    pub pc: Option<u64>,
    /// The CPUs of the first execution where they part.
    pub cpus: Vec<CpuState>,
    /// The first write that differs, when memory does.
    pub writer: Option<Writer>,
}

/// Finds the first point at which two executions of one guest differ, what
/// differs there, and who wrote it.
///
/// # Errors
/// When an execution cannot be moved or looked at, or they have no points in
/// common.
pub fn find_first_difference(
    a: &mut dyn Execution,
    b: &mut dyn Execution,
    options: &SearchOptions,
    observer: &mut dyn Observer,
) -> Result<Found, SearchError> {
    let points = options.known.clone();
    let mut search =
        Search { pair: Pair { a, b }, options, observer, points, unread: 0, ended: None };
    let verdict = search.run()?;
    let failure = search.ended.map(|(_, error)| error);
    let failure = failure.filter(|error| !matches!(error, ExecutionError::Ended { .. }));
    Ok(Found { verdict, points: search.points, unread: search.unread, failure })
}

struct Search<'e> {
    pair: Pair<'e>,
    options: &'e SearchOptions,
    observer: &'e mut dyn Observer,
    points: BTreeMap<u64, bool>,
    unread: usize,
    /// Who does not come as far as was asked, and why.
    ended: Option<(Side, ExecutionError)>,
}

/// The last equal point, where there is one, and the first that differs.
type Bracket = (Option<u64>, u64);

impl Search<'_> {
    fn run(&mut self) -> Result<Verdict, SearchError> {
        let (starts, ends) = (self.pair.both(|e| e.position())?, self.pair.both(|e| e.end())?);
        let from = self.options.from.unwrap_or(starts.0.max(starts.1));
        let to = self.options.to.unwrap_or(u64::MAX).min(ends.0).min(ends.1);
        match self.forwards(from, to)? {
            Ok((Some(equal), differs)) => {
                let (equal, differs) = self.bisect(equal, differs)?;
                self.parting(Some(equal), differs)
            }
            Ok((None, differs)) => self.parting(None, differs),
            Err(last) => Ok(Verdict::Same {
                from,
                to: last,
                ended: self.ended.as_ref().map(|(side, _)| *side),
            }),
        }
    }

    /// Steps forwards until a point differs; otherwise returns how far it went.
    /// If one of them does not reach a point, the last common point is found.
    fn forwards(&mut self, from: u64, mut to: u64) -> Result<Result<Bracket, u64>, SearchError> {
        self.observer.between(from, to);
        let step =
            self.options.exhaustive.unwrap_or((to.saturating_sub(from)) / self.options.steps);
        let mut step = step.max(1);
        let (mut last, mut next) = (None, from);
        loop {
            match self.compare(next)? {
                None => {
                    let Some(reached) = last else { return Ok(Err(from)) };
                    if self.is_stuck(reached) {
                        return Ok(Err(reached));
                    }
                    let end = self.ended.as_ref().and_then(|(_, error)| error.at());
                    (to, step) = match end {
                        Some(end) if end > reached && end < next => (end, end - reached),
                        _ => (next - 1, ((next - 1).saturating_sub(reached) / 2).max(1)),
                    };
                }
                Some((at, false)) => return Ok(Ok((last, at))),
                Some((at, true)) => last = Some(at),
            }
            let at = last.unwrap_or(from);
            if at >= to {
                return Ok(Err(at));
            }
            if self.ended.is_none() {
                self.checkpoint(at)?;
            }
            next = at.saturating_add(step).min(to);
            if self.options.exhaustive.is_none() && next < to {
                next = self.cheap_point(next, to)?;
            }
        }
    }

    /// Whether there is no point behind `reached`.
    fn is_stuck(&self, reached: u64) -> bool {
        let error = self.ended.as_ref().map(|(_, error)| error);
        matches!(error, Some(ExecutionError::Stuck { at }) if *at <= reached)
    }

    /// Narrows down to two points with none between them.
    fn bisect(&mut self, mut equal: u64, mut differs: u64) -> Result<(u64, u64), SearchError> {
        // Between `limit` and `differs` there is no point to stop at.
        let mut limit = differs;
        let mut step = limit;
        while limit - equal > 1 {
            self.observer.between(equal, differs);
            if step >= limit - equal {
                step = (limit - equal).div_ceil(self.parts());
            }
            let next = self.cheap_point(equal + step, limit)?;
            match self.compare(next)? {
                Some((at, true)) if at < differs => equal = at,
                Some((at, false)) if at < differs => (differs, limit) = (at, next),
                _ => limit = next,
            }
            if limit <= equal {
                limit = differs;
            }
        }
        Ok((equal, differs))
    }

    /// Where it is cheap to compare, at `instruction` or behind it.
    fn cheap_point(&mut self, instruction: u64, limit: u64) -> Result<u64, SearchError> {
        if self.points.contains_key(&instruction) {
            return Ok(instruction);
        }
        let found = self.pair.a.cheap_point(instruction, limit);
        let found = found.map_err(|error| SearchError::Execution { side: Side::A, error })?;
        Ok(if (instruction..limit).contains(&found) { found } else { instruction })
    }

    /// Into how many parts a stretch is cut.
    fn parts(&self) -> u64 {
        if self.pair.a.goes_back() && self.pair.b.goes_back() { 2 } else { PARTS }
    }

    /// Whether both are equal at the first common point at `instruction` or
    /// behind it; `None` if one of them ends before that.
    fn compare(&mut self, instruction: u64) -> Result<Option<(u64, bool)>, SearchError> {
        if let Some(equal) = self.points.get(&instruction) {
            return Ok(Some((instruction, *equal)));
        }
        let at = match self.pair.go_to(instruction) {
            Ok(at) => at,
            Err(SearchError::Execution { side, error }) if self.is_end(&error) => {
                self.ended = Some((side, error));
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        if let Some(equal) = self.points.get(&at) {
            return Ok(Some((at, *equal)));
        }
        let ignored = &self.options.ignored;
        let (a, b) = self.pair.both(|execution| Ok(Digest::of(&execution.snapshot()?, ignored)))?;
        let equal = a.agrees_with(&b);
        self.unread = self.unread.max(a.unread()).max(b.unread());
        self.points.insert(at, equal);
        self.observer.compared(at, equal);
        Ok(Some((at, equal)))
    }

    /// Whether an execution that came to other points goes no further.
    fn is_end(&self, error: &ExecutionError) -> bool {
        let ended = matches!(error, ExecutionError::Ended { .. });
        ended || !self.points.is_empty()
    }

    /// Makes it cheap to come back to an equal point, if they stand there.
    fn checkpoint(&mut self, at: u64) -> Result<(), SearchError> {
        if self.pair.both(|execution| execution.position())? == (at, at) {
            self.pair.both(|execution| execution.checkpoint())?;
        }
        Ok(())
    }

    /// What differs, and who wrote it.
    fn parting(&mut self, last_equal: Option<u64>, first: u64) -> Result<Verdict, SearchError> {
        self.pair.go_to(first)?;
        let (differences, cpus) = self.pair.compare(&self.options.ignored)?;
        let mut parting =
            Parting { last_equal, first, differences, cpu: None, pc: None, cpus, writer: None };
        if let Some(equal) = last_equal {
            self.pair.go_to(equal)?;
            let before = snapshot(self.pair.a, Side::A)?.cpus;
            let ran = before.iter().zip(&parting.cpus).find(|(old, new)| old != new);
            (parting.cpu, parting.pc) =
                (ran.map(|(cpu, _)| cpu.number), ran.and_then(|ran| ran.0.pc));
            parting.writer =
                writer::first_write(&mut self.pair, equal, first, &parting.differences)?;
        }
        Ok(Verdict::Parted(Box::new(parting)))
    }
}
