//! The order of candidates.

use std::{
    cmp::Reverse,
    collections::{HashMap, HashSet},
};

use super::{Found, RootCandidate};
use crate::{
    addr::Gpa,
    regs::{Register, Regs},
};

/// Best first, each pair together, all of one kind.
pub(super) fn ranked(found: Vec<Found>) -> Vec<RootCandidate> {
    let mut seen = HashSet::new();
    let mut found: Vec<_> =
        found.into_iter().filter(|found| seen.insert(identity(&found.candidate))).collect();
    let mut shared: HashMap<_, usize> = HashMap::new();
    for found in &found {
        *shared.entry((family(&found.candidate), found.kernel_half)).or_default() += 1;
    }
    let key = |found: &Found| {
        let RootCandidate { shared_by, user_pages, .. } = found.candidate;
        (Reverse((shared_by, found.held)), found.misplaced, Reverse(user_pages))
    };
    for found in &mut found {
        found.candidate.shared_by = shared[&(family(&found.candidate), found.kernel_half)];
    }
    found.sort_by_key(key);
    let mut ranked: Vec<_> = found.into_iter().map(|found| found.candidate).collect();
    if let Some(best) = ranked.first().map(family) {
        ranked.retain(|candidate| family(candidate) == best);
    }
    with_pairs(ranked)
}

/// Keeps one candidate of each table and register, whatever view or pass found
/// it, the likeliest first; other kinds of tables are kept apart.
fn identity(candidate: &RootCandidate) -> (Gpa, Register, (&'static str, u64)) {
    (candidate.root, candidate.register, family(candidate))
}

/// What all tables of a guest have in common.
fn family(candidate: &RootCandidate) -> (&'static str, u64) {
    match candidate.regs {
        Regs::Arm(regs) if regs.arch64() => (candidate.mode, regs.tcr),
        _ => (candidate.mode, 0),
    }
}

/// Moves the lesser table of each pair right behind the other.
fn with_pairs(ranked: Vec<RootCandidate>) -> Vec<RootCandidate> {
    let place: HashMap<Gpa, usize> =
        ranked.iter().enumerate().map(|(n, candidate)| (candidate.root, n)).collect();
    let key = |n: usize, candidate: &RootCandidate| {
        let other = candidate.pair.and_then(|pair| place.get(&pair)).copied().unwrap_or(n);
        (n.min(other), n)
    };
    let mut keyed: Vec<_> = ranked
        .into_iter()
        .enumerate()
        .map(|(n, candidate)| (key(n, &candidate), candidate))
        .collect();
    keyed.sort_by_key(|(key, _)| *key);
    keyed.into_iter().map(|(_, candidate)| candidate).collect()
}
