//! All of an address space at once: every mapping, merged runs, and the way
//! back from a physical address to each of its virtual ones.
//!
//! Tables are decoded once per (table, level, inherited rights) and kept as a
//! graph. A table that is entered again and again (a zero page mapped a billion
//! times, a table that points to itself) costs nothing more. The graph is
//! lossless, and as large as the tables are. Listing it is lazy.

mod aliases;
mod build;
mod mappings;

pub use aliases::{Alias, Aliases};
pub use mappings::{Mapping, Mappings, Merge, Progression};

use std::ops::RangeInclusive;

use super::{Level, Mmu, Rights, each_paging};
use crate::{
    addr::{Gpa, Gva},
    memory::{Memory, ReadError},
};

/// How much a [`VirtualSpace`] may hold. A guest's tables are hostile input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpaceLimits {
    /// Tables, each counted once per level and inherited rights.
    pub tables: usize,
    /// Runs of equal entries in all tables together.
    pub runs: usize,
}

impl Default for SpaceLimits {
    /// 4 million tables (16 GB of 4 KB tables), 16 million runs (640 MB of our
    /// own memory).
    fn default() -> Self {
        Self { tables: 4 << 20, runs: 16 << 20 }
    }
}

/// A table, or a part of one, that could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unreadable {
    /// The structure.
    pub level: Level,
    /// Guest physical address of the first entry that could not be read.
    pub at: Gpa,
    /// Why.
    pub source: ReadError,
}

/// Every mapping of an address space.
#[derive(Clone, Debug)]
pub struct VirtualSpace {
    nodes: Vec<Node>,
    items: Vec<Item>,
    spans: Vec<Top>,
    unreadable: Vec<Unreadable>,
    truncated: bool,
}

/// A decoded table: some items, in the order of their entries.
#[derive(Clone, Copy, Debug)]
struct Node {
    first_item: u32,
    items: u32,
    /// log2 of the bytes that one entry maps.
    shift: u8,
    /// All that the table maps, from address 0 on, if it is one range of equal
    /// rights; otherwise a border lies in it.
    whole: Option<Mapping>,
}

/// Where an address space, or a half of one, begins.
#[derive(Clone, Copy, Debug)]
struct Top {
    gva: Gva,
    root: Root,
}

#[derive(Clone, Copy, Debug)]
enum Root {
    Node(u32),
    /// Translation is off: one run, up to this address.
    Run(Run, Gva),
}

/// Consecutive entries of a table that mean the same.
#[derive(Clone, Copy, Debug)]
struct Item {
    first: u32,
    count: u32,
    kind: Kind,
}

impl Item {
    /// The distance of its last byte from its first; `shift` is its node's.
    fn last_byte(&self, shift: u8) -> u64 {
        (u64::from(self.count) << shift) - 1
    }

    /// Where it starts in its node: a run once, a table at each of its entries.
    fn starts(&self, shift: u8) -> impl Iterator<Item = Gva> + use<> {
        let times = if matches!(self.kind, Kind::Run(_)) { 1 } else { self.count };
        (self.first..self.first + times).map(move |entry| Gva(u64::from(entry) << shift))
    }
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    /// Each entry points to this same table.
    Table(u32),
    Run(Run),
}

/// Pages in a row, all with the same rights and size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    gpa: Gpa,
    rights: Rights,
    /// log2 of the bytes that one last-level entry maps.
    unit_shift: u8,
    /// log2 of the page size.
    page_shift: u8,
    /// Whether the physical address advances with the virtual one; otherwise
    /// every unit maps the same physical one.
    linear: bool,
}

impl VirtualSpace {
    /// Decodes every table that `mmu` reaches in `memory`.
    #[must_use]
    pub fn new<M: Memory + ?Sized>(mmu: &Mmu, memory: &M, limits: SpaceLimits) -> Self {
        Self::within(mmu, memory, Gva(0)..=Gva(u64::MAX), limits)
    }

    /// As [`VirtualSpace::new`], but only what maps addresses in `range`: tables that
    /// do not are not read. Mappings at its ends are whole ones.
    #[must_use]
    pub fn within<M: Memory + ?Sized>(
        mmu: &Mmu,
        memory: &M,
        range: RangeInclusive<Gva>,
        limits: SpaceLimits,
    ) -> Self {
        each_paging!(mmu, paging => build::build(paging, memory, range, limits))
    }

    /// Every mapping, lowest address first; lazy.
    #[must_use]
    pub fn mappings(&self, merge: Merge) -> Mappings<'_> {
        Mappings::new(self, merge)
    }

    /// The index from physical addresses back to virtual ones.
    #[must_use]
    pub fn aliases(&self) -> Aliases<'_> {
        Aliases::new(self)
    }

    /// Tables that could not be read: what they map is unknown, which is not
    /// the same as not mapped.
    #[must_use]
    pub fn unreadable(&self) -> &[Unreadable] {
        &self.unreadable
    }

    /// Whether a limit was hit: mappings are missing.
    #[must_use]
    pub fn truncated(&self) -> bool {
        self.truncated
    }

    /// Tables decoded, each counted once per level and inherited rights.
    #[must_use]
    pub fn tables(&self) -> usize {
        self.nodes.len()
    }

    fn items_of(&self, node: u32) -> &[Item] {
        let node = self.nodes[node as usize];
        &self.items[node.first_item as usize..][..node.items as usize]
    }
}

#[cfg(test)]
mod tests;
