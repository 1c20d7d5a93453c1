//! Two recordings side by side: aligned by instruction count and kind, host
//! pointers and padding left out.

use std::{collections::VecDeque, hash::Hasher, mem};

use super::{Entry, EventLog, Key, LogError};

/// Entries that are the same before the first difference, and are kept.
const CONTEXT: usize = 3;
/// No more entries with one instruction count are compared at a time.
const MOST_AT_ONCE: usize = 1 << 16;

/// Words for an entry, made while it is at hand.
pub type Words<'a> = &'a dyn Fn(&Entry) -> String;

/// How entries of two logs differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Difference {
    /// The second log has no such entry.
    OnlyA,
    /// The first log has no such entry.
    OnlyB,
    /// Both have it, with other values or data.
    Value,
}

/// Where two logs differ first.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct First {
    /// The instruction count.
    pub instructions: u64,
    /// How.
    pub difference: Difference,
    /// Entries before, which are the same.
    pub before: Vec<String>,
    /// The entry of the first log: the next one where it lacks it.
    pub a: Option<String>,
    /// That of the second.
    pub b: Option<String>,
}

/// What is different.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Summary {
    /// Entries that are the same.
    pub same: u64,
    /// Entries that only the first log has.
    pub only_a: u64,
    /// Entries that only the second log has.
    pub only_b: u64,
    /// Entries that both have, with other values.
    pub values: u64,
    /// The first difference.
    pub first: Option<First>,
    /// Differences of each kind, call and callsite, as [`Key::index`] says.
    pub by_key: Vec<(Key, Names, [u64; 3])>,
}

/// Kind, call, callsite.
pub type Names = (&'static str, Option<&'static str>, Option<&'static str>);

impl Summary {
    /// Whether the logs say the same.
    #[must_use]
    pub const fn equal(&self) -> bool {
        self.only_a + self.only_b + self.values == 0
    }
}

/// What is kept of an entry.
struct Kept {
    instructions: u64,
    key: Key,
    names: Names,
    /// Of what two recordings can share.
    digest: u64,
    words: String,
}

/// Entries of a log, in runs of one instruction count.
struct Runs<'l, L> {
    log: &'l mut L,
    ahead: Option<Kept>,
    error: Option<LogError>,
}

impl<'l, L: EventLog> Runs<'l, L> {
    fn new(log: &'l mut L, words: Option<Words>) -> Self {
        let mut runs = Self { log, ahead: None, error: None };
        runs.ahead = runs.read(words);
        runs
    }

    fn read(&mut self, words: Option<Words>) -> Option<Kept> {
        match self.log.next_entry() {
            Ok(entry) => entry.as_ref().map(|entry| kept(entry, words)),
            Err(error) => {
                self.error = Some(error);
                None
            }
        }
    }

    fn now(&self) -> Option<u64> {
        self.ahead.as_ref().map(|kept| kept.instructions)
    }

    /// All entries with the instruction count of the next.
    fn run(&mut self, words: Option<Words>) -> Vec<Kept> {
        let mut run = Vec::new();
        let now = self.now();
        while self.now() == now && run.len() < MOST_AT_ONCE {
            let Some(kept) = self.ahead.take() else { break };
            run.push(kept);
            self.ahead = self.read(words);
        }
        run
    }
}

fn kept(entry: &Entry, words: Option<Words>) -> Kept {
    let fields = entry.fields();
    let shared = entry.shared();
    // Both logs are read by the same program, so any hash will do.
    let mut digest = std::hash::DefaultHasher::new();
    digest.write(shared.head());
    digest.write_u8(0);
    digest.write(shared.payload);
    Kept {
        instructions: entry.instructions,
        key: entry.key(),
        names: (fields.kind, fields.call, fields.callsite),
        digest: digest.finish(),
        words: words.map(|words| words(entry)).unwrap_or_default(),
    }
}

/// Compares two logs of one format. `words` are asked for up to the first
/// difference.
///
/// # Errors
/// None: each log's end is returned beside what could be compared.
pub fn diff<A: EventLog, B: EventLog>(
    a: &mut A,
    b: &mut B,
    words: Words,
) -> (Summary, [Option<LogError>; 2]) {
    let mut state = State::default();
    let (mut a, mut b) = (Runs::new(a, Some(words)), Runs::new(b, Some(words)));
    loop {
        let words = state.summary.first.is_none().then_some(words);
        let (in_a, in_b) = match (a.now(), b.now()) {
            (None, None) => break,
            (Some(at_a), Some(at_b)) if at_a == at_b => (a.run(words), b.run(words)),
            (Some(at_a), at_b) if at_b.is_none_or(|at_b| at_a < at_b) => (a.run(words), Vec::new()),
            _ => (Vec::new(), b.run(words)),
        };
        state.compare(in_a, in_b, [a.ahead.as_ref(), b.ahead.as_ref()]);
    }
    state
        .summary
        .by_key
        .sort_by_key(|(key, _, counts)| (std::cmp::Reverse(counts.iter().sum::<u64>()), *key));
    (state.summary, [a.error, b.error])
}

#[derive(Default)]
struct State {
    summary: Summary,
    before: VecDeque<String>,
}

impl State {
    /// Compares the entries of one instruction count: of each kind in order.
    fn compare(&mut self, in_a: Vec<Kept>, in_b: Vec<Kept>, next: [Option<&Kept>; 2]) {
        let mut left: std::collections::BTreeMap<Key, VecDeque<Kept>> = Default::default();
        for kept in in_b {
            left.entry(kept.key).or_default().push_back(kept);
        }
        for kept in in_a {
            let other = left.get_mut(&kept.key).and_then(VecDeque::pop_front);
            match other {
                None => self.differs(Difference::OnlyA, Some(kept), None, next),
                Some(other) if other.digest == kept.digest => self.same(kept),
                Some(other) => self.differs(Difference::Value, Some(kept), Some(other), next),
            }
        }
        for kept in left.into_values().flatten() {
            self.differs(Difference::OnlyB, None, Some(kept), next);
        }
    }

    fn same(&mut self, kept: Kept) {
        self.summary.same += 1;
        if self.summary.first.is_none() {
            self.before.push_back(kept.words);
            if self.before.len() > CONTEXT {
                self.before.pop_front();
            }
        }
    }

    fn differs(
        &mut self,
        difference: Difference,
        a: Option<Kept>,
        b: Option<Kept>,
        next: [Option<&Kept>; 2],
    ) {
        let summary = &mut self.summary;
        let (count, place) = match difference {
            Difference::OnlyA => (&mut summary.only_a, 0),
            Difference::OnlyB => (&mut summary.only_b, 1),
            Difference::Value => (&mut summary.values, 2),
        };
        *count += 1;
        let Some(seen) = a.as_ref().or(b.as_ref()) else { return };
        let (key, names, instructions) = (seen.key, seen.names, seen.instructions);
        let at = summary.by_key.iter().position(|(other, _, _)| *other == key);
        let at = at.unwrap_or_else(|| {
            summary.by_key.push((key, names, [0; 3]));
            summary.by_key.len() - 1
        });
        summary.by_key[at].2[place] += 1;
        if summary.first.is_none() {
            let words = |kept: Option<Kept>, next: Option<&Kept>| {
                kept.map(|kept| kept.words).or_else(|| next.map(|kept| kept.words.clone()))
            };
            let before = mem::take(&mut self.before).into();
            let (a, b) = (words(a, next[0]), words(b, next[1]));
            summary.first = Some(First { instructions, difference, before, a, b });
        }
    }
}
