//! What is worth saying of a source.

use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;
use rr_mem::{report::RemarkRow, source};

use crate::{
    face::{GdbWords, PythonWords},
    rows::ToPython,
};

/// What may make answers wrong, what was assumed, how a source was read.
#[pyclass(frozen, get_all, module = "rr_mem")]
pub struct Remark {
    /// A short stable name.
    kind: &'static str,
    /// A sentence.
    text: String,
    /// What to do about it.
    hint: String,
    /// The same in the words of the commands in gdb.
    gdb_hint: String,
    /// It only tells how an answer came about.
    detail: bool,
}

impl From<&source::Remark> for Remark {
    fn from(remark: &source::Remark) -> Self {
        let advice = remark.advice();
        Self {
            kind: remark.kind(),
            text: remark.to_string(),
            hint: advice.words(&PythonWords),
            gdb_hint: advice.words(&GdbWords),
            detail: remark.is_detail(),
        }
    }
}

/// A row has Python's words only; what goes with an answer is no detail.
impl ToPython for RemarkRow {
    fn to_python<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let (text, hint) = (self.text.clone(), self.hint.clone());
        Remark { kind: self.kind, text, gdb_hint: hint.clone(), hint, detail: false }
            .into_bound_py_any(py)
    }
}

#[pymethods]
impl Remark {
    fn __str__(&self) -> &str {
        &self.text
    }

    fn __repr__(&self) -> String {
        format!("<Remark {}: {}>", self.kind, self.text)
    }
}
