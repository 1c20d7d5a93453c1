//! What a table leads to, and whether it is a table at all. Each is judged
//! once.
//!
//! Anything can be read as a table. A real table shows by its entries. Reserved
//! bits are 0; the tables below are in memory and are tables themselves;
//! invalid entries are 0, or notes that kernels keep of pages that are away. A
//! few entries may differ: guests are only almost tidy.

use std::{borrow::Cow, collections::HashMap, hash::Hasher, ops::Range};

use crate::{
    addr::{Gpa, Gva},
    bits::mask,
    memory::{Memory, ReadCause},
    mmu::{
        Level,
        walk::{Decoded, Page, Paging, Table},
    },
};

/// Of so many good entries one may be odd.
const TOLERANCE: u32 = 8;

/// log2 of 1 GB: no kernel maps its memory by larger pages.
const LARGEST_PAGE: u8 = 30;

/// Verdicts that are kept; some 60 bytes each.
const KNOWN: usize = 4 << 20;

/// Entries decoded per entry in memory before the search gives up. Guests stay
/// far below 1: the first entries of most pages show that they are no table.
pub(super) const EFFORT: u64 = 4;

/// Entries that may be decoded however little memory there is.
pub(super) const AT_LEAST: u64 = 1 << 16;

/// Whose part of the address space a table maps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Half {
    Kernel,
    User,
}

/// What a sound table maps, all of what is below taken together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reach {
    /// 4 KB units that the user may not read.
    pub supervisor: u64,
    /// 4 KB units that the user may read.
    pub user: u64,
    /// 4 KB units of both that are in memory, not in devices.
    pub held: u64,
    /// The lowest address of a page in memory.
    first: u64,
    /// The last address of a page in memory.
    last: u64,
}

impl Reach {
    const EMPTY: Self = Self { supervisor: 0, user: 0, held: 0, first: u64::MAX, last: 0 };

    pub const fn pages(&self) -> u64 {
        self.supervisor.saturating_add(self.user)
    }

    const fn contains(&self, gpa: Gpa) -> bool {
        self.first <= gpa.0 && gpa.0 <= self.last
    }

    fn add(&mut self, other: &Self) {
        self.supervisor = self.supervisor.saturating_add(other.supervisor);
        self.user = self.user.saturating_add(other.user);
        self.held = self.held.saturating_add(other.held);
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
    }

    /// What an entry of `1 << shift` bytes of `page` maps.
    fn of(page: &Page, shift: u8) -> Self {
        let last = page.base.0 | mask(page.shift.into());
        let device = Self::of_device(page, shift);
        Self { held: device.pages(), first: page.base.0, last, ..device }
    }

    /// As [`Reach::of`] where no memory is.
    const fn of_device(page: &Page, shift: u8) -> Self {
        let units = 1 << shift.saturating_sub(12);
        let (supervisor, user) = if page.rights.user.r { (0, units) } else { (units, 0) };
        Self { supervisor, user, ..Self::EMPTY }
    }
}

/// A table read by itself.
pub(super) struct Look<I> {
    odd: u32,
    pages: u32,
    extent: Reach,
    children: Vec<Table<I>>,
}

/// An entry that is not 0, read by itself.
enum Entry<I> {
    /// Neither for nor against: an invalid entry as kernels leave them, or a
    /// table that the source leaves out.
    Neutral,
    /// As no table has it.
    Odd,
    Page(Page),
    /// A page where no memory is: neither here nor there, but mapped.
    Device(Page),
    Table(Table<I>),
}

/// Judges the tables of one memory.
pub(super) struct Judge<'a, P: Paging, M: ?Sized> {
    pub paging: &'a P,
    pub memory: &'a M,
    known: HashMap<(Gpa, Level, Half), Option<Reach>>,
    /// Entries that may still be decoded.
    budget: u64,
    exhausted: bool,
}

impl<'a, P: Paging, M: Memory + ?Sized> Judge<'a, P, M> {
    /// For a scan of `bytes` of memory.
    pub fn new(paging: &'a P, memory: &'a M, bytes: u64) -> Self {
        let budget = (bytes / 8).saturating_mul(EFFORT).saturating_add(AT_LEAST);
        Self { paging, memory, known: HashMap::new(), budget, exhausted: false }
    }

    /// Whether the search gave up.
    pub const fn exhausted(&self) -> bool {
        self.exhausted
    }

