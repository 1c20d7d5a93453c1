//! Listing a space: a lazy walk over the graph, merging neighbours.

use super::{Kind, Root, Run, VirtualSpace};
use crate::{
    addr::{Gpa, Gva},
    mmu::Rights,
};

/// A range of virtual addresses and what it maps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Mapping {
    /// The first address.
    pub gva: Gva,
    /// The last address, included: the top page of the space has no end.
    pub last: Gva,
    /// The physical address behind `gva`.
    pub gpa: Gpa,
    /// How physical addresses go on behind `gpa`.
    pub progression: Progression,
    /// Bytes of a page; where pages of several sizes were merged, of the first.
    pub page_size: u64,
    /// Effective rights.
    pub rights: Rights,
}

/// How the physical addresses of a [`Mapping`] go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Progression {
    /// With the virtual ones.
    Linear,
    /// Each unit of this many bytes maps the same ones.
    Same(u64),
    /// Anyhow: ranges were merged by rights alone.
    Scattered,
}

impl Mapping {
    /// Its length in bytes.
    #[must_use]
    pub fn len(&self) -> u128 {
        u128::from(self.last.0 - self.gva.0) + 1
    }

    /// Never: a mapping maps at least a byte.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        false
    }

    /// The part between `first` and `last`, both included.
    #[must_use]
    pub fn clipped(&self, first: Gva, last: Gva) -> Option<Mapping> {
        let (first, last) = (first.max(self.gva), last.min(self.last));
        if first > last {
            return None;
        }
        let gpa = self.gpa_of(first).unwrap_or(self.gpa);
        let progression = match self.progression {
            Progression::Same(unit) if (first.0 ^ last.0) < unit => Progression::Linear,
            progression => progression,
        };
        Some(Mapping { gva: first, last, gpa, progression, ..*self })
    }

    /// Whether one of its addresses maps `gpa`; never for one that was merged
    /// by rights alone.
    #[must_use]
    pub fn maps(&self, gpa: Gpa) -> bool {
        match self.progression {
            Progression::Linear => {
                gpa.0.checked_sub(self.gpa.0).is_some_and(|offset| u128::from(offset) < self.len())
            }
            Progression::Same(unit) => {
                let inside = gpa.0 & (unit - 1);
                let first = self.gva.0 & !(unit - 1) | inside;
                let here = if first < self.gva.0 { first.checked_add(unit) } else { Some(first) };
                gpa.0 - inside == self.gpa.0 & !(unit - 1)
                    && here.is_some_and(|gva| gva <= self.last.0)
            }
            Progression::Scattered => false,
        }
    }

    /// The physical address behind `gva`, unless it lies outside or the
    /// mapping was merged by rights alone.
    #[must_use]
    pub fn gpa_of(&self, gva: Gva) -> Option<Gpa> {
        if gva < self.gva || gva > self.last {
            return None;
        }
        let offset = gva.0 - self.gva.0;
        match self.progression {
            Progression::Linear => Some(Gpa(self.gpa.0 + offset)),
            // Units are aligned on both sides; a clipped run may begin in one.
            Progression::Same(unit) => Some(Gpa(self.gpa.0 & !(unit - 1) | gva.0 & (unit - 1))),
            Progression::Scattered => None,
        }
    }
}

/// What neighbours are listed as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Merge {
    /// None: a mapping is one page.
    None,
    /// Those with equal rights and page size whose physical addresses go on.
    Physical,
    /// Those with equal rights.
    Rights,
}

/// The mappings of a space, lowest address first.
#[derive(Clone, Debug)]
pub struct Mappings<'a> {
    space: &'a VirtualSpace,
    merge: Merge,
    tops: std::ops::Range<usize>,
    stack: Vec<OpenNode>,
    /// A run that is being cut into pages.
    cutting: Option<Mapping>,
    /// The last mapping found, still open to be merged with the next.
    open: Option<Mapping>,
}

/// A place in the graph: a repetition of an item of a node that starts at `gva`.
#[derive(Clone, Copy, Debug)]
struct OpenNode {
    node: u32,
    gva: Gva,
    item: u32,
    repetition: u32,
}

impl<'a> Mappings<'a> {
    pub(super) fn new(space: &'a VirtualSpace, merge: Merge) -> Self {
        let tops = 0..space.spans.len();
        Self { space, merge, tops, stack: Vec::new(), cutting: None, open: None }
    }

