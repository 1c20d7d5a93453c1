//! Record/replay logs as an iterator of entries.

use std::{path::PathBuf, sync::Mutex};

use pyo3::prelude::*;
use rr_mem::{
    replay::{self, EventLog, LogError, OpenError},
    report::log::{LogRow, line::words},
};

use crate::{
    error::{Bridge, ReadError, SourceError, raise},
    rows::ToPython,
};

impl Bridge for OpenError {
    fn bridge(&self) -> PyErr {
        raise::<SourceError>(self, self.name(), &self.advice().to_string())
    }
}

impl Bridge for LogError {
    fn bridge(&self) -> PyErr {
        raise::<ReadError>(self, self.kind.name(), &self.kind.advice().to_string())
    }
}

/// A log of PANDA or QEMU: an iterator of its entries, front to back, once.
#[pyclass(frozen, module = "rr_mem")]
pub struct Log(Mutex<replay::Log>);

#[pymethods]
impl Log {
    /// Opens the log at `path`; zstd, gzip and rr2 archives are taken off.
    #[new]
    fn new(py: Python<'_>, path: PathBuf) -> PyResult<Self> {
        let log = py.detach(|| replay::Log::open(&path)).map_err(|error| error.bridge())?;
        Ok(Self(Mutex::new(log)))
    }

    /// `panda`, or `qemu` and its version.
    #[getter]
    fn format(&self) -> String {
        self.with(|log| log.format().to_string())
    }

    /// The instructions that the header gives, of a recording that ended.
    #[getter]
    fn total_instructions(&self) -> Option<u64> {
        self.with(|log| log.total_instructions())
    }

    fn __iter__(this: PyRef<'_, Self>) -> PyRef<'_, Self> {
        this
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Option<Entry>> {
        let next = py.detach(|| self.with(|log| log.next_entry().map(|next| next.map(Entry::new))));
        next.map_err(|error| error.bridge())
    }
}

impl Log {
    fn with<T>(&self, ask: impl FnOnce(&mut replay::Log) -> T) -> T {
        ask(&mut self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }
}

/// The class around a row: a getter for each field, and the line.
macro_rules! entry_class {
    ($(#[$doc:meta])* struct $row:ident as $class:ident {
        $($(#[$field_doc:meta])* $field:ident: $type:ty,)*
    }) => {
        $(#[$doc])*
        #[pyclass(frozen, eq, hash, module = "rr_mem")]
        #[derive(PartialEq, Eq, Hash)]
        pub struct $class {
            row: $row,
            text: String,
        }

        #[pymethods]
        impl $class {
            $(
                $(#[$field_doc])*
                #[getter]
                fn $field<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
                    self.row.$field.to_python(py)
                }
            )*

            /// The command line's text.
            #[getter]
            fn text(&self) -> &str {
                &self.text
            }

            fn __str__(&self) -> &str {
                &self.text
            }

            fn __repr__(&self) -> String {
                let words: Vec<_> = self.text.split_whitespace().collect();
                format!("<{} {}>", stringify!($class), words.join(" "))
            }
        }
    };
}

rr_mem::declared_entry!(entry_class);

impl Entry {
    fn new(entry: replay::Entry<'_>) -> Self {
        Self { row: LogRow::from(&entry), text: words(&entry) }
    }
}

/// Adds the classes to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Log>()?;
    module.add_class::<Entry>()
}