    /// What all of `table` maps; `None` when it is no table.
    fn judge(&mut self, table: &Table<P::Inherited>, half: Half) -> Option<Reach> {
        let key = (table.base, table.level, half);
        if let Some(known) = self.known.get(&key) {
            return *known;
        }
        let verdict = self.examine(table, 0..1 << table.bits, half);
        if self.known.len() >= KNOWN {
            self.known.clear();
        }
        self.known.insert(key, verdict);
        verdict
    }

    /// What `entries` of `table` map; `None` when it is no table.
    pub fn examine(
        &mut self,
        table: &Table<P::Inherited>,
        entries: Range<u64>,
        half: Half,
    ) -> Option<Reach> {
        let bytes = self.pay(table, entries)?;
        let look = self.look(table, &bytes, half)?;
        self.settle(look, half)
    }

    /// The bytes of `entries` of `table`, if they can be had and the budget
    /// allows.
    fn pay(&mut self, table: &Table<P::Inherited>, entries: Range<u64>) -> Option<Cow<'a, [u8]>> {
        match self.budget.checked_sub(entries.end - entries.start) {
            Some(rest) => self.budget = rest,
            None => self.exhausted = true,
        }
        if self.exhausted { None } else { self.bytes(table, entries) }
    }

    /// The bytes of `entries` of `table`.
    pub fn bytes(&self, table: &Table<P::Inherited>, entries: Range<u64>) -> Option<Cow<'a, [u8]>> {
        let size = self.paging.entry_bytes();
        let at = Gpa(table.base.0.checked_add(entries.start * size)?);
        let len = ((entries.end - entries.start) * size) as usize;
        if let Some(bytes) = self.memory.slice(at, len) {
            return Some(Cow::Borrowed(bytes));
        }
        let mut copy = vec![0; len];
        self.memory.read(at, &mut copy).ok().map(|()| Cow::Owned(copy))
    }

    /// Reads the entries in `bytes` as those of `table`, without what is below;
    /// `None` when no table has such entries.
    pub fn look(
        &self,
        table: &Table<P::Inherited>,
        bytes: &[u8],
        half: Half,
    ) -> Option<Look<P::Inherited>> {
        let most_odd = (bytes.len() as u64 / self.paging.entry_bytes()) as u32 / TOLERANCE;
        let mut look = Look { odd: 0, pages: 0, extent: Reach::EMPTY, children: Vec::new() };
        for raw in words(*self.paging, bytes).filter(|raw| *raw != 0) {
            match self.entry(table, raw, half) {
                Entry::Neutral => {}
                Entry::Odd if look.odd == most_odd => return None,
                Entry::Odd => look.odd += 1,
                Entry::Table(next) => look.children.push(next),
                Entry::Device(page) => look.extent.add(&Reach::of_device(&page, table.shift)),
                Entry::Page(page) => {
                    look.pages += 1;
                    look.extent.add(&Reach::of(&page, table.shift));
                }
            }
        }
        let good = look.pages + look.children.len() as u32;
        (look.odd * TOLERANCE <= good).then_some(look)
    }

    /// Adds what is below; `None` when too little of it are tables.
    pub fn settle(&mut self, look: Look<P::Inherited>, half: Half) -> Option<Reach> {
        let Look { mut odd, pages, mut extent, children } = look;
        let most_odd = (pages + children.len() as u32) / TOLERANCE;
        let mut good = pages;
        for child in &children {
            match self.judge(child, half) {
                None if odd >= most_odd => return None,
                None => odd += 1,
                Some(below) => {
                    good += u32::from(below.held > 0);
                    extent.add(&below);
                }
            }
        }
        (odd * TOLERANCE <= good).then_some(extent)
    }

    fn entry(&self, table: &Table<P::Inherited>, raw: u64, half: Half) -> Entry<P::Inherited> {
        match self.paging.decode(table, raw) {
            Decoded::Invalid(_) if half == Half::User || self.may_hold_notes(table) => {
                Entry::Neutral
            }
            Decoded::Invalid(_) => Entry::Odd,
            _ if self.is_malformed(table, raw) => Entry::Odd,
            Decoded::Page(page) if page.shift > LARGEST_PAGE => Entry::Odd,
            Decoded::Page(page) => {
                let page = Page { base: Gpa(self.paging.output(page.base.0)), ..page };
                self.is_left_out(page.base).map_or(Entry::Device(page), |_| Entry::Page(page))
            }
            Decoded::Table(next) => match self.is_left_out(next.base) {
                Some(false) => Entry::Table(next),
                Some(true) => Entry::Neutral,
                None => Entry::Odd,
            },
        }
    }

    /// Whether the kernel may keep something in invalid entries of `table`:
    /// pages that it protects by clearing the valid bit, pages that are swapped
    /// out. Such 4-byte entries look too much like any other bytes.
    fn may_hold_notes(&self, table: &Table<P::Inherited>) -> bool {
        self.paging.entry_bytes() == 8 && 1 << table.shift == self.paging.granule()
    }

    /// QEMU sets the accessed flag of x86 in PDPTEs of PAE too, where it is
    /// reserved. Elsewhere bit 5 is never reserved.
    fn is_malformed(&self, table: &Table<P::Inherited>, raw: u64) -> bool {
        const ACCESSED: u64 = 1 << 5;
        self.paging.malformed(table, raw & !ACCESSED).is_some()
            || self.paging.should_be_zero(table, raw) != 0
    }

    /// Whether the source leaves out this piece of memory; `None` where there
    /// is no memory.
    fn is_left_out(&self, at: Gpa) -> Option<bool> {
        if self.memory.slice(at, 8).is_some() {
            return Some(false);
        }
        match self.memory.read(at, &mut [0; 8]).map_err(|error| error.cause) {
            Ok(()) => Some(false),
            Err(ReadCause::Hole) => None,
            Err(_) => Some(true),
        }
    }

    /// Whether the kernel can read `target` through `entries` of `table`.
    pub fn maps(&mut self, table: &Table<P::Inherited>, entries: Range<u64>, target: Gpa) -> bool {
        let Some(bytes) = self.pay(table, entries) else { return false };
        for raw in words(*self.paging, &bytes).filter(|raw| *raw != 0) {
            let found = match self.entry(table, raw, Half::Kernel) {
                Entry::Page(page) => {
                    page.rights.kernel.r && Reach::of(&page, table.shift).contains(target)
                }
                Entry::Table(next) => {
                    let below = self.judge(&next, Half::Kernel);
                    below.is_some_and(|extent| extent.contains(target))
                        && self.maps(&next, 0..1 << next.bits, target)
                }
                Entry::Neutral | Entry::Device(_) | Entry::Odd => false,
            };
            if found {
                return true;
            }
        }
        false
    }

    /// The pages that `entries` of `table` map, `gva` being what entry 0 maps,
    /// until there are `most`.
    pub fn collect(
        &mut self,
        table: &Table<P::Inherited>,
        entries: Range<u64>,
        gva: Gva,
        most: usize,
        pages: &mut Vec<(Gva, Gpa)>,
    ) {
        let Some(bytes) = self.pay(table, entries.clone()) else { return };
        for (index, raw) in entries.zip(words(*self.paging, &bytes)).filter(|(_, raw)| *raw != 0) {
            if pages.len() >= most {
                return;
            }
            let gva = Gva(gva.0.wrapping_add(index << table.shift));
            match self.entry(table, raw, Half::Kernel) {
                Entry::Page(page) => {
                    let inside = gva.0 & mask(page.shift.into());
                    pages.push((gva, Gpa(page.base.0 | inside)));
                }
                Entry::Table(next) => self.collect(&next, 0..1 << next.bits, gva, most, pages),
                Entry::Neutral | Entry::Device(_) | Entry::Odd => {}
            }
        }
    }

    /// Where the entry `raw` of `table` leads, whatever its rights.
    pub fn leads_to(&self, table: &Table<P::Inherited>, raw: u64) -> Option<Gpa> {
        match self.paging.decode(table, raw) {
            Decoded::Invalid(_) => None,
            Decoded::Table(next) => Some(next.base),
            Decoded::Page(page) => Some(page.base),
        }
    }

    /// Where all `entries` of `table` lead, as one number.
    pub fn digest(&self, table: &Table<P::Inherited>, entries: Range<u64>) -> u64 {
        let mut hasher = std::hash::DefaultHasher::new();
        for raw in words(*self.paging, &self.bytes(table, entries).unwrap_or_default()) {
            hasher.write_u64(self.leads_to(table, raw).map_or(u64::MAX, |gpa| gpa.0));
        }
        hasher.finish()
    }
}

/// The entries in `bytes`.
pub(super) fn words<P: Paging>(paging: P, bytes: &[u8]) -> impl Iterator<Item = u64> {
    let (size, swap) = (paging.entry_bytes() as usize, paging.big_endian());
    bytes.chunks_exact(size).map(move |entry| match <[u8; 8]>::try_from(entry) {
        Ok(entry) if swap => u64::from_be_bytes(entry),
        Ok(entry) => u64::from_le_bytes(entry),
        Err(_) => {
            let entry = <[u8; 4]>::try_from(entry).unwrap_or_default();
            u64::from(if swap { u32::from_be_bytes(entry) } else { u32::from_le_bytes(entry) })
        }
    })
}
