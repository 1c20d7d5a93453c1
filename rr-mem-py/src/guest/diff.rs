//! `rr_mem.diff`.

use std::ops::ControlFlow;

use pyo3::{IntoPyObjectExt, prelude::*};
use rr_mem::{
    addr::{PAGE, RangeSet},
    changes,
    guest::diff::{ChangedMapping, mappings},
    mmu::VirtualSpace,
    report::{MappingChange, MemoryChange, PageChange, RegisterChange, filter::Selection},
};

use super::{Guest, incomplete, more_than, saving::ordered};
use crate::{
    error::{Bridge, usage},
    rows,
};

/// What is compared.
struct Asked {
    gpas: Option<Vec<(u64, u64)>>,
    first: u64,
    last: u64,
    filters: Vec<String>,
    /// Virtual addresses that are listed for a page.
    aliases: usize,
}

/// What two moments of a guest differ in: objects of the classes `RegisterChange`,
/// `MemoryChange`, `PageChange` and `MappingChange`, in that order. `only` is
/// "memory" or "tables"; `gpas` are pairs of first and last physical address;
/// `first`, `last` and `filters` choose mappings as `Guest.mappings` does;
/// `aliases` is how many virtual addresses of a page are listed. More than `limit`
/// differences are an error. Tables are compared where both moments know their
/// registers; warns of pages that could not be compared.
#[pyfunction]
#[pyo3(signature = (before, after, *, only = None, gpas = None, first = 0, last = u64::MAX, filters = Vec::new(), aliases = 16, limit = 1_000_000))]
#[expect(clippy::too_many_arguments, reason = "they are keywords in Python")]
pub fn diff(
    py: Python<'_>,
    before: &Bound<'_, Guest>,
    after: &Bound<'_, Guest>,
    only: Option<&str>,
    gpas: Option<Vec<(u64, u64)>>,
    first: u64,
    last: u64,
    filters: Vec<String>,
    aliases: usize,
    limit: usize,
) -> PyResult<Vec<Py<PyAny>>> {
    ordered(gpas.iter().flatten())?;
    let asked = Asked { gpas, first, last, filters, aliases };
    let pair = Pair { before: before.get(), after: after.get(), asked };
    let (memory, tables) = match only {
        None => (true, true),
        Some("memory") => (true, false),
        Some("tables") => (false, true),
        Some(word) => {
            return Err(usage(format!("there is no part {word:?}"), "memory, tables"));
        }
    };
    let spaces = pair.spaces(py, only == Some("tables"))?;
    let mut found = Found { rows: Vec::new(), limit };
    if only.is_none() {
        pair.registers(py, &mut found)?;
    }
    if memory {
        pair.memory(py, spaces.as_ref(), &mut found)?;
    }
    if let Some(spaces) = spaces.filter(|_| tables) {
        pair.mappings(py, &spaces, &mut found)?;
    }
    Ok(found.rows)
}

/// Differences, up to so many.
struct Found {
    rows: Vec<Py<PyAny>>,
    limit: usize,
}

impl Found {
    fn add<'py>(&mut self, py: Python<'py>, row: impl IntoPyObject<'py>) -> PyResult<()> {
        if self.rows.len() >= self.limit {
            return Err(too_many(self.limit));
        }
        self.rows.push(row.into_py_any(py)?);
        Ok(())
    }
}

fn too_many(limit: usize) -> PyErr {
    more_than(limit, "differences", "raise limit, or narrow gpas, first and last")
}

/// Two moments.
struct Pair<'g> {
    before: &'g Guest,
    after: &'g Guest,
    asked: Asked,
}

impl Pair<'_> {
    /// Runs `work` without the GIL, unless Python is asked for bytes on the way.
    fn run<T: Send>(&self, py: Python<'_>, work: impl FnOnce() -> T + Send) -> PyResult<T> {
        match (&self.before.reader, &self.after.reader) {
            (Some(reader), _) => {
                let done = self.after.run(py, work)?;
                reader.check().map(|()| done)
            }
            (None, _) => self.after.run(py, work),
        }
    }

    /// What both map, where both know their registers; `needed` says that it must
    /// be known.
    fn spaces(&self, py: Python<'_>, needed: bool) -> PyResult<Option<[VirtualSpace; 2]>> {
        let mmus = self.before.guest().mmu().and(self.after.guest().mmu());
        match mmus {
            Err(missing) if needed => Err(missing.bridge()),
            Err(_) => Ok(None),
            Ok(_) => {
                let whole = |guest: &Guest| guest.space(py, 0, u64::MAX);
                Ok(Some([whole(self.before)?, whole(self.after)?]))
            }
        }
    }

    fn registers(&self, py: Python<'_>, found: &mut Found) -> PyResult<()> {
        let changed = changes::registers(&self.before.opened, &self.after.opened);
        let mut rows = changed.iter().map(|row| rows::RegisterChange(RegisterChange::from(row)));
        rows.try_for_each(|row| found.add(py, row))
    }

    fn memory(
        &self,
        py: Python<'_>,
        spaces: Option<&[VirtualSpace; 2]>,
        found: &mut Found,
    ) -> PyResult<()> {
        let asked: RangeSet = match &self.asked.gpas {
            None => std::iter::once(0..=u64::MAX).collect(),
            Some(ranges) => ranges.iter().map(|(first, last)| *first..=*last).collect(),
        };
        let (before, after) = (&self.before.opened, &self.after.opened);
        let ranges = changes::ranges(before, after, &asked);
        let mut rows = MemoryChange::of(&ranges).into_iter().map(rows::MemoryChange);
        rows.try_for_each(|row| found.add(py, row))?;
        let changed = self.run(py, || changes::bytes(before, after, &asked, &|_| ()))?;
        let changed = changed.map_err(|missing| missing.bridge())?;
        let aliases = spaces.map(|[_, after]| after.aliases());
        for page in &changed.pages {
            let guest = self.after.guest();
            let row = PageChange::new(guest, page, aliases.as_ref(), self.asked.aliases);
            found.add(py, rows::PageChange(row))?;
        }
        if changed.lost.is_empty() {
            return Ok(());
        }
        let why = changed.why.map_or(String::new(), |error| format!(": {error}"));
        let pages = changed.lost.blocks(PAGE);
        incomplete(py, &format!("{pages} pages could not be compared{why}"))
    }

    fn mappings(
        &self,
        py: Python<'_>,
        [old, new]: &[VirtualSpace; 2],
        found: &mut Found,
    ) -> PyResult<()> {
        let Asked { first, last, filters, .. } = &self.asked;
        let Selection { filter, granule, range, .. } =
            self.after.selection(*first, *last, filters)?;
        let most = found.limit.saturating_sub(found.rows.len());
        let changed = self.run(py, || {
            let mut changed: Vec<ChangedMapping> = Vec::new();
            let _ = mappings(old, new, range, |change| {
                if filter.accepts_change(change, granule) {
                    changed.push(*change);
                }
                if changed.len() > most {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                }
            });
            changed
        })?;
        let mut rows =
            changed.iter().map(|change| rows::MappingChange(MappingChange::from(change)));
        rows.try_for_each(|row| found.add(py, row))
    }
}
