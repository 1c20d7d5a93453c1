//! Memory that a Python object reads, gdb's inferior for one.
//!
//! The object is called on the thread that asks and on no other: nothing here
//! starts threads.

use std::sync::{Arc, Mutex, PoisonError, TryLockError};

use pyo3::{exceptions::PyException, prelude::*, types::PyBytes};
use rr_mem::{
    addr::{Address, Gpa, Hva},
    memory::{Memory, PageCache, ReadCause, ReadError},
    region::physical::PhysicalMemory,
};

/// Pages kept: 64 MB.
const PAGES: usize = 16384;

/// The emulator's memory as an object reads it, behind a page cache; cheap to
/// clone.
#[derive(Clone)]
pub struct Reader(Arc<Shared>);

struct Shared {
    cache: Mutex<PageCache<Callback, Hva>>,
    object: Py<PyAny>,
    pending: Pending,
}

/// Guest-physical memory as an object reads it.
#[derive(Clone)]
pub struct PhysicalReader(pub Reader);

/// What is no failure to read: Ctrl-C, an exit. Raised when the library is done.
type Pending = Arc<Mutex<Option<PyErr>>>;

/// An object with `read(address, length) -> bytes`.
struct Callback {
    object: Py<PyAny>,
    pending: Pending,
    /// What may be read, where not everything may.
    allowed: Option<PhysicalMemory<Gpa, ()>>,
}

impl Reader {
    /// Reads through `object`.
    pub fn new(object: Py<PyAny>) -> Self {
        Self::limited(object, None)
    }

    /// Reads through `object` what is `allowed`, and never anything else.
    pub fn limited(object: Py<PyAny>, allowed: Option<PhysicalMemory<Gpa, ()>>) -> Self {
        let pending = Pending::default();
        let kept = Python::attach(|py| object.clone_ref(py));
        let callback = Callback { object, pending: pending.clone(), allowed };
        let cache = Mutex::new(PageCache::new(callback, PAGES));
        Self(Arc::new(Shared { cache, object: kept, pending }))
    }

    /// Forgets what the object gave.
    pub fn forget(&self) {
        if let Ok(cache) = self.0.cache.try_lock() {
            cache.clear();
        }
    }

    /// Writes through the object, if it has `write(address, bytes)`; `None` if
    /// it has not.
    pub fn write(&self, py: Python<'_>, addr: Hva, bytes: &[u8]) -> Option<PyResult<()>> {
        let write = self.0.object.bind(py).getattr("write").ok()?;
        Some(write.call1((addr.0, PyBytes::new(py, bytes))).map(drop))
    }

    /// Raises what interrupted a read.
    pub fn check(&self) -> PyResult<()> {
        let mut pending = self.0.pending.lock().unwrap_or_else(PoisonError::into_inner);
        pending.take().map_or(Ok(()), Err)
    }
}

impl Memory<Hva> for Reader {
    fn read(&self, addr: Hva, dst: &mut [u8]) -> Result<(), ReadError> {
        let cache = match self.0.cache.try_lock() {
            Ok(cache) => cache,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => {
                return Err(failed(addr, "the reader is already reading, for another call"));
            }
        };
        cache.read(addr, dst)
    }
}

impl Memory for PhysicalReader {
    fn read(&self, addr: Gpa, dst: &mut [u8]) -> Result<(), ReadError> {
        let ours = |error: ReadError| ReadError::new(Gpa(error.addr), error.cause);
        self.0.read(Hva(addr.0), dst).map_err(ours)
    }
}

impl Memory<Hva> for Callback {
    fn read(&self, addr: Hva, dst: &mut [u8]) -> Result<(), ReadError> {
        if self.interrupted() {
            return Err(failed(addr, "interrupted"));
        }
        self.check(addr, dst.len())?;
        Python::attach(|py| {
            let bytes = self.call(py, addr.0, dst.len());
            let bytes = bytes.map_err(|error| self.explain(py, addr, error))?;
            let bytes = bytes.as_bytes();
            let len = bytes.len().min(dst.len());
            dst[..len].copy_from_slice(&bytes[..len]);
            if len < dst.len() {
                let end = Hva(addr.0.wrapping_add(len as u64));
                return Err(failed(end, "the reader gave no more bytes"));
            }
            Ok(())
        })
    }
}

impl Callback {
    /// Whether every byte may be read.
    fn check(&self, addr: Hva, len: usize) -> Result<(), ReadError> {
        let Some(allowed) = &self.allowed else { return Ok(()) };
        let mut done = 0;
        while done < len as u64 {
            let hole = || ReadError::new(Hva(addr.0.wrapping_add(done)), ReadCause::Hole);
            let here = addr.checked_add(done).ok_or_else(hole)?;
            done += allowed.locate(Gpa(here.0)).ok_or_else(hole)?.1;
        }
        Ok(())
    }

    fn interrupted(&self) -> bool {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Any object with the buffer protocol may come back.
    fn call<'py>(
        &self,
        py: Python<'py>,
        address: u64,
        len: usize,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let found = self.object.bind(py).call_method1("read", (address, len))?;
        match found.cast_into::<PyBytes>() {
            Ok(bytes) => Ok(bytes),
            Err(other) => bytes_of(&other.into_inner()),
        }
    }

    fn explain(&self, py: Python<'_>, addr: Hva, error: PyErr) -> ReadError {
        let text = error.value(py).to_string();
        if !error.is_instance_of::<PyException>(py) {
            *self.pending.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
        }
        failed(addr, &text)
    }
}

fn failed(addr: Hva, why: &str) -> ReadError {
    ReadError::new(addr, ReadCause::Io(why.into()))
}

/// The bytes of an object with the buffer protocol. The stable ABI has no
/// buffers before 3.11, so they are copied.
pub fn bytes_of<'py>(object: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
    let view = object.py().import("builtins")?.getattr("memoryview")?.call1((object,))?;
    Ok(view.call_method0("tobytes")?.cast_into::<PyBytes>()?)
}
