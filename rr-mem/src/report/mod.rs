//! Answers as rows: serialisable, the same for `--json` and for Python.
//!
//! Addresses, offsets and sizes in bytes of guest memory are `"0x..."` strings,
//! counts and page sizes are numbers, what is not known is `null`.

mod declare;
mod declared;
pub mod diff;
#[cfg(target_os = "linux")]
pub mod diverge;
mod emulator;
pub mod examine;
pub mod filter;
pub mod log;
mod registers;
mod remarks;
mod rows;
#[cfg(target_os = "linux")]
mod running;
mod state;
mod text;
pub mod tlb;

pub use declare::{Bytes, FieldSchema, Found, IfAsked, Named, RowSchema, Shape, Shaped};
pub use declared::{
    AliasRow, ConvertRow, CpuRow, ErrorRow, FaultRow, FindRow, FlatRangeRow, HitRow, MappedTo,
    MappingChange, MappingRow, MemoryChange, PageChange, PieceRow, PsRow, RamRow, ReadRow,
    RegionRow, RegisterChange, RegsRow, RemarkRow, RightsRow, RootRow, RwxRow, SCHEMAS, SliceRow,
    StateRow, StepRow, StopRow, V2pRow, WherePlace, WhereRow, WrittenRow, XRow,
};
pub use remarks::Remarked;
pub use text::size;
