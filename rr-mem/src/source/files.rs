//! Files beside a source: struct offsets, and the region map as text.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{RegionText, SourceError};
use crate::{
    advice::{
        Advice,
        Part::{Name, Say},
        Setting,
    },
    debuginfo::DebugSearch,
    qemu::Offsets,
};

const LAYOUT: Advice = Advice::Parts(&[
    Say("it is a JSON file of struct offsets; `rr-mem layout ELF` makes one; leave "),
    Name(Setting::Layout),
    Say(" away to have them found"),
]);

fn text(path: &Path, advice: &Advice) -> Result<String, SourceError> {
    let bytes = fs::read(path).map_err(|error| {
        let (path, why) = (path.to_owned(), error.to_string());
        SourceError::File { path, why, kind: "io", advice: advice.clone() }
    })?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Where struct offsets come from: the file `layout`, if given; else debug info,
/// from `debug_file` if given.
///
/// # Errors
/// When `layout` cannot be read.
pub fn offsets(layout: Option<&Path>, debug_file: Option<PathBuf>) -> Result<Offsets, SourceError> {
    let Some(path) = layout else {
        return Ok(Offsets::Found(DebugSearch { debug_file, ..DebugSearch::default() }));
    };
    serde_json::from_str(&text(path, &LAYOUT)?).map(Offsets::Given).map_err(|error| {
        let (path, why) = (path.to_owned(), error.to_string());
        SourceError::File { path, why, kind: "layout", advice: LAYOUT }
    })
}

impl RegionText {
    /// Reads the file `path`, the text of `info mtree -f` or of `info mtree`.
    ///
    /// # Errors
    /// When it cannot be read, or is neither.
    pub fn read(path: &Path) -> Result<Self, SourceError> {
        let text = text(path, &Advice::Say("check the path"))?;
        Self::parse(&text).map_err(|error| SourceError::File {
            path: path.to_owned(),
            why: error.to_string(),
            kind: error.kind(),
            advice: error.advice(),
        })
    }
}
