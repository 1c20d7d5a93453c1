//! What two moments of a guest differ in, as rows and as lines.

use std::fmt::{self, Display, Formatter};

use serde::Serialize;

use super::{
    AliasRow, RightsRow,
    declared::{MappedTo, MappingChange, MemoryChange, PageChange, RegisterChange},
    size,
    text::worded,
};
use crate::{
    addr::{Gpa, Hex, RangeSet},
    changes::{ChangedRanges, ChangedRegister},
    guest::{
        Guest,
        diff::{Change, ChangedMapping, ChangedPage},
    },
    mmu::{Aliases, Mapping, Progression},
};

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(tag = "diff", rename_all = "lowercase")]
pub enum DiffRow {
    /// A register.
    Register(RegisterChange),
    /// Memory that only one of the two has.
    Memory(MemoryChange),
    /// The bytes of a page.
    Page(PageChange),
    /// What virtual addresses map.
    Mapping(MappingChange),
}

impl From<Mapping> for MappedTo {
    fn from(mapping: Mapping) -> Self {
        Self {
            gpa: mapping.gpa,
            repeats: matches!(mapping.progression, Progression::Same(_)),
            page_size: mapping.page_size,
            rights: RightsRow::known(mapping.rights),
        }
    }
}

impl From<&ChangedMapping> for MappingChange {
    fn from(changed: &ChangedMapping) -> Self {
        Self {
            change: changed.change.name(),
            gva: changed.gva,
            last: changed.last,
            before: changed.before.map(Into::into),
            after: changed.after.map(Into::into),
        }
    }
}

impl From<&ChangedRegister> for RegisterChange {
    fn from(changed: &ChangedRegister) -> Self {
        let ChangedRegister { cpu, register, before, after } = *changed;
        let register = register.keyword();
        Self { cpu, register, before: Hex(before), after: Hex(after) }
    }
}

impl MemoryChange {
    /// A row for each range that only one of two moments has.
    #[must_use]
    pub fn of(ranges: &ChangedRanges) -> Vec<Self> {
        let rows = |set: &RangeSet, change| -> Vec<Self> {
            let row = |(first, last)| Self { gpa: Gpa(first), last: Gpa(last), change };
            set.iter().map(row).collect()
        };
        [rows(&ranges.removed, "removed"), rows(&ranges.added, "added")].concat()
    }
}

impl PageChange {
    /// A page of `guest`, with up to `limit` of the virtual addresses that map it.
    #[must_use]
    pub fn new<M>(
        guest: &Guest<M>,
        page: &ChangedPage,
        aliases: Option<&Aliases<'_>>,
        limit: usize,
    ) -> Self {
        let (aliases, more) = aliases.map(|all| all.of(page.gpa, limit)).unwrap_or_default();
        let place = guest.place(page.gpa);
        Self {
            gpa: page.gpa,
            region: place.map(|place| place.region.to_owned()),
            offset: place.map(|place| Hex(place.offset)),
            bytes: page.bytes,
            first: Hex(page.first),
            gvas: aliases.iter().map(|alias| AliasRow::new(page.gpa, alias)).collect(),
            more,
        }
    }
}

impl Display for DiffRow {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Register(register) => register.fmt(f),
            Self::Memory(memory) => memory.fmt(f),
            Self::Page(page) => page.fmt(f),
            Self::Mapping(mapping) => mapping.fmt(f),
        }
    }
}

impl Display for RegisterChange {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { cpu, register, before, after } = self;
        write!(f, "CPU {cpu}  {register}  {before:#x} -> {after:#x}")
    }
}

impl Display for MemoryChange {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { gpa, last, change } = self;
        write!(f, "{gpa}-{last}  memory {change}")
    }
}

impl Display for PageChange {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.gpa)?;
        if let (Some(region), Some(offset)) = (&self.region, &self.offset) {
            write!(f, "  {region}+{offset}")?;
        }
        write!(f, "  {} bytes from +{:#x}", self.bytes, self.first)?;
        for alias in &self.gvas {
            let gva = alias.gva.map_or("unknown".into(), |gva| gva.to_string());
            write!(f, "  {gva}")?;
            if alias.count > 1 {
                write!(f, " ({} times, every {:#x})", alias.count, alias.stride)?;
            }
        }
        f.write_str(if self.more { "  ..." } else { "" })
    }
}

impl Display for MappingChange {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}  {}  ", self.gva, self.last, self.change)?;
        match (&self.before, &self.after) {
            (Some(before), Some(after)) if self.change == Change::Rights.name() => {
                write!(f, "{}  {} -> {}", before.gpa, worded(before.rights), worded(after.rights))?;
                if before.page_size != after.page_size {
                    write!(f, "  {} -> {}", size(before.page_size), size(after.page_size))?;
                }
                Ok(())
            }
            (Some(before), Some(after)) => write!(f, "{before} -> {after}"),
            (Some(one), None) | (None, Some(one)) => one.fmt(f),
            (None, None) => Ok(()),
        }
    }
}

impl Display for MappedTo {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let repeats = if self.repeats { " repeated" } else { "" };
        write!(f, "{}{repeats}  {}  {}", self.gpa, size(self.page_size), worded(self.rights))
    }
}
