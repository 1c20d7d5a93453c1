//! The class `Symbols`.

use std::path::PathBuf;

use pyo3::prelude::*;
use rr_mem::{addr::Gva, symbols::Symbols as Library};

use super::Guest;
use crate::error::Bridge;

/// Names for a guest kernel's addresses, from its vmlinux or System.map.
#[pyclass(frozen, module = "rr_mem")]
pub struct Symbols(Library);

impl Symbols {
    /// The library's.
    pub fn names(&self) -> &Library {
        &self.0
    }
}

#[pymethods]
impl Symbols {
    /// The symbols of a file, `offset` bytes further up than it says.
    #[new]
    #[pyo3(signature = (path, offset = 0))]
    fn new(py: Python<'_>, path: PathBuf, offset: u64) -> PyResult<Self> {
        let found = py.detach(|| Library::open(&path));
        Ok(Self(found.map_err(|error| error.bridge())?.moved(offset)))
    }

    /// The same, moved to where the kernel of this guest is. Raises
    /// `SourceError` when it is not found.
    fn in_guest(&self, py: Python<'_>, guest: &Guest) -> PyResult<Self> {
        guest.moved(py, self.0.clone()).map(Self)
    }

    /// How far up they are.
    #[getter]
    fn offset(&self) -> u64 {
        self.0.offset()
    }

    /// The symbol at or before an address, such as "name+0x10".
    fn name(&self, gva: u64) -> Option<String> {
        self.0.name(Gva(gva))
    }

    /// Where the symbol of this name is.
    fn address(&self, name: &str) -> Option<u64> {
        self.0.address(name).map(|gva| gva.0)
    }
}
