//! Decodes tables into the graph, each once.

use std::{
    collections::HashMap,
    ops::{Range, RangeInclusive},
};

use super::{
    Item, Kind, Mapping, Merge, Node, Root, Run, SpaceLimits, Top, Unreadable, VirtualSpace,
};
use crate::{
    addr::{Gpa, Gva},
    bits::mask,
    memory::Memory,
    mmu::walk::{Decoded, Page, Paging, Span, Start, Table, read_entry},
};

pub(super) fn build<P: Paging, M: Memory + ?Sized>(
    paging: &P,
    memory: &M,
    range: RangeInclusive<Gva>,
    limits: SpaceLimits,
) -> VirtualSpace {
    let space = VirtualSpace {
        nodes: Vec::new(),
        items: Vec::new(),
        spans: Vec::new(),
        unreadable: Vec::new(),
        truncated: false,
    };
    let mut builder = Builder {
        paging,
        memory,
        range,
        span: Gva(0)..=Gva(u64::MAX),
        asked: Gva(0)..=Gva(u64::MAX),
        limits,
        space,
        known: HashMap::new(),
        buffers: Vec::new(),
    };
    for span in paging.spans() {
        builder.span(&span);
    }
    builder.space
}

/// What a table turned out to be.
#[derive(Clone, Copy)]
enum Content {
    Empty,
    /// Every entry continues one run.
    Run(Run),
    Node(u32),
}

/// A table, and the address that its entry 0 maps. The address matters only if
/// a part of the table is asked for.
struct Part<I> {
    table: Table<I>,
    gva: Option<Gva>,
}

impl<I> Part<I> {
    /// The table behind the entry `index`.
    fn below(&self, index: u64, table: Table<I>) -> Self {
        let gva = self.gva.map(|gva| Gva(gva.0.wrapping_add(index << self.table.shift)));
        Self { table, gva }
    }
}

struct Builder<'a, P: Paging, M: ?Sized> {
    paging: &'a P,
    memory: &'a M,
    range: RangeInclusive<Gva>,
    /// The addresses of the span that is being decoded.
    span: RangeInclusive<Gva>,
    /// What of the range lies in it.
    asked: RangeInclusive<Gva>,
    limits: SpaceLimits,
    space: VirtualSpace,
    known: HashMap<Table<P::Inherited>, Content>,
    /// Item lists under construction, one a level, kept for reuse.
    buffers: Vec<Vec<Item>>,
}

