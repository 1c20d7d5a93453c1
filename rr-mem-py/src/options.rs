//! What the constructors of a guest take.

use std::{fs, path::PathBuf};

use pyo3::prelude::*;
use rr_mem::{debuginfo::Search, qemu::Offsets, region::RegionMap, region::monitor};

use crate::error::{Bridge, SourceError, raise, usage};

/// Where struct offsets come from.
pub fn offsets(layout: Option<PathBuf>, debug_file: Option<PathBuf>) -> PyResult<Offsets> {
    let Some(path) = layout else {
        return Ok(Offsets::Found(Search { debug_file, ..Search::default() }));
    };
    serde_json::from_str(&text(&path)?).map(Offsets::Given).map_err(|error| {
        let what = format!("{}: {error}", path.display());
        usage(what, "it is a JSON file of struct offsets; `rr-mem layout ELF` makes one")
    })
}

/// The region map in the text of the monitor's `info mtree -f`.
pub fn region_map(text: &str) -> PyResult<RegionMap> {
    monitor::parse(text).map(|flat| flat.map).map_err(|error| error.bridge())
}

fn text(path: &PathBuf) -> PyResult<String> {
    fs::read_to_string(path).map_err(|error| {
        raise::<SourceError>(format!("{}: {error}", path.display()), "io", "check the path")
    })
}
