//! Which entries are asked for.

use std::ops::RangeInclusive;

use super::{Entry, Key, panda, qemu};

/// Names that are listed for one that is not known.
const MOST_NEAR: usize = 8;

/// What is asked for: all that hold with every list that is not empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Criteria {
    /// Instruction counts.
    pub instructions: RangeInclusive<u64>,
    /// Names of kinds.
    pub kinds: Vec<String>,
    /// Names of callsites.
    pub callsites: Vec<String>,
    /// Names of calls.
    pub calls: Vec<String>,
    /// Values.
    pub values: Vec<RangeInclusive<u64>>,
    /// Addresses; an entry that touches one of them is taken.
    pub addresses: Vec<RangeInclusive<u64>>,
}

impl Default for Criteria {
    fn default() -> Self {
        Self {
            instructions: 0..=u64::MAX,
            kinds: Vec::new(),
            callsites: Vec::new(),
            calls: Vec::new(),
            values: Vec::new(),
            addresses: Vec::new(),
        }
    }
}

/// Decides which entries are taken.
#[derive(Clone, Debug)]
pub struct LogFilter {
    wanted: Criteria,
    /// Nothing is left out.
    takes_all: bool,
    /// By kind, call and callsite: what was decided.
    decided: Vec<Option<bool>>,
}

impl From<Criteria> for LogFilter {
    fn from(wanted: Criteria) -> Self {
        let takes_all = wanted == Criteria::default();
        Self { wanted, takes_all, decided: vec![None; Key::CLASSES * Key::CALLSITES] }
    }
}

/// A name as the formats write it: `skipped-call`, `RR_SKIPPED_CALL` and
/// `SKIPPED_CALL` are the same.
#[must_use]
fn plain_name(name: &str) -> String {
    let name = name.trim().to_ascii_uppercase().replace('-', "_");
    let prefixes = ["RR_CALLSITE_", "RR_CALL_", "RR_", "EVENT_"];
    let prefix = prefixes.iter().find_map(|prefix| name.strip_prefix(prefix));
    prefix.map_or(name.clone(), str::to_owned)
}

/// Every name of a kind, callsite or call, in both formats.
#[must_use]
fn known_names() -> Vec<&'static str> {
    let mut names = [panda::all_names(), qemu::all_names()].concat();
    names.sort_unstable();
    names.dedup();
    names
}

/// The format's own form of a name that a user gave.
///
/// # Errors
/// Known names that are like it, when it is none.
pub fn known_name(name: &str) -> Result<String, Vec<&'static str>> {
    let plain = plain_name(name);
    let known = known_names();
    if known.contains(&plain.as_str()) {
        return Ok(plain);
    }
    let near = known.into_iter().filter(|known| known.contains(&plain));
    Err(near.take(MOST_NEAR).collect())
}

impl LogFilter {
    /// Whether every entry is taken.
    #[must_use]
    pub const fn takes_all(&self) -> bool {
        self.takes_all
    }

    /// The instruction counts that are taken.
    #[must_use]
    pub const fn instructions(&self) -> &RangeInclusive<u64> {
        &self.wanted.instructions
    }

    /// Whether an entry is taken.
    #[inline]
    pub fn takes(&mut self, entry: &Entry) -> bool {
        self.takes_all
            || self.wanted.instructions.contains(&entry.instructions)
                && self.takes_names(entry)
                && self.takes_values(entry)
    }

    fn takes_names(&mut self, entry: &Entry) -> bool {
        let index = entry.key().index();
        if let Some(taken) = self.decided[index] {
            return taken;
        }
        let fields = entry.fields();
        let one_of = |names: &[String], name: Option<&str>| {
            names.is_empty() || name.is_some_and(|name| names.iter().any(|other| other == name))
        };
        let taken = one_of(&self.wanted.kinds, Some(fields.kind))
            && one_of(&self.wanted.callsites, fields.callsite)
            && one_of(&self.wanted.calls, fields.call);
        self.decided[index] = Some(taken);
        taken
    }

    fn takes_values(&self, entry: &Entry) -> bool {
        if self.wanted.values.is_empty() && self.wanted.addresses.is_empty() {
            return true;
        }
        let fields = entry.fields();
        let valued = |wanted: &RangeInclusive<u64>| {
            fields.value.is_some_and(|value| wanted.contains(&value))
        };
        let touches = |wanted: &RangeInclusive<u64>| {
            fields.address.is_some_and(|start| {
                let last = start.saturating_add(fields.length.unwrap_or(1).saturating_sub(1));
                start <= *wanted.end() && last >= *wanted.start()
            })
        };
        (self.wanted.values.is_empty() || self.wanted.values.iter().any(valued))
            && (self.wanted.addresses.is_empty() || self.wanted.addresses.iter().any(touches))
    }
}
