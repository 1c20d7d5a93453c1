//! The loop of a walk, the same for every architecture.

use std::{
    hash::Hash,
    ops::{Range, RangeInclusive},
};

use super::{
    Access, Fault, FaultKind, Level, Query, Rights, Step, TableUnreadable, Translation, WalkError,
};
use crate::{
    addr::{Gpa, Gva, PAGE},
    bits::mask,
    memory::{Memory, ReadError},
    regs::Register,
};

/// A table on the way: where it is and what its entries stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Table<I> {
    /// Guest physical address of entry 0.
    pub base: Gpa,
    /// The structure.
    pub level: Level,
    /// log2 of the bytes that one entry maps.
    pub shift: u8,
    /// log2 of the number of entries.
    pub bits: u8,
    /// What the entries above have decided for everything below.
    pub inherited: I,
}

impl<I> Table<I> {
    /// The index of the entry that maps `gva`.
    #[inline]
    pub fn index(&self, gva: Gva) -> u64 {
        gva.0 >> self.shift & ((1 << self.bits) - 1)
    }
}

/// A page, as its last entry maps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Page {
    /// Guest physical address of its first byte, aligned to its size.
    pub base: Gpa,
    /// log2 of its size in bytes. It may be larger than what one entry maps
    /// (supersections and large pages of ARM's short descriptors).
    pub shift: u8,
    /// Effective rights.
    pub rights: Rights,
}

/// What an entry means.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Decoded<I> {
    /// Nothing is mapped.
    Invalid(FaultKind),
    /// The next table.
    Table(Table<I>),
    /// A page.
    Page(Page),
}

/// Where the walk of an address starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start<I> {
    /// At a table.
    Table(Table<I>),
    /// Nowhere: translation is off. The page is all of the address space.
    Off(Page),
}

/// A part of the address space, for enumeration.
#[derive(Clone, Debug)]
pub(crate) struct Span<I> {
    /// The address that entry 0 maps, wrapping where entry 0 itself is not
    /// part of the span.
    pub gva: Gva,
    /// Its addresses. They may begin or end within an entry of the table.
    pub addresses: RangeInclusive<Gva>,
    /// Its table.
    pub start: Start<I>,
}

impl<I> Span<I> {
    /// The entries that map addresses of it; `0..1` without a table.
    pub fn entries(&self) -> Range<u64> {
        let Start::Table(table) = &self.start else { return 0..1 };
        let index = |gva: &Gva| gva.0.wrapping_sub(self.gva.0) >> table.shift;
        index(self.addresses.start())..index(self.addresses.end()) + 1
    }
}

/// An architecture's paging.
pub(crate) trait Paging: Copy {
    /// What higher levels decide for lower ones.
    type Inherited: Copy + Eq + Hash;

    /// The mode, in the manual's words.
    fn mode(&self) -> &'static str;

    /// Bytes of an entry: 4 or 8.
    fn entry_bytes(&self) -> u64;

    /// Bytes of the smallest page.
    fn granule(&self) -> u64 {
        PAGE
    }

    /// Whether entries are big-endian.
    fn big_endian(&self) -> bool {
        false
    }

    /// The address that the tables translate instead of `gva`; the lowest bits, as
    /// many as a page has, are the same.
    #[inline]
    fn modified(&self, gva: Gva) -> Gva {
        gva
    }

    /// The table that maps `gva`. The level of a fault here is the one that
    /// the architecture reports.
    fn start(&self, gva: Gva) -> Result<Start<Self::Inherited>, (FaultKind, Level)>;

    /// `gva` without the bits that `query` ignores, as the tables see it.
    #[inline]
    fn untagged(&self, gva: Gva, query: Query) -> Gva {
        let _ = query;
        gva
    }

    /// Why the CPU refuses `access` to `gva` before it reads a table, and the level
    /// that it reports.
    #[inline]
    fn barred(&self, gva: Gva, access: Access) -> Option<(FaultKind, Level)> {
        let _ = (gva, access);
        None
    }

