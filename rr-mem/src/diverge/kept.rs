//! What a search has compared, kept in a file so that another one goes on.

use std::{
    collections::BTreeMap,
    fs, io,
    ops::RangeInclusive,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{bits::hex_digits, debuginfo::Cache, memory::write_whole};

/// What makes a search the same as another: what is run, logs, what counts.
#[derive(Clone, Copy, Debug)]
pub struct SearchIdentity<'a> {
    /// What each execution is, in words that tell it from any other.
    pub words: &'a [String; 2],
    /// The logs that they replay, where they are known.
    pub logs: &'a [Option<PathBuf>; 2],
    /// Guest-physical addresses that do not count.
    pub ignored_memory: &'a [RangeInclusive<u64>],
    /// Regions that do not count.
    pub ignored_regions: &'a [String],
    /// Registers that do not count.
    pub ignored_registers: &'a [String],
}

impl SearchIdentity<'_> {
    /// It as text; a log that has changed since gives another one.
    #[must_use]
    pub fn text(&self) -> String {
        let of = |side: usize| match &self.logs[side] {
            None => self.words[side].clone(),
            Some(log) => {
                let about = fs::metadata(log);
                let changed = about.as_ref().ok().and_then(|about| about.modified().ok());
                let size = about.map_or(0, |about| about.len());
                format!("{} {} {size} {changed:?}", self.words[side], log.display())
            }
        };
        let Self { ignored_memory, ignored_regions, ignored_registers, .. } = self;
        format!(
            "{} | {} | {ignored_memory:?} {ignored_regions:?} {ignored_registers:?}",
            of(0),
            of(1)
        )
    }
}

/// What a search has compared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptPoints {
    /// What was asked, as [`SearchIdentity::text`] says it.
    pub question: String,
    /// By instruction: whether both were equal.
    pub points: BTreeMap<u64, bool>,
}

impl KeptPoints {
    /// Nothing yet.
    #[must_use]
    pub const fn new(question: String) -> Self {
        Self { question, points: BTreeMap::new() }
    }

    /// Where it is kept unless a path is given: in the user's cache folder.
    #[must_use]
    pub fn usual_path(&self) -> Option<PathBuf> {
        let digest = hex_digits(&Sha256::digest(&self.question)[..16]);
        Some(Cache::of_user()?.folder().join(format!("diverge-{digest}.json")))
    }

    /// What was kept at `path`.
    ///
    /// # Errors
    /// The operating system's, or that the file is no such one.
    pub fn read(path: &Path) -> io::Result<Self> {
        Ok(serde_json::from_slice(&fs::read(path)?)?)
    }

    /// Keeps it: whole, or not at all.
    ///
    /// # Errors
    /// The operating system's.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        write_whole(path, &serde_json::to_vec(self)?)
    }
}
