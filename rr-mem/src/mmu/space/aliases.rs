//! From a physical address to every virtual one: an index of the runs by
//! physical address, and of the tables by those that point to them.

use std::ops::ControlFlow;

use super::{Item, Kind, Root, Run, Space};
use crate::{
    addr::{Gpa, Gva},
    mmu::Rights,
};

/// A virtual address that maps the physical one asked for, and how often it is
/// repeated right behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Alias {
    /// The first such address.
    pub gva: Gva,
    /// How many there are, each `stride` bytes behind the one before.
    pub count: u64,
    /// See `count`; 0 when it is 1.
    pub stride: u64,
    /// Bytes of the page.
    pub page_size: u64,
    /// Effective rights.
    pub rights: Rights,
}

/// The index of a [`Space`] from physical to virtual addresses.
#[derive(Clone, Debug)]
pub struct Aliases<'a> {
    space: &'a Space,
    /// All runs, by physical address.
    leaves: Vec<Leaf>,
    /// Which items point to which node, sorted by node.
    parents: Vec<Parent>,
    /// Which spans start at which node.
    tops: Vec<(u32, Gva)>,
}

/// A run, and where it is.
#[derive(Clone, Copy, Debug)]
struct Leaf {
    first: Gpa,
    last: Gpa,
    /// The highest `last` up to here, which ends a search.
    reach: Gpa,
    run: Run,
    /// Offset in `node`, or the address itself without one.
    offset: u64,
    bytes: u64,
    node: Option<u32>,
}

#[derive(Clone, Copy, Debug)]
struct Parent {
    child: u32,
    node: u32,
    item: Item,
}

impl<'a> Aliases<'a> {
    pub(super) fn new(space: &'a Space) -> Self {
        let mut index = Self { space, leaves: Vec::new(), parents: Vec::new(), tops: Vec::new() };
        for top in &space.spans {
            match top.root {
                Root::Node(node) => index.tops.push((node, top.gva)),
                Root::Run(run, last) => {
                    index.leaves.push(Leaf::new(run, top.gva.0, last.0 - top.gva.0, None));
                }
            }
        }
        for node in 0..space.nodes.len() as u32 {
            index.add_node(node);
        }
        index.leaves.sort_unstable_by_key(|leaf| leaf.first);
        let mut reach = Gpa(0);
        for leaf in &mut index.leaves {
            reach = reach.max(leaf.last);
            leaf.reach = reach;
        }
        index.parents.sort_unstable_by_key(|parent| parent.child);
        index
    }

    fn add_node(&mut self, node: u32) {
        let shift = self.space.nodes[node as usize].shift;
        for &item in self.space.items_of(node) {
            match item.kind {
                Kind::Table(child) => self.parents.push(Parent { child, node, item }),
                Kind::Run(run) => {
                    let offset = u64::from(item.first) << shift;
                    let bytes = u64::from(item.count) << shift;
                    self.leaves.push(Leaf::new(run, offset, bytes - 1, Some(node)));
                }
            }
        }
    }

    /// Every virtual address that maps `gpa`, in no particular order, until
    /// `each` breaks off. Lossless: there may be billions.
    pub fn visit(
        &self,
        gpa: Gpa,
        mut each: impl FnMut(Alias) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let end = self.leaves.partition_point(|leaf| leaf.first <= gpa);
        for leaf in self.leaves[..end].iter().rev().take_while(|leaf| leaf.reach >= gpa) {
            if leaf.last >= gpa {
                self.climb(leaf.node, leaf.alias(gpa), &mut each)?;
            }
        }
        ControlFlow::Continue(())
    }

    /// The virtual addresses that map `gpa`, lowest first; where there are more
    /// than `limit`, some of them, and `true`.
    #[must_use]
    pub fn of(&self, gpa: Gpa, limit: usize) -> (Vec<Alias>, bool) {
        let mut found = Vec::new();
        let rest = self.visit(gpa, |alias| {
            if found.len() == limit {
                return ControlFlow::Break(());
            }
            found.push(alias);
            ControlFlow::Continue(())
        });
        found.sort_unstable_by_key(|alias| alias.gva);
        (found, rest.is_break())
    }

    /// Follows every way from `node` up to the root; `alias.gva` holds the
    /// offset so far.
    fn climb(
        &self,
        node: Option<u32>,
        alias: Alias,
        each: &mut impl FnMut(Alias) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let Some(node) = node else { return each(alias) };
        let at = |base: u64| Alias { gva: Gva(base.wrapping_add(alias.gva.0)), ..alias };
        for (_, gva) in self.tops.iter().filter(|(top, _)| *top == node) {
            each(at(gva.0))?;
        }
        let start = self.parents.partition_point(|parent| parent.child < node);
        for parent in self.parents[start..].iter().take_while(|parent| parent.child == node) {
            let shift = self.space.nodes[parent.node as usize].shift;
            for repetition in 0..parent.item.count {
                let entry = u64::from(parent.item.first) + u64::from(repetition);
                self.climb(Some(parent.node), at(entry << shift), each)?;
            }
        }
        ControlFlow::Continue(())
    }
}

impl Leaf {
    fn new(run: Run, offset: u64, last_byte: u64, node: Option<u32>) -> Self {
        let span = if run.linear { last_byte } else { (1 << run.unit_shift) - 1 };
        let last = Gpa(run.gpa.0.saturating_add(span));
        let bytes = last_byte.saturating_add(1);
        Self { first: run.gpa, last, reach: last, run, offset, bytes, node }
    }

    /// Where `gpa`, which is in this run, is relative to the node.
    fn alias(&self, gpa: Gpa) -> Alias {
        let stride = if self.run.linear { 0 } else { 1 << self.run.unit_shift };
        Alias {
            gva: Gva(self.offset + (gpa.0 - self.first.0)),
            count: self.bytes.checked_div(stride).unwrap_or(1),
            stride,
            page_size: 1u64.checked_shl(u32::from(self.run.page_shift)).unwrap_or(u64::MAX),
            rights: self.run.rights,
        }
    }
}