impl<P: Paging, M: Memory + ?Sized> Builder<'_, P, M> {
    fn span(&mut self, span: &Span<P::Inherited>) {
        self.span = span.addresses.clone();
        let (first, last) = (self.span.start(), self.span.end());
        self.asked = *first.max(self.range.start())..=*last.min(self.range.end());
        if self.asked.is_empty() {
            return;
        }
        let root = match &span.start {
            Start::Off(page) => self.untranslated(span.gva, *page),
            Start::Table(table) => {
                let part = Part { table: *table, gva: Some(span.gva) };
                Root::Node(self.partial(&part, span.gva, span.entries()))
            }
        };
        self.space.spans.push(Top { gva: span.gva, root });
    }

    fn untranslated(&mut self, gva: Gva, page: Page) -> Root {
        if page.shift > self.paging.linear_shift() {
            let unit_shift = self.paging.linear_shift();
            return Root::Node(self.add_pieces(&page, None, page.shift, unit_shift));
        }
        let run = Run {
            gpa: page.base,
            rights: page.rights,
            unit_shift: page.shift.min(12),
            page_shift: page.shift,
            linear: true,
        };
        Root::Run(run, Gva(gva.0 | mask(u32::from(page.shift))))
    }

    fn content(&mut self, table: &Table<P::Inherited>) -> Content {
        if let Some(&content) = self.known.get(table) {
            return content;
        }
        if self.known.len() >= self.limits.tables || self.space.items.len() >= self.limits.runs {
            self.space.truncated = true;
            return Content::Empty;
        }
        // A table is never its own descendant at the same level, so that no
        // entry for it is needed while it is being decoded.
        let items = self.decode(&Part { table: *table, gva: None }, 0..1 << table.bits);
        let content = match items[..] {
            [] => Content::Empty,
            [Item { first: 0, count, kind: Kind::Run(run) }] if count == 1 << table.bits => {
                Content::Run(run)
            }
            _ => Content::Node(self.add_node(&items, table.shift, table.bits)),
        };
        self.buffers.push(items);
        self.known.insert(*table, content);
        content
    }

    /// A table of which only a part may be asked for; it is decoded once for
    /// each place that it is in.
    fn partial(&mut self, part: &Part<P::Inherited>, gva: Gva, entries: Range<u64>) -> u32 {
        // Entry 0 may map an address behind what is asked for, or one that wraps.
        let number = |asked: Gva| asked.0.wrapping_sub(gva.0).cast_signed() >> part.table.shift;
        let Range { start, end } = entries;
        let first = number(*self.asked.start()).max(0).cast_unsigned().clamp(start, end);
        let behind = (number(*self.asked.end()) + 1).max(0).cast_unsigned();
        let items = self.decode(part, first..behind.clamp(first, end));
        self.add_node(&items, part.table.shift, part.table.bits)
    }

    fn child(&mut self, part: &Part<P::Inherited>) -> Content {
        let table = &part.table;
        let last = |gva: Gva| Gva(gva.0 | mask(u32::from(table.shift + table.bits)));
        match part.gva {
            Some(gva) if !self.asked.contains(&gva) || !self.asked.contains(&last(gva)) => {
                Content::Node(self.partial(part, gva, 0..1 << table.bits))
            }
            _ => self.content(table),
        }
    }

    fn add_node(&mut self, items: &[Item], shift: u8, bits: u8) -> u32 {
        let node = self.space.nodes.len() as u32;
        let first_item = self.space.items.len() as u32;
        let whole = self.whole(items, shift, bits);
        self.space.nodes.push(Node { first_item, items: items.len() as u32, shift, whole });
        self.space.items.extend_from_slice(items);
        node
    }

    /// See [`Node::whole`]. Gives up at the first entry that differs.
    fn whole(&self, items: &[Item], shift: u8, bits: u8) -> Option<Mapping> {
        let mut whole: Option<Mapping> = None;
        for item in items {
            for gva in item.starts(shift) {
                let next = match item.kind {
                    Kind::Run(run) => run.mapping(gva, Gva(gva.0 + item.last_byte(shift))),
                    Kind::Table(child) => self.space.nodes[child as usize].whole?.moved(gva),
                };
                whole = Some(match whole {
                    Some(before) => before.merged(&next, Merge::Rights)?,
                    None => Some(next).filter(|next| next.gva == Gva(0))?,
                });
            }
        }
        whole.filter(|whole| whole.last.0 == mask(u32::from(shift + bits)))
    }

    fn decode(&mut self, part: &Part<P::Inherited>, entries: Range<u64>) -> Vec<Item> {
        let mut items = self.buffers.pop().unwrap_or_default();
        items.clear();
        let memory = self.memory;
        let size = self.paging.entry_bytes();
        let bytes = ((entries.end - entries.start) * size) as usize;
        let start = Gpa(part.table.base.0.wrapping_add(entries.start * size));
        match memory.slice(start, bytes) {
            Some(raw) => self.decode_bytes(part, entries.start, raw, &mut items),
            None => {
                let mut raw = vec![0; bytes];
                match memory.read(start, &mut raw) {
                    Ok(()) => self.decode_bytes(part, entries.start, &raw, &mut items),
                    Err(_) => self.decode_singly(part, entries, &mut items),
                }
            }
        }
        items
    }

    fn decode_bytes(
        &mut self,
        part: &Part<P::Inherited>,
        from: u64,
        bytes: &[u8],
        items: &mut Vec<Item>,
    ) {
        let swap = self.paging.big_endian();
        // In every format an entry of 0 is not valid, and most are 0.
        if self.paging.entry_bytes() == 8 {
            let words = bytes.as_chunks().0.iter().map(|b| u64::from_le_bytes(*b));
            for (index, raw) in (from..).zip(words).filter(|(_, raw)| *raw != 0) {
                self.entry(part, index, if swap { raw.swap_bytes() } else { raw }, items);
            }
        } else {
            let words = bytes.as_chunks().0.iter().map(|b| u32::from_le_bytes(*b));
            for (index, raw) in (from..).zip(words).filter(|(_, raw)| *raw != 0) {
                let raw = if swap { raw.swap_bytes() } else { raw };
                self.entry(part, index, u64::from(raw), items);
            }
        }
    }

    /// The slow way through a table of which a part cannot be read.
    fn decode_singly(
        &mut self,
        part: &Part<P::Inherited>,
        entries: Range<u64>,
        items: &mut Vec<Item>,
    ) {
        let mut in_hole = false;
        for index in entries {
            let offset = index * self.paging.entry_bytes();
            let at = Gpa(part.table.base.0.wrapping_add(offset));
            match read_entry(self.paging, self.memory, at) {
                Ok(raw) => {
                    in_hole = false;
                    self.entry(part, index, raw, items);
                }
                Err(_) if in_hole => {}
                Err(source) => {
                    in_hole = true;
                    let level = part.table.level;
                    self.space.unreadable.push(Unreadable { level, at, source });
                }
            }
        }
    }

    #[inline]
    fn entry(&mut self, part: &Part<P::Inherited>, index: u64, raw: u64, items: &mut Vec<Item>) {
        let table = &part.table;
        let kind = match self.paging.decode(table, raw) {
            Decoded::Invalid(_) => return,
            Decoded::Page(page) => self.divided(part, index, raw, page),
            Decoded::Table(next) => match self.child(&part.below(index, next)) {
                Content::Empty => return,
                Content::Run(run) => Kind::Run(run),
                Content::Node(node) => Kind::Table(node),
            },
        };
        append(items, table.shift, Item { first: index as u32, count: 1, kind });
    }

    /// A page, or the part of it that the entry `index` maps; several, if the rights
    /// differ within that entry.
    #[inline]
    fn divided(&mut self, part: &Part<P::Inherited>, index: u64, raw: u64, page: Page) -> Kind {
        let table = &part.table;
        let inside = index << table.shift & mask(page.shift.into());
        let first = self.paging.part(table, raw, page, inside);
        if first.shift >= table.shift {
            return self.page(part, index, &first);
        }
        let bits = table.shift - first.shift;
        let mut items = Vec::new();
        for number in 0..1u32 << bits {
            let inside = inside + (u64::from(number) << first.shift);
            let part = self.paging.part(table, raw, page, inside);
            let kind = Kind::Run(Run {
                gpa: Gpa(self.paging.output(part.base.0)),
                rights: part.rights,
                unit_shift: first.shift,
                page_shift: first.shift,
                linear: true,
            });
            append(&mut items, first.shift, Item { first: number, count: 1, kind });
        }
        Kind::Table(self.add_node(&items, first.shift, bits))
    }

    fn page(&mut self, part: &Part<P::Inherited>, index: u64, page: &Page) -> Kind {
        let table = &part.table;
        let gva = part.gva.map(|gva| Gva(gva.0.wrapping_add(index << table.shift)));
        let unit_shift = self.paging.linear_shift().min(self.border_shift(gva, table.shift));
        if unit_shift < table.shift {
            return Kind::Table(self.add_pieces(page, gva, table.shift, unit_shift));
        }
        // An entry may map one part of a page that is larger than itself.
        let inside = index << table.shift & mask(u32::from(page.shift));
        Kind::Run(Run {
            gpa: Gpa(self.paging.output(page.base.0 | inside)),
            rights: page.rights,
            unit_shift: table.shift,
            page_shift: page.shift,
            linear: true,
        })
    }

    /// How finely the `1 << shift` bytes at `gva` must be cut so that no border
    /// of the span lies inside a part: `shift`, or less.
    fn border_shift(&self, gva: Option<Gva>, shift: u8) -> u8 {
        let Some(gva) = gva else { return shift };
        let last = Gva(gva.0 | mask(u32::from(shift)));
        if self.span.contains(&gva) && self.span.contains(&last) {
            return shift;
        }
        let borders = self.span.start().0 | self.span.end().0.wrapping_add(1);
        shift.min(borders.trailing_zeros() as u8)
    }

    /// The `1 << shift` bytes of a page at `gva`, cut where physical addresses
    /// stop being linear (A20 off) and at the borders of the span.
    fn add_pieces(&mut self, page: &Page, gva: Option<Gva>, shift: u8, unit_shift: u8) -> u32 {
        let bits = shift - unit_shift;
        let mut items = Vec::new();
        for index in 0..1u32 << bits {
            let inside = u64::from(index) << unit_shift;
            if gva.is_some_and(|gva| !self.span.contains(&Gva(gva.0 + inside))) {
                continue;
            }
            let gpa = Gpa(self.paging.output(page.base.0 | inside));
            let run =
                Run { gpa, rights: page.rights, unit_shift, page_shift: page.shift, linear: true };
            append(&mut items, unit_shift, Item { first: index, count: 1, kind: Kind::Run(run) });
        }
        self.add_node(&items, unit_shift, bits)
    }
}

