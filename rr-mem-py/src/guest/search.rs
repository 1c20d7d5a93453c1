//! `Guest.search`.

use pyo3::{prelude::*, types::PyString};
use rr_mem::{
    guest::search::{Hit, SearchObserver, Searching},
    mmu::Merge,
    report::{HitRow, filter::Selection},
};

use super::{Guest, incomplete, more_than};
use crate::{error::usage, reader::bytes_of, rows};

/// The bytes of a text, or of what has bytes.
pub fn pattern(pattern: &Bound<'_, PyAny>) -> PyResult<Vec<u8>> {
    let bytes = match pattern.cast::<PyString>() {
        Ok(text) => text.to_cow()?.as_bytes().to_vec(),
        Err(_) => bytes_of(pattern)?.as_bytes().to_vec(),
    };
    if bytes.is_empty() {
        return Err(usage("the pattern is empty", "give bytes or a text"));
    }
    Ok(bytes)
}

/// Hits, up to so many.
struct Hits {
    found: Vec<Hit>,
    limit: usize,
}

/// There are more.
struct TooMany;

impl SearchObserver for Hits {
    type Error = TooMany;

    fn found(&mut self, hit: Hit) -> Result<(), TooMany> {
        self.found.push(hit);
        if self.found.len() > self.limit { Err(TooMany) } else { Ok(()) }
    }
}

impl Guest {
    /// Where `needle` is in the mappings that are wanted.
    pub(super) fn hits(
        &self,
        py: Python<'_>,
        needle: &[u8],
        wanted: &Selection,
        limit: usize,
    ) -> PyResult<Vec<rows::Hit>> {
        let space = self.space(py, wanted.range.start().0, wanted.range.end().0)?;
        let mut hits = Hits { found: Vec::new(), limit };
        let searching = Searching { needle, held: &self.opened.coverage.held };
        let searched = self.run(py, || {
            let parts = space.mappings(Merge::Physical).filter_map(|run| wanted.part(&run));
            self.guest().search(parts, searching, &mut hits)
        })?;
        let searched = searched.map_err(|TooMany| {
            more_than(limit, "places", "raise limit, narrow first and last, or give more bytes")
        })?;
        if let Some(error) = &searched.absent {
            let bytes = searched.absent_bytes;
            incomplete(py, &format!("{bytes:#x} mapped bytes were not searched: {error}"))?;
        }
        Ok(hits.found.into_iter().map(|hit| rows::Hit(HitRow::from(hit))).collect())
    }
}