    /// The region of an MPU that decides on `gva`, where there are no tables.
    fn region(&self, gva: Gva) -> Option<Step> {
        let _ = gva;
        None
    }

    /// Why the CPU would refuse `access` to a page without tables.
    fn refused_untranslated(&self, gva: Gva, page: &Page, access: Access) -> Option<FaultKind> {
        let _ = (gva, page, access);
        None
    }

    /// The register that holds the base of the tables of `gva`, by the manual's
    /// name.
    fn base_register(&self, gva: Gva) -> Register;

    /// All of the address space: every first table, lowest addresses first.
    fn spans(&self) -> Vec<Span<Self::Inherited>>;

    /// The addresses of every span.
    fn addresses(&self) -> Vec<RangeInclusive<Gva>> {
        self.spans().into_iter().map(|span| span.addresses).collect()
    }

    /// A physical address as it leaves the CPU.
    #[inline]
    fn output(&self, physical: u64) -> u64 {
        physical
    }

    /// log2 of the longest run over which [`Paging::output`] stays linear.
    fn linear_shift(&self) -> u8 {
        64
    }

    /// The meaning of the entry `raw` of `table`: presence only.
    fn decode(&self, table: &Table<Self::Inherited>, raw: u64) -> Decoded<Self::Inherited>;

    /// What of `page`, which the entry `raw` of `table` maps, has the rights of its
    /// byte `inside`: nearly always all of it.
    #[inline]
    fn part(&self, table: &Table<Self::Inherited>, raw: u64, page: Page, inside: u64) -> Page {
        let _ = (table, raw, inside);
        page
    }

    /// Why the CPU would refuse any access by the entry `raw` of `table`, which
    /// [`Paging::decode`] found valid.
    fn malformed(&self, table: &Table<Self::Inherited>, raw: u64) -> Option<FaultKind>;

    /// Bits of the valid entry `raw` of `table` that software should leave 0
    /// and the CPU ignores. They do not refuse the entry, but are a reason to
    /// doubt that `table` is a table.
    fn should_be_zero(&self, table: &Table<Self::Inherited>, raw: u64) -> u64 {
        let _ = (table, raw);
        0
    }

    /// Why the CPU would refuse `access` to the page that the entry `raw` of
    /// `table` maps.
    fn refused(
        &self,
        table: &Table<Self::Inherited>,
        raw: u64,
        page: &Page,
        access: Access,
    ) -> Option<FaultKind>;

    /// The architectural code of a fault: #PF error code or fault status.
    fn status(&self, kind: FaultKind, level: Level, access: Access) -> Option<u32>;

    /// The decoded flags of an entry, by the manual's names.
    fn flags(&self, level: Level, raw: u64, leaf: bool) -> Vec<&'static str>;
}

/// Reads the entry at `at`.
#[inline]
pub(crate) fn read_entry<P: Paging, M: Memory + ?Sized>(
    paging: &P,
    memory: &M,
    at: Gpa,
) -> Result<u64, ReadError> {
    if paging.entry_bytes() == 8 {
        let raw = memory.read_u64(at)?;
        Ok(if paging.big_endian() { raw.swap_bytes() } else { raw })
    } else {
        let raw = memory.read_u32(at)?;
        Ok(u64::from(if paging.big_endian() { raw.swap_bytes() } else { raw }))
    }
}

/// Where the walk of `query` starts.
#[inline]
pub(crate) fn start<P: Paging>(
    paging: &P,
    gva: Gva,
    query: Query,
) -> Result<Start<P::Inherited>, (FaultKind, Level)> {
    let barred = match query {
        Query::Presence => None,
        Query::Access(access) => paging.barred(gva, access),
    };
    barred.map_or_else(|| paging.start(gva), Err)
}

