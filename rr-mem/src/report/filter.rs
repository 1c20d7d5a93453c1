//! The words that choose mappings: `--filter` of the command line, and gdb's.

use std::ops::RangeInclusive;

use crate::{
    addr::{Gpa, Gva},
    guest::{Guest, Missing, diff::ChangedMapping},
    mmu::{Mapping, Merge, Rwx},
};

/// Alternatives of properties that must all hold.
#[derive(Clone, Debug, Default)]
pub struct Filter(Vec<Vec<Word>>);

/// Which mappings are asked for.
#[derive(Clone, Debug)]
pub struct Selection {
    /// Their properties.
    pub filter: Filter,
    /// The size of the smallest page.
    pub granule: u64,
    /// Where they are.
    pub range: RangeInclusive<Gva>,
    /// What they must map.
    pub has: Option<Gpa>,
}

impl Selection {
    /// What is asked of `guest`.
    ///
    /// # Errors
    /// When its paging is not known, or rights are asked for that are not.
    pub fn of<M>(
        guest: &Guest<M>,
        filter: Filter,
        range: RangeInclusive<Gva>,
        has: Option<Gpa>,
    ) -> Result<Self, Missing> {
        filter.answered_by(guest)?;
        Ok(Self { filter, granule: guest.mmu()?.granule(), range, has })
    }

    /// The part of `mapping` that is asked for.
    #[must_use]
    pub fn part(&self, mapping: &Mapping) -> Option<Mapping> {
        let part = mapping.clipped(*self.range.start(), *self.range.end())?;
        let has = self.has.is_none_or(|gpa| part.maps(gpa));
        (has && self.filter.accepts(&part, self.granule)).then_some(part)
    }

    /// How mappings may be merged without losing an answer: merging by rights
    /// loses page sizes and physical addresses.
    #[must_use]
    pub fn merge(&self, wanted: Merge) -> Merge {
        let needs_pages = self.has.is_some() || self.filter.asks_for_sizes();
        if needs_pages && wanted == Merge::Rights { Merge::Physical } else { wanted }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word {
    Writable,
    Executable,
    User,
    Supervisor,
    ReadOnly,
    NoExecute,
    WriteExecute,
    Large,
    Size(u64),
}

impl Filter {
    /// Each of `texts` is an alternative: words separated by commas.
    ///
    /// # Errors
    /// Names the word that is none.
    pub fn parse(texts: &[String]) -> Result<Self, String> {
        let words = |text: &String| text.split(',').map(|word| Word::parse(word.trim())).collect();
        texts.iter().map(words).collect::<Result<_, _>>().map(Self)
    }

    /// Whether a mapping has the properties; `granule` is the size of the
    /// smallest page.
    #[must_use]
    pub fn accepts(&self, mapping: &Mapping, granule: u64) -> bool {
        self.0.is_empty()
            || self.0.iter().any(|all| all.iter().all(|word| word.holds(mapping, granule)))
    }

    /// Whether one of the sides of a change has the properties.
    #[must_use]
    pub fn accepts_change(&self, changed: &ChangedMapping, granule: u64) -> bool {
        let mut sides = changed.before.iter().chain(&changed.after);
        sides.any(|side| self.accepts(side, granule))
    }

    /// Whether `guest` knows what is asked for.
    ///
    /// # Errors
    /// The register that decides rights, where nobody knows it.
    pub fn answered_by<M>(&self, guest: &Guest<M>) -> Result<(), Missing> {
        let rights = |word: &Word| !matches!(word, Word::Large | Word::Size(_));
        let asked = self.0.iter().flatten().any(rights);
        if asked { guest.knows_rights() } else { Ok(()) }
    }

    /// Whether page sizes are asked for.
    #[must_use]
    pub fn asks_for_sizes(&self) -> bool {
        self.0.iter().flatten().any(|word| matches!(word, Word::Large | Word::Size(_)))
    }
}

impl Word {
    fn parse(text: &str) -> Result<Self, String> {
        Ok(match text {
            "w" => Self::Writable,
            "x" => Self::Executable,
            "u" => Self::User,
            "s" => Self::Supervisor,
            "ro" => Self::ReadOnly,
            "nx" => Self::NoExecute,
            "wx" => Self::WriteExecute,
            "large" => Self::Large,
            _ => Self::Size(page_size(text).ok_or_else(|| format!("unknown filter {text:?}"))?),
        })
    }

    fn holds(self, mapping: &Mapping, granule: u64) -> bool {
        let (kernel, user) = (mapping.rights.kernel, mapping.rights.user);
        let any = |right: fn(Rwx) -> bool| right(kernel) || right(user);
        match self {
            Self::Writable => any(|rwx| rwx.w),
            Self::Executable => any(|rwx| rwx.x),
            Self::User => user.r || user.w || user.x,
            Self::Supervisor => !(user.r || user.w || user.x),
            Self::ReadOnly => !any(|rwx| rwx.w),
            Self::NoExecute => !any(|rwx| rwx.x),
            Self::WriteExecute => any(|rwx| rwx.w && rwx.x),
            Self::Large => mapping.page_size > granule,
            Self::Size(bytes) => mapping.page_size == bytes,
        }
    }
}

fn page_size(text: &str) -> Option<u64> {
    let shift = match text.chars().last()? {
        'k' | 'K' => 10,
        'm' | 'M' => 20,
        'g' | 'G' => 30,
        't' | 'T' => 40,
        _ => return None,
    };
    let count: u64 = text[..text.len() - 1].parse().ok()?;
    count.checked_shl(shift).filter(|bytes| bytes.is_power_of_two())
}