    /// The next run of the graph.
    fn next_run(&mut self) -> Option<Mapping> {
        loop {
            let Some(mut frame) = self.stack.pop() else {
                let top = self.space.spans[self.tops.next()?];
                match top.root {
                    Root::Run(run, last) => return Some(run.mapping(top.gva, last)),
                    Root::Node(node) => self.enter(node, top.gva),
                }
                continue;
            };
            let node = self.space.nodes[frame.node as usize];
            let Some(item) = self.space.items_of(frame.node).get(frame.item as usize) else {
                continue;
            };
            let entry = u64::from(item.first) + u64::from(frame.repetition);
            let gva = Gva(frame.gva.0.wrapping_add(entry << node.shift));
            match item.kind {
                Kind::Run(run) => {
                    frame.item += 1;
                    self.stack.push(frame);
                    let bytes = u64::from(item.count) << node.shift;
                    return Some(run.mapping(gva, Gva(gva.0.wrapping_add(bytes - 1))));
                }
                Kind::Table(child) => {
                    frame.repetition += 1;
                    if frame.repetition == item.count {
                        frame = OpenNode { item: frame.item + 1, repetition: 0, ..frame };
                    }
                    self.stack.push(frame);
                    let whole = self.space.nodes[child as usize].whole;
                    match whole.filter(|_| self.merge == Merge::Rights) {
                        Some(whole) => return Some(whole.moved(gva)),
                        None => self.enter(child, gva),
                    }
                }
            }
        }
    }

    fn enter(&mut self, node: u32, gva: Gva) {
        self.stack.push(OpenNode { node, gva, item: 0, repetition: 0 });
    }

    /// The next single page.
    fn next_page(&mut self) -> Option<Mapping> {
        let run = match self.cutting.take() {
            Some(run) => run,
            None => self.next_run()?,
        };
        let (page, rest) = run.first_page();
        self.cutting = rest;
        Some(page)
    }
}

impl Iterator for Mappings<'_> {
    type Item = Mapping;

    fn next(&mut self) -> Option<Mapping> {
        if self.merge == Merge::None {
            return self.next_page();
        }
        loop {
            let Some(next) = self.next_run() else { return self.open.take() };
            let Some(open) = self.open else {
                self.open = Some(next);
                continue;
            };
            match open.merged(&next, self.merge) {
                Some(both) => self.open = Some(both),
                None => return self.open.replace(next),
            }
        }
    }
}

impl Mapping {
    /// The part of this run in its first page, and the rest.
    fn first_page(&self) -> (Mapping, Option<Mapping>) {
        let step = match self.progression {
            Progression::Same(unit) => unit,
            _ => self.page_size,
        };
        let last = Gva((self.gva.0 | (step - 1)).min(self.last.0));
        let page = Mapping { last, progression: Progression::Linear, ..*self };
        if last == self.last {
            return (page, None);
        }
        let gva = Gva(last.0 + 1);
        let gpa = self.gpa_of(gva).unwrap_or(self.gpa);
        (page, Some(Mapping { gva, gpa, ..*self }))
    }

    /// The same at `gva`.
    pub(super) fn moved(&self, gva: Gva) -> Mapping {
        Mapping { gva, last: Gva(gva.0.wrapping_add(self.last.0 - self.gva.0)), ..*self }
    }

    pub(super) fn merged(&self, next: &Mapping, merge: Merge) -> Option<Mapping> {
        let adjacent = self.last.0.checked_add(1) == Some(next.gva.0);
        if !adjacent || self.rights != next.rights {
            return None;
        }
        let progression = self.progression_with(next);
        match (merge, progression) {
            (_, Some(progression))
                if self.page_size == next.page_size || merge == Merge::Rights =>
            {
                Some(Mapping { last: next.last, progression, ..*self })
            }
            (Merge::Rights, _) => {
                Some(Mapping { last: next.last, progression: Progression::Scattered, ..*self })
            }
            _ => None,
        }
    }

    /// How the physical addresses of both go on, if in one of the known ways.
    fn progression_with(&self, next: &Mapping) -> Option<Progression> {
        let linear = self.progression == Progression::Linear
            && next.progression == Progression::Linear
            && u128::from(self.gpa.0) + self.len() == u128::from(next.gpa.0);
        if linear {
            return Some(Progression::Linear);
        }
        let unit = |mapping: &Mapping| match mapping.progression {
            Progression::Same(unit) => Some(unit),
            Progression::Linear if mapping.len() == u128::from(mapping.page_size) => {
                Some(mapping.page_size)
            }
            _ => None,
        };
        let same = self.gpa == next.gpa && unit(self).is_some() && unit(self) == unit(next);
        if same { unit(self).map(Progression::Same) } else { None }
    }
}

impl Run {
    pub(super) fn mapping(&self, gva: Gva, last: Gva) -> Mapping {
        let progression =
            if self.linear { Progression::Linear } else { Progression::Same(1 << self.unit_shift) };
        let page_size = 1u64.checked_shl(u32::from(self.page_shift)).unwrap_or(u64::MAX);
        Mapping { gva, last, gpa: self.gpa, progression, page_size, rights: self.rights }
    }
}