/// Walks from the first table down to a page; `visit` sees every entry read.
#[inline]
pub(crate) fn walk<P: Paging, M: Memory + ?Sized>(
    paging: &P,
    memory: &M,
    gva: Gva,
    query: Query,
    visit: impl FnMut(Step),
) -> Result<Translation, WalkError> {
    let gva = paging.untagged(gva, query);
    match start(paging, gva, query) {
        Ok(Start::Table(table)) => descend(paging, memory, gva, query, table, |_| {}, visit),
        Ok(Start::Off(page)) => untranslated(paging, gva, query, &page, visit),
        Err((kind, level)) => Err(fault(paging, kind, level, None, query)),
    }
}

/// Answers where there are no tables.
fn untranslated<P: Paging>(
    paging: &P,
    gva: Gva,
    query: Query,
    page: &Page,
    mut visit: impl FnMut(Step),
) -> Result<Translation, WalkError> {
    let region = paging.region(gva);
    region.into_iter().for_each(&mut visit);
    let refused = match query {
        Query::Presence => None,
        Query::Access(access) => paging.refused_untranslated(gva, page, access),
    };
    match refused {
        Some(kind) => Err(fault(paging, kind, Level::Region, region, query)),
        None => Ok(translation(paging, gva, page, region.map_or(0, |region| region.raw))),
    }
}

/// Walks on from `table`; `enter` sees every table below it.
#[inline]
pub(crate) fn descend<P: Paging, M: Memory + ?Sized>(
    paging: &P,
    memory: &M,
    gva: Gva,
    query: Query,
    mut table: Table<P::Inherited>,
    mut enter: impl FnMut(&Table<P::Inherited>),
    mut visit: impl FnMut(Step),
) -> Result<Translation, WalkError> {
    let gva = paging.modified(gva);
    let (kind, step) = loop {
        let index = table.index(gva);
        let at = Gpa(table.base.0.wrapping_add(index * paging.entry_bytes()));
        let raw =
            read_entry(paging, memory, at).map_err(|source| unreadable(table.level, at, source))?;
        let decoded = paging.decode(&table, raw);
        let leaf = matches!(decoded, Decoded::Page(_));
        let step = Step { level: table.level, index, at, raw, leaf };
        visit(step);
        match decoded {
            Decoded::Invalid(kind) => break (kind, step),
            Decoded::Table(next) => match refusal(paging, &table, raw, None, query) {
                Some(kind) => break (kind, step),
                None => table = next,
            },
            Decoded::Page(page) => {
                let page = paging.part(&table, raw, page, gva.0 & mask(page.shift.into()));
                match refusal(paging, &table, raw, Some(&page), query) {
                    Some(kind) => break (kind, step),
                    None => return Ok(translation(paging, gva, &page, raw)),
                }
            }
        }
        enter(&table);
    };
    Err(fault(paging, kind, table.level, Some(step), query))
}

/// Why an entry that is there ends the walk without a translation.
#[inline]
fn refusal<P: Paging>(
    paging: &P,
    table: &Table<P::Inherited>,
    raw: u64,
    page: Option<&Page>,
    query: Query,
) -> Option<FaultKind> {
    let Query::Access(access) = query else { return None };
    paging.malformed(table, raw).or_else(|| paging.refused(table, raw, page?, access))
}

#[inline]
fn translation<P: Paging>(paging: &P, gva: Gva, page: &Page, leaf: u64) -> Translation {
    let inside = mask(u32::from(page.shift));
    Translation {
        gpa: Gpa(paging.output(page.base.0 | gva.0 & inside)),
        page_size: 1u64.checked_shl(u32::from(page.shift)).unwrap_or(u64::MAX),
        rights: page.rights,
        leaf,
    }
}

#[cold]
fn fault<P: Paging>(
    paging: &P,
    kind: FaultKind,
    level: Level,
    entry: Option<Step>,
    query: Query,
) -> WalkError {
    let status = match query {
        Query::Presence => None,
        Query::Access(access) => paging.status(kind, level, access),
    };
    WalkError::Fault(Fault { kind, entry, status })
}

#[cold]
fn unreadable(level: Level, at: Gpa, source: ReadError) -> WalkError {
    WalkError::Unreadable(Box::new(TableUnreadable { level, at, source }))
}
