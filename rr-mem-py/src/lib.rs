//! The Python module `rr_mem`: it converts, releases the GIL and maps errors,
//! and decides nothing. What an answer means is in the library.
//!
//! Built for the stable ABI of CPython 3.9, so that one file serves every gdb.

mod error;
mod face;
mod guest;
mod log;
mod reader;
mod remark;
mod rows;
mod source;

use pyo3::prelude::*;

#[pymodule]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    error::register(module)?;
    rows::register(module)?;
    log::register(module)?;
    module.add_function(wrap_pyfunction!(source::emulators, module)?)?;
    module.add_function(wrap_pyfunction!(guest::diff::diff, module)?)?;
    module.add_class::<remark::Remark>()?;
    module.add_class::<guest::Symbols>()?;
    module.add_class::<guest::Guest>()
}
