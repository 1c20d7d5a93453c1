//! Memory regions that came and went while a log was recorded.

use std::fmt::{self, Display, Formatter};

use super::{declared::RegionChangeRow, line::Escaped};
use crate::{
    addr::Hex,
    replay::{
        Entry, Event,
        panda::{self, Call, RegionChange},
    },
};

impl RegionChangeRow {
    /// That of an entry, if it is about a region.
    #[must_use]
    pub fn of(entry: &Entry) -> Option<Self> {
        let Event::Panda(_, panda::Event::SkippedCall(Call::MemRegionChange(change))) =
            entry.event()
        else {
            return None;
        };
        let RegionChange { start, size, added, name, .. } = change;
        Some(Self {
            instr: entry.instructions,
            added,
            start: Hex(start),
            size: Hex(size),
            region_kind: change.kind_name(),
            name: name.escape_ascii().to_string(),
        })
    }

    fn is_same_region(&self, other: &Self) -> bool {
        (&self.start, &self.size, &self.name) == (&other.start, &other.size, &other.name)
    }
}

impl Display for RegionChangeRow {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { instr, added, start, size, region_kind, name } = self;
        let sign = if *added { '+' } else { '-' };
        let name = Escaped(name.as_bytes());
        write!(f, "{instr:>12} {sign} {start}+{size} {region_kind} {name}")
    }
}

/// How the regions differ from those at the start of the log.
#[derive(Clone, Debug, Default)]
pub struct RegionsAt(Vec<RegionChangeRow>);

impl RegionsAt {
    /// Adds the next change.
    pub fn add(&mut self, row: RegionChangeRow) {
        // One that came and went again, or went and came again, is as it was.
        let undone =
            |other: &RegionChangeRow| other.is_same_region(&row) && other.added != row.added;
        match self.0.iter().rposition(undone) {
            Some(at) => drop(self.0.remove(at)),
            None => self.0.push(row),
        }
    }

    /// The changes that count still.
    #[must_use]
    pub fn rows(&self) -> &[RegionChangeRow] {
        &self.0
    }
}
