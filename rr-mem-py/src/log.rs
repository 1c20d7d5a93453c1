//! Record/replay logs as an iterator of entries.

use std::{path::PathBuf, sync::Mutex};

use pyo3::{prelude::*, types::PyBytes};
use rr_mem::{
    replay::{self, EventLog, LogError, LogFormat, OpenError},
    report::log::line::words,
};

use crate::error::{Bridge, ReadError, SourceError, raise};

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
        match self.with(|log| log.format()) {
            LogFormat::Panda => "panda".into(),
            LogFormat::Qemu(version) => format!("qemu {:#x}", version.number()),
        }
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

/// An entry of a log.
#[pyclass(frozen, module = "rr_mem")]
pub struct Entry {
    #[pyo3(get)]
    index: u64,
    #[pyo3(get)]
    offset: u64,
    #[pyo3(get)]
    instructions: u64,
    #[pyo3(get)]
    kind: &'static str,
    #[pyo3(get)]
    callsite: Option<&'static str>,
    #[pyo3(get)]
    call: Option<&'static str>,
    #[pyo3(get)]
    address: Option<u64>,
    #[pyo3(get)]
    length: Option<u64>,
    #[pyo3(get)]
    value: Option<u64>,
    payload: Option<Vec<u8>>,
    #[pyo3(get)]
    text: String,
}

impl Entry {
    fn new(entry: replay::Entry<'_>) -> Self {
        let fields = entry.fields();
        Self {
            index: entry.index,
            offset: entry.offset,
            instructions: entry.instructions,
            kind: fields.kind,
            callsite: fields.callsite,
            call: fields.call,
            address: fields.address,
            length: fields.length,
            value: fields.value,
            payload: fields.payload.map(<[u8]>::to_vec),
            text: words(&entry),
        }
    }
}

#[pymethods]
impl Entry {
    /// The data that went in.
    #[getter]
    fn payload<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyBytes>> {
        self.payload.as_deref().map(|data| PyBytes::new(py, data))
    }

    fn __str__(&self) -> &str {
        &self.text
    }

    fn __repr__(&self) -> String {
        let words: Vec<_> = self.text.split_whitespace().collect();
        format!("<Entry {}>", words.join(" "))
    }
}

/// Adds the classes to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Log>()?;
    module.add_class::<Entry>()
}
