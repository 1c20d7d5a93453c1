//! Answers as frozen objects, made from the library's declaration of rows.
//! `str()` of one is the command line's text.

use pyo3::{IntoPyObjectExt, prelude::*, types::PyBytes};
use rr_mem::{
    addr::{Gpa, Gva, Hex, Hva},
    regs::Arch,
    report::{self, Bytes, IfAsked, Named},
};

/// A value of a row as Python has it.
pub trait ToPython {
    /// The value.
    fn to_python<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>>;
}

macro_rules! converted {
    ($($self:ident: $($type:ty),* => $value:expr;)*) => {
        $($(impl ToPython for $type {
            fn to_python<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
                let $self = self;
                $value.into_bound_py_any(py)
            }
        })*)*
    };
}

converted! {
    value: bool, u32, u64, u128, usize, i32, &'static str => *value;
    text: String => text.as_str();
    address: Gva, Gpa, Hva => address.0;
    arch: Arch => arch.name();
}

impl ToPython for Bytes {
    fn to_python<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        Ok(PyBytes::new(py, &self.0).into_any())
    }
}

impl<T: ToPython> ToPython for Hex<T> {
    fn to_python<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.0.to_python(py)
    }
}

impl<T: ToPython> ToPython for Option<T> {
    fn to_python<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.as_ref().map_or_else(|| Ok(py.None().into_bound(py)), |value| value.to_python(py))
    }
}

impl<T: ToPython> ToPython for IfAsked<T> {
    fn to_python<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.0.to_python(py)
    }
}

impl<T: ToPython> ToPython for Vec<T> {
    fn to_python<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let values: PyResult<Vec<_>> = self.iter().map(|value| value.to_python(py)).collect();
        values?.into_bound_py_any(py)
    }
}

impl<T: ToPython> ToPython for Named<T> {
    fn to_python<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let pair = |(name, value): &(&'static str, T)| Ok((*name, value.to_python(py)?));
        let pairs: PyResult<Vec<_>> = self.iter().map(pair).collect();
        pairs?.into_bound_py_any(py)
    }
}

/// A class around a row, with a getter for each field.
macro_rules! class {
    ({ $(#[$doc:meta])* } $class:ident($row:ident) { $($(#[$field_doc:meta])* $field:ident,)* }) => {
        $(#[$doc])*
        #[pyclass(frozen, eq, hash, module = "rr_mem")]
        #[derive(PartialEq, Eq, Hash)]
        pub struct $class(pub report::$row);

        #[pymethods]
        impl $class {
            $(
                $(#[$field_doc])*
                #[getter]
                fn $field<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
                    self.0.$field.to_python(py)
                }
            )*

            /// The command line's text.
            #[getter]
            fn text(&self) -> String {
                self.0.to_string()
            }

            fn __str__(&self) -> String {
                self.text()
            }

            fn __repr__(&self) -> String {
                format!("<{} {}>", stringify!($class), self.text().trim())
            }
        }
    };
}

/// The classes of a row: none, one, or two for a row that may hold no answer.
macro_rules! classes {
    ($row:ident [] $($rest:tt)*) => {};
    ($row:ident [$class:ident $($whole:ident)?] $doc:tt $fields:tt) => {
        class!($doc $class($row) $fields);
        $(class!($doc $whole($row) $fields);)?

        impl ToPython for report::$row {
            fn to_python<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
                $class(self.clone()).into_bound_py_any(py)
            }
        }
    };
}

macro_rules! python_rows {
    ($($(#[$doc:meta])*
    struct $row:ident $(as $class:ident $(, whole $whole:ident)?)? {
        $($(#[$field_doc:meta])* $field:ident: $type:ty,)*
    } $(beside {
        $($(#[$beside_doc:meta])* $beside:ident: $beside_type:ty,)*
    })?)*) => {
        $(classes!($row [$($class $($whole)?)?] { $(#[$doc])* } {
            $($(#[$field_doc])* $field,)*
            $($($(#[$beside_doc])* $beside,)*)?
        });)*

        /// Adds the classes to the module.
        pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
            $($(
                module.add_class::<$class>()?;
                $(module.add_class::<$whole>()?;)?
            )?)*
            module.add_class::<Listing>()
        }
    };
}

rr_mem::declared_rows!(python_rows);

/// Guest memory as `x` shows it.
#[pyclass(frozen, get_all, module = "rr_mem")]
pub struct Listing {
    /// The lines.
    pub lines: Vec<Py<Line>>,
    /// The address behind what was shown.
    pub next: u64,
    /// The address of the last value.
    pub last: Option<u64>,
    /// The last value's bytes; empty after strings.
    pub contents: Vec<u8>,
    /// What stopped it early: an exception that was not raised.
    pub error: Option<Py<PyAny>>,
    /// The format that was used, for the next listing.
    pub format: String,
    /// The command line's text.
    pub text: String,
}

#[pymethods]
impl Listing {
    fn __str__(&self) -> &str {
        &self.text
    }

    fn __repr__(&self) -> String {
        format!("<Listing {}>", self.text.trim())
    }
}
