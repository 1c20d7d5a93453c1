//! The one bridge from the library's errors to Python's exceptions. Each has `kind`, a short stable
//! name; `hint`, what the user can do; `gdb_hint`, the same in the words of the gdb commands; and
//! `details`, what the sentence leaves out.

use pyo3::{create_exception, exceptions::PyException, prelude::*};
use rr_mem::{
    addr::GuestAddress,
    advice::{Advice, Explain},
    guest::{GuestReadCause, GuestReadError, Missing},
    memory::ReadError as LibraryReadError,
    mmu::{Fault, NoSuchWord, WalkError},
    region::RenderError,
    report::FaultRow,
    source::SourceError as LibrarySourceError,
    symbols::SymbolsError,
    watch::WatchError,
    write::WriteError,
};

use crate::{
    face::{GdbWords, PythonWords},
    rows,
};

create_exception!(rr_mem, RrMemError, PyException, "Any failure of rr_mem.");
create_exception!(rr_mem, NotMapped, RrMemError, "The guest's answer: nothing is mapped there.");
create_exception!(rr_mem, ReadError, RrMemError, "Bytes cannot be had; says nothing of the guest.");
create_exception!(rr_mem, SourceError, RrMemError, "A source could not be opened.");
create_exception!(rr_mem, MissingError, RrMemError, "The source lacks what the question needs.");
create_exception!(rr_mem, UsageError, RrMemError, "A wrong argument.");
create_exception!(
    rr_mem,
    IncompleteWarning,
    pyo3::exceptions::PyUserWarning,
    "Some tables could not be read: mappings may be missing."
);

/// An exception of type `T`, with the same hint in Python and in gdb.
pub fn raise<T: pyo3::PyTypeInfo>(text: impl ToString, kind: &str, hint: &str) -> PyErr {
    raise_worded::<T>(text, kind, [hint, hint], Vec::new())
}

/// An exception of type `T`; Python and gdb word the advice.
fn raise_advised<T: pyo3::PyTypeInfo>(text: impl ToString, kind: &str, advice: &Advice) -> PyErr {
    raise_worded::<T>(text, kind, worded(advice).each_ref().map(String::as_str), Vec::new())
}

/// Advice in the words of Python, and in gdb's.
fn worded(advice: &Advice) -> [String; 2] {
    [advice.words(&PythonWords), advice.words(&GdbWords)]
}

fn raise_worded<T: pyo3::PyTypeInfo>(
    text: impl ToString,
    kind: &str,
    [hint, gdb_hint]: [&str; 2],
    details: Vec<String>,
) -> PyErr {
    let error = PyErr::new::<T, _>(text.to_string());
    Python::attach(|py| {
        let value = error.value(py);
        // Setting an attribute of an exception of ours cannot fail.
        let _ = value
            .setattr("kind", kind)
            .and_then(|()| value.setattr("hint", hint))
            .and_then(|()| value.setattr("gdb_hint", gdb_hint))
            .and_then(|()| value.setattr("details", details));
    });
    error
}

/// A wrong argument.
pub fn usage(text: impl ToString, hint: &str) -> PyErr {
    raise::<UsageError>(text, "usage", hint)
}

/// What the library explains, as an exception of type `T`.
pub fn explained<T: pyo3::PyTypeInfo>(error: &dyn Explain) -> PyErr {
    let hints = worded(&error.advice());
    raise_worded::<T>(error, error.kind(), hints.each_ref().map(String::as_str), error.details())
}

/// The guest's answer; the attribute `fault` says why, `remarks` what else is worth saying.
pub fn faulted(text: String, fault: FaultRow) -> PyErr {
    let error = raise::<NotMapped>(text, fault.kind, "");
    Python::attach(|py| {
        // As for `kind`.
        let value = error.value(py);
        let none = pyo3::types::PyList::empty(py);
        let _ = value
            .setattr("fault", rows::Fault(fault))
            .and_then(|()| value.setattr("remarks", none));
    });
    error
}

/// An error of the library as an exception.
pub trait Bridge {
    /// The exception.
    fn bridge(&self) -> PyErr;
}

macro_rules! bridged {
    ($($exception:ident: $($error:ty),*;)*) => {$($(
        impl Bridge for $error {
            fn bridge(&self) -> PyErr {
                explained::<$exception>(self)
            }
        }
    )*)*};
}

bridged! {
    MissingError: Missing;
    SourceError: SymbolsError;
    ReadError: LibraryReadError;
    UsageError: NoSuchWord;
}

impl Bridge for LibrarySourceError {
    fn bridge(&self) -> PyErr {
        match self {
            Self::Stub(_) => explained::<MissingError>(self),
            _ if self.is_usage() => explained::<UsageError>(self),
            _ => explained::<SourceError>(self),
        }
    }
}

impl Bridge for WatchError {
    fn bridge(&self) -> PyErr {
        match self {
            Self::Virtual(error) => error.bridge(),
            Self::NoRam(error) => error.bridge(),
            Self::NoHost(_) => explained::<MissingError>(self),
            _ => explained::<UsageError>(self),
        }
    }
}

impl Bridge for WriteError {
    fn bridge(&self) -> PyErr {
        match self {
            Self::Virtual(error) => error.bridge(),
            Self::TooLong(_) => explained::<UsageError>(self),
            _ => explained::<RrMemError>(self),
        }
    }
}

impl Bridge for RenderError {
    fn bridge(&self) -> PyErr {
        raise::<SourceError>(self, self.kind(), "the emulator's memory map is damaged")
    }
}

impl Bridge for (u64, &Fault) {
    fn bridge(&self) -> PyErr {
        faulted(format!("{:#x} is not mapped: {}", self.0, self.1), self.1.into())
    }
}

impl Bridge for (u64, &WalkError) {
    fn bridge(&self) -> PyErr {
        match self.1 {
            WalkError::Fault(fault) => (self.0, fault).bridge(),
            WalkError::Unreadable(table) => {
                raise_advised::<ReadError>(table, table.source.kind(), &table.source.advice())
            }
        }
    }
}

impl Bridge for GuestReadError {
    fn bridge(&self) -> PyErr {
        match &self.cause {
            GuestReadCause::Fault(fault) => (self.at.raw(), fault).bridge(),
            GuestReadCause::Table(table) => {
                raise_advised::<ReadError>(self, table.source.kind(), &table.source.advice())
            }
            // A physical one says its address itself.
            GuestReadCause::Data(data) if matches!(self.at, GuestAddress::Physical(_)) => {
                data.bridge()
            }
            GuestReadCause::Data(data) => {
                raise_advised::<ReadError>(self, data.kind(), &data.advice())
            }
            GuestReadCause::Missing(missing) => missing.bridge(),
            // The address space ends.
            _ => raise::<ReadError>(self, "end", ""),
        }
    }
}

/// Adds the exceptions to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    module.add("RrMemError", py.get_type::<RrMemError>())?;
    module.add("NotMapped", py.get_type::<NotMapped>())?;
    module.add("ReadError", py.get_type::<ReadError>())?;
    module.add("SourceError", py.get_type::<SourceError>())?;
    module.add("MissingError", py.get_type::<MissingError>())?;
    module.add("UsageError", py.get_type::<UsageError>())?;
    module.add("IncompleteWarning", py.get_type::<IncompleteWarning>())
}
