//! `Guest.slice`.

use std::path::Path;

use pyo3::prelude::*;
use rr_mem::{
    addr::{Gpa, Gva},
    guest::slice::{SliceContents, SliceError},
    report::SliceRow,
    save::{self, NewFileError, SliceAsked, SliceFileError},
};

use super::{Guest, incomplete};
use crate::{
    error::{Bridge, RrMemError, UsageError, explained, usage},
    rows,
};

impl Bridge for SliceFileError {
    fn bridge(&self) -> PyErr {
        match self {
            Self::Contents(SliceError::Missing(missing)) => missing.bridge(),
            Self::File(error @ NewFileError::NotRegular { .. }) => explained::<UsageError>(error),
            Self::File(error) => explained::<RrMemError>(error),
            _ => usage(self, "give smaller ranges, or space=True for its tables"),
        }
    }
}

/// Refuses a range that ends before it begins.
pub fn ordered<'a>(mut ranges: impl Iterator<Item = &'a (u64, u64)>) -> PyResult<()> {
    match ranges.find(|(first, last)| first > last) {
        None => Ok(()),
        Some((first, last)) => Err(usage(
            format!("{first:#x} is behind {last:#x}"),
            "a range is its first and its last address",
        )),
    }
}

/// What a slice is to hold.
pub fn contents(gvas: &[(u64, u64)], gpas: &[(u64, u64)], space: bool) -> PyResult<SliceContents> {
    if gvas.is_empty() && gpas.is_empty() && !space {
        return Err(usage("nothing is asked for", "give gvas, gpas or space=True"));
    }
    ordered(gvas.iter().chain(gpas))?;
    Ok(SliceContents {
        gva: gvas.iter().map(|(first, last)| Gva(*first)..=Gva(*last)).collect(),
        gpa: gpas.iter().map(|(first, last)| Gpa(*first)..=Gpa(*last)).collect(),
        space,
    })
}

impl Guest {
    pub(super) fn write_slice(
        &self,
        py: Python<'_>,
        path: &Path,
        contents: SliceContents,
        redact: bool,
    ) -> PyResult<rows::Slice> {
        let writer = format!("rr_mem {}", env!("CARGO_PKG_VERSION"));
        let asked = SliceAsked { contents, redact, writer };
        let sliced = self.run(py, || save::slice(&self.opened, path, &asked, &mut |_| ()))?;
        let sliced = sliced.map_err(|error| error.bridge())?;
        sliced.shortfalls.iter().try_for_each(|shortfall| incomplete(py, &shortfall.what))?;
        Ok(rows::Slice(SliceRow::from(&sliced)))
    }
}
