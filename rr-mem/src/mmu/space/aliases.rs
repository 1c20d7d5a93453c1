//! From a physical address to every virtual one: an index of the runs by
//! physical address, and of the tables by those that point to them.

use std::ops::ControlFlow;

use super::{Item, Kind, Node, Root, Run, Space};
use crate::{
    addr::{Gpa, Gva},
    bits::mask,
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
    /// All runs of tables, by physical address.
    leaves: Vec<Leaf>,
    /// Which items point to which node, sorted by node.
    parents: Vec<Parent>,
    /// Which spans start at which node.
    tops: Vec<(u32, Gva)>,
}

/// A run of a node: an item of the space. Small, because sorting moves it.
#[derive(Clone, Copy, Debug)]
struct Leaf {
    first: Gpa,
    /// The highest physical address up to here, which ends a search.
    reach: Gpa,
    node: u32,
    item: u32,
}

#[derive(Clone, Copy, Debug)]
struct Parent {
    child: u32,
    node: u32,
    item: Item,
}

impl<'a> Aliases<'a> {
    pub(super) fn new(space: &'a Space) -> Self {
        let mut index = Self {
            space,
            leaves: Vec::with_capacity(space.items.len()),
            parents: Vec::with_capacity(space.nodes.len()),
            tops: Vec::new(),
        };
        for top in &space.spans {
            if let Root::Node(node) = top.root {
                index.tops.push((node, top.gva));
            }
        }
        for node in 0..space.nodes.len() as u32 {
            index.add_node(node);
        }
        index.leaves.sort_unstable_by_key(|leaf| leaf.first);
        let mut reach = Gpa(0);
        for leaf in &mut index.leaves {
            reach = reach.max(leaf.reach);
            leaf.reach = reach;
        }
        index.parents.sort_unstable_by_key(|parent| parent.child);
        index
    }

    fn add_node(&mut self, node: u32) {
        let Node { first_item, shift, .. } = self.space.nodes[node as usize];
        for (number, &item) in (first_item..).zip(self.space.items_of(node)) {
            match item.kind {
                Kind::Table(child) => self.parents.push(Parent { child, node, item }),
                Kind::Run(run) => {
                    let reach = run.last_gpa(item.last_byte(shift));
                    self.leaves.push(Leaf { first: run.gpa, reach, node, item: number });
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
        for top in &self.space.spans {
            if let Root::Run(run, last) = top.root
                && let Some(alias) = run.alias(top.gva, last.0 - top.gva.0, gpa)
            {
                each(alias)?;
            }
        }
        let end = self.leaves.partition_point(|leaf| leaf.first <= gpa);
        for leaf in self.leaves[..end].iter().rev().take_while(|leaf| leaf.reach >= gpa) {
            let shift = self.space.nodes[leaf.node as usize].shift;
            let item = self.space.items[leaf.item as usize];
            let Kind::Run(run) = item.kind else { continue };
            let offset = Gva(u64::from(item.first) << shift);
            if let Some(alias) = run.alias(offset, item.last_byte(shift), gpa) {
                self.climb(leaf.node, alias, &mut each)?;
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
        node: u32,
        alias: Alias,
        each: &mut impl FnMut(Alias) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let at = |base: u64| Alias { gva: Gva(base.wrapping_add(alias.gva.0)), ..alias };
        for (_, gva) in self.tops.iter().filter(|(top, _)| *top == node) {
            each(at(gva.0))?;
        }
        let start = self.parents.partition_point(|parent| parent.child < node);
        for parent in self.parents[start..].iter().take_while(|parent| parent.child == node) {
            let shift = self.space.nodes[parent.node as usize].shift;
            for start in parent.item.starts(shift) {
                self.climb(parent.node, at(start.0), each)?;
            }
        }
        ControlFlow::Continue(())
    }
}

impl Run {
    /// The distance of the last physical address from the first, over virtual
    /// ones that have `last_byte` for it.
    fn last_unit_byte(&self, last_byte: u64) -> u64 {
        if self.linear { last_byte } else { mask(u32::from(self.unit_shift)) }
    }

    fn last_gpa(&self, last_byte: u64) -> Gpa {
        Gpa(self.gpa.0.saturating_add(self.last_unit_byte(last_byte)))
    }

    /// Where `gpa` is in this run, which starts at `gva`; `None` outside.
    fn alias(&self, gva: Gva, last_byte: u64, gpa: Gpa) -> Option<Alias> {
        let inside = gpa.0.checked_sub(self.gpa.0)?;
        if inside > self.last_unit_byte(last_byte) {
            return None;
        }
        let stride = if self.linear { 0 } else { 1 << self.unit_shift };
        Some(Alias {
            gva: Gva(gva.0 + inside),
            count: last_byte.saturating_add(1).checked_div(stride).unwrap_or(1),
            stride,
            page_size: 1u64.checked_shl(u32::from(self.page_shift)).unwrap_or(u64::MAX),
            rights: self.rights,
        })
    }
}
