//! Answers as rows: serialisable, the same for `--json` and for Python.
//!
//! Addresses, offsets and sizes in bytes of guest memory are `"0x..."` strings,
//! counts and page sizes are numbers, what is not known is `null`.

pub mod diff;
mod emulator;
pub mod examine;
pub mod filter;
pub mod log;
mod registers;
mod rows;
mod state;
mod text;
pub mod tlb;

pub use emulator::{CpuRow, RamRow, WherePlace, WhereRow};
pub use registers::RegsRow;
pub use rows::{
    AliasRow, ErrorRow, FaultRow, FindRow, MappingRow, RightsRow, RootRow, RwxRow, StepRow, V2pRow,
};
pub use state::StateRow;
pub use text::size;
