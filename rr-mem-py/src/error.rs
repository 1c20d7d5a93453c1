//! The one bridge from the library's errors to Python's exceptions. Each has
//! `kind`, a short stable name, and `hint`, what the user can do.

use pyo3::{create_exception, exceptions::PyException, prelude::*};
use rr_mem::{
    addr::GuestAddress,
    guest::{GuestReadCause, GuestReadError, Missing, emulator::NoSuchSpace},
    host::{GivenError, core::CoreError, process::ProcessError},
    image::ImageError,
    memory::ReadError as LibraryReadError,
    mmu::{Fault, WalkError},
    qemu::{QemuError, stub::NoRegister},
    region::{RenderError, monitor::ParseError},
    symbols::SymbolsError,
    watch::WatchError,
    write::WriteError,
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

/// An exception of type `T`.
pub fn raise<T: pyo3::PyTypeInfo>(text: impl ToString, kind: &str, hint: &str) -> PyErr {
    let error = PyErr::new::<T, _>(text.to_string());
    Python::attach(|py| {
        let value = error.value(py);
        // Setting an attribute of an exception of ours cannot fail.
        let _ = value.setattr("kind", kind).and_then(|()| value.setattr("hint", hint));
    });
    error
}

/// A wrong argument.
pub fn usage(text: impl ToString, hint: &str) -> PyErr {
    raise::<UsageError>(text, "usage", hint)
}

macro_rules! sources {
    ($($type:ty),*) => {$(
        impl Bridge for $type {
            fn bridge(&self) -> PyErr {
                raise::<SourceError>(self, self.kind(), &self.hint().to_string())
            }
        }
    )*};
}

/// An error of the library as an exception.
pub trait Bridge {
    /// The exception.
    fn bridge(&self) -> PyErr;
}

sources!(ProcessError, CoreError, ImageError, QemuError, GivenError, ParseError);

impl Bridge for Missing {
    fn bridge(&self) -> PyErr {
        raise::<MissingError>(self, self.kind(), self.hint())
    }
}

impl Bridge for SymbolsError {
    fn bridge(&self) -> PyErr {
        raise::<SourceError>(self, self.kind(), self.hint())
    }
}

impl Bridge for NoRegister {
    fn bridge(&self) -> PyErr {
        raise::<MissingError>(self, self.kind(), self.hint())
    }
}

impl Bridge for WatchError {
    fn bridge(&self) -> PyErr {
        match self {
            Self::Virtual(error) => error.bridge(),
            Self::NoRam(error) => error.bridge(),
            Self::NoHost(_) => raise::<MissingError>(self, self.kind(), self.hint()),
            _ => raise::<UsageError>(self, self.kind(), self.hint()),
        }
    }
}

impl Bridge for WriteError {
    fn bridge(&self) -> PyErr {
        match self {
            Self::Virtual(error) => error.bridge(),
            Self::TooLong(_) => raise::<UsageError>(self, self.kind(), self.hint()),
            _ => raise::<RrMemError>(self, self.kind(), self.hint()),
        }
    }
}

impl Bridge for RenderError {
    fn bridge(&self) -> PyErr {
        raise::<SourceError>(self, self.kind(), "the emulator's memory map is damaged")
    }
}

impl Bridge for NoSuchSpace {
    fn bridge(&self) -> PyErr {
        usage(self, &self.hint())
    }
}

impl Bridge for LibraryReadError {
    fn bridge(&self) -> PyErr {
        raise::<ReadError>(self, self.kind(), self.hint())
    }
}

impl Bridge for (u64, &Fault) {
    fn bridge(&self) -> PyErr {
        raise::<NotMapped>(
            format!("{:#x} is not mapped: {}", self.0, self.1),
            self.1.kind.name(),
            "",
        )
    }
}

impl Bridge for (u64, &WalkError) {
    fn bridge(&self) -> PyErr {
        match self.1 {
            WalkError::Fault(fault) => (self.0, fault).bridge(),
            WalkError::Unreadable(table) => {
                raise::<ReadError>(table, table.source.kind(), table.source.hint())
            }
        }
    }
}

impl Bridge for GuestReadError {
    fn bridge(&self) -> PyErr {
        match &self.cause {
            GuestReadCause::Fault(fault) => (self.at.raw(), fault).bridge(),
            GuestReadCause::Table(table) => {
                raise::<ReadError>(self, table.source.kind(), table.source.hint())
            }
            // A physical one says its address itself.
            GuestReadCause::Data(data) if matches!(self.at, GuestAddress::Physical(_)) => {
                data.bridge()
            }
            GuestReadCause::Data(data) => raise::<ReadError>(self, data.kind(), data.hint()),
            GuestReadCause::Missing(missing) => missing.bridge(),
            GuestReadCause::End => raise::<ReadError>(self, "end", ""),
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