/// Adds `item` behind `items`, or to the last of them where it continues it.
#[inline]
fn append(items: &mut Vec<Item>, shift: u8, item: Item) {
    if let Some(last) = items.last_mut()
        && last.first + last.count == item.first
        && let Some(kind) = joined(last, shift, &item)
    {
        last.kind = kind;
        last.count += item.count;
        return;
    }
    items.push(item);
}

/// What two neighbours are together, if one thing.
#[inline]
fn joined(last: &Item, shift: u8, next: &Item) -> Option<Kind> {
    match (last.kind, next.kind) {
        (Kind::Table(a), Kind::Table(b)) => (a == b).then_some(last.kind),
        (Kind::Run(a), Kind::Run(b)) => {
            let len = |item: &Item| u64::from(item.count) << shift;
            a.joined(len(last), &b, len(next)).map(Kind::Run)
        }
        _ => None,
    }
}

impl Run {
    /// This run of `len` bytes and the `next` one behind it as one.
    #[inline]
    pub(super) fn joined(&self, len: u64, next: &Run, next_len: u64) -> Option<Run> {
        // What rejects most neighbours comes first.
        let goes_on = next.gpa.0 == self.gpa.0.wrapping_add(len);
        if !goes_on && next.gpa != self.gpa {
            return None;
        }
        let alike = self.rights == next.rights
            && self.unit_shift == next.unit_shift
            && self.page_shift == next.page_shift;
        if !alike {
            return None;
        }
        let unit = 1u64.checked_shl(u32::from(self.unit_shift)).unwrap_or(0);
        let one = |run: &Run, len: u64| len == unit || run.linear;
        if goes_on && one(self, len) && one(next, next_len) {
            return Some(Run { linear: true, ..*self });
        }
        let same = |run: &Run, len: u64| len == unit || !run.linear;
        (same(self, len) && same(next, next_len) && self.gpa == next.gpa)
            .then_some(Run { linear: false, ..*self })
    }
}
