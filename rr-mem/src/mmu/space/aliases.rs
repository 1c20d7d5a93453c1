//! From a physical address to every virtual one: an index of the runs by
//! physical address, and of the tables by those that point to them. A single
//! question is answered by a look at every run, which is faster than sorting
//! them.

use std::{ops::ControlFlow, sync::OnceLock};

use super::{Item, Kind, Root, Run, VirtualSpace};
use crate::{
    addr::{Gpa, Gva},
    bits::mask,
    mmu::Rights,
};

/// A virtual address that maps the physical one asked for, and how often it is
/// repeated right behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
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

/// The index of a [`VirtualSpace`] from physical to virtual addresses.
#[derive(Clone, Debug)]
pub struct Aliases<'a> {
    space: &'a VirtualSpace,
    /// Set by the first question.
    asked: OnceLock<()>,
    /// All runs of tables, by physical address; from the second question on.
    leaves: OnceLock<Vec<Leaf>>,
    /// Which items point to which node, sorted by node.
    parents: Vec<Parent>,
    /// Which spans start at which node.
    tops: Vec<(u32, Gva)>,
}

/// A run of a node: an item of the space. Small, because sorting moves it.
#[derive(Clone, Copy, Debug)]
struct Leaf {
    first: Gpa,
    /// The last physical address; once sorted, the highest up to here, which
    /// ends a search.
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
    pub(super) fn new(space: &'a VirtualSpace) -> Self {
        let tops = space.spans.iter().filter_map(|top| match top.root {
            Root::Node(node) => Some((node, top.gva)),
            Root::Run(..) => None,
        });
        let mut parents: Vec<_> = space.tables_in_nodes().collect();
        parents.sort_unstable_by_key(|parent| parent.child);
        Self {
            space,
            asked: OnceLock::new(),
            leaves: OnceLock::new(),
            parents,
            tops: tops.collect(),
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
        let mut at = |leaf: &Leaf| match self.alias(leaf, gpa) {
            Some(alias) => self.climb(leaf.node, alias, &mut each),
            None => ControlFlow::Continue(()),
        };
        if self.asked.set(()).is_ok() {
            return self.space.leaves().try_for_each(|leaf| at(&leaf));
        }
        let leaves = self.leaves.get_or_init(|| sorted(self.space));
        let end = leaves.partition_point(|leaf| leaf.first <= gpa);
        leaves[..end].iter().rev().take_while(|leaf| leaf.reach >= gpa).try_for_each(at)
    }

    /// Where `gpa` is in the node of a leaf; `None` when it is not in it.
    fn alias(&self, leaf: &Leaf, gpa: Gpa) -> Option<Alias> {
        if !(leaf.first..=leaf.reach).contains(&gpa) {
            return None;
        }
        let shift = self.space.nodes[leaf.node as usize].shift;
        let item = self.space.items[leaf.item as usize];
        let Kind::Run(run) = item.kind else { return None };
        run.alias(Gva(u64::from(item.first) << shift), item.last_byte(shift), gpa)
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

/// Every leaf, by its first address, and how far those up to it reach.
fn sorted(space: &VirtualSpace) -> Vec<Leaf> {
    let mut leaves: Vec<_> = space.leaves().collect();
    leaves.sort_unstable_by_key(|leaf| leaf.first);
    let mut reach = Gpa(0);
    for leaf in &mut leaves {
        reach = reach.max(leaf.reach);
        leaf.reach = reach;
    }
    leaves
}

impl VirtualSpace {
    /// Every item, with the numbers of its node and of itself.
    fn numbered_items(&self) -> impl Iterator<Item = (u32, u32, &Item)> {
        (0..).zip(&self.nodes).flat_map(move |(number, node)| {
            (node.first_item..).zip(self.items_of(number)).map(move |(item, i)| (number, item, i))
        })
    }

    fn tables_in_nodes(&self) -> impl Iterator<Item = Parent> {
        self.numbered_items().filter_map(|(node, _, item)| match item.kind {
            Kind::Table(child) => Some(Parent { child, node, item: *item }),
            Kind::Run(_) => None,
        })
    }

    fn leaves(&self) -> impl Iterator<Item = Leaf> {
        self.numbered_items().filter_map(|(node, number, item)| match item.kind {
            Kind::Run(run) => {
                let reach = run.last_gpa(item.last_byte(self.nodes[node as usize].shift));
                Some(Leaf { first: run.gpa, reach, node, item: number })
            }
            Kind::Table(_) => None,
        })
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
