//! A digest of a guest at one point: its registers, and a hash of every page of
//! its RAM (xxh3, 64 bits). Pages are named by guest-physical address, because
//! emulators keep them at different places.

use rayon::prelude::*;
use xxhash_rust::xxh3::xxh3_64;

use super::{CpuState, Snapshot};
use crate::{
    addr::{Gpa, PAGE, RangeSet},
    memory::Memory,
};

/// What may differ without being a difference.
#[derive(Clone, Debug, Default)]
pub struct Ignored {
    /// Guest-physical addresses.
    pub memory: RangeSet,
    /// Registers, by name, of all CPUs.
    pub registers: Vec<String>,
}

impl Ignored {
    /// Whether a register counts.
    #[must_use]
    pub fn counts(&self, register: &str) -> bool {
        !self.registers.iter().any(|ignored| ignored.eq_ignore_ascii_case(register))
    }
}

/// What a guest held at one point.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Digest {
    /// The CPUs, without what is ignored.
    pub cpus: Vec<CpuState>,
    /// What was hashed.
    pub ram: RangeSet,
    /// A hash for each piece of it, lowest first; `None` if its bytes could not
    /// be read.
    pages: Vec<Option<u64>>,
}

impl Digest {
    /// The digest of a snapshot; its pages are read in parallel.
    #[must_use]
    pub fn of(snapshot: &Snapshot<'_>, ignored: &Ignored) -> Self {
        let ram = snapshot.ram.without(&ignored.memory);
        let pieces: Vec<_> = ram.iter().flat_map(pieces).collect();
        let memory = &snapshot.memory;
        let pages = pieces
            .into_par_iter()
            .map_init(Vec::new, |buffer, (first, last)| hash(memory, first, last, buffer))
            .collect();
        let mut cpus = snapshot.cpus.clone();
        for cpu in &mut cpus {
            cpu.registers.retain(|(name, _)| ignored.counts(name));
        }
        Self { cpus, ram, pages }
    }

    /// Whether nothing differs that could be read in both.
    #[must_use]
    pub fn agrees_with(&self, other: &Self) -> bool {
        let same = |a: &Self, b: &Self| {
            a.pages.iter().zip(&b.pages).all(|(a, b)| a.is_none() || b.is_none() || a == b)
        };
        let registers = |cpus: &[CpuState]| -> Vec<_> {
            cpus.iter().map(|cpu| (cpu.number, cpu.registers.clone())).collect()
        };
        registers(&self.cpus) == registers(&other.cpus)
            && self.ram == other.ram
            && same(self, other)
    }

    /// How many pages could not be read.
    #[must_use]
    pub fn unread(&self) -> usize {
        self.pages.iter().filter(|page| page.is_none()).count()
    }
}

/// A range in pieces that end where pages do.
fn pieces((first, last): (u64, u64)) -> impl Iterator<Item = (u64, u64)> {
    let mut next = Some(first);
    std::iter::from_fn(move || {
        let from = next.filter(|from| *from <= last)?;
        let to = last.min(from | (PAGE - 1));
        next = to.checked_add(1);
        Some((from, to))
    })
}

fn hash<M: Memory>(memory: &M, first: u64, last: u64, buffer: &mut Vec<u8>) -> Option<u64> {
    let len = (last - first) as usize + 1;
    if let Some(bytes) = memory.slice(Gpa(first), len) {
        return Some(xxh3_64(bytes));
    }
    buffer.resize(len, 0);
    memory.read(Gpa(first), buffer).ok()?;
    Some(xxh3_64(buffer))
}
