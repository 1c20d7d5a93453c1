//! Guest memory at rest: a file's blocks of guest-physical memory, its
//! registers and region map, as far as the format holds them.
//!
//! One file per format, found by magic. An image never pretends to have host
//! addresses.

mod contents;
mod elf;
mod error;
mod kdump;
mod lime;
mod note;
mod open;
mod options;
mod raw;
mod registers;
pub mod save;
pub mod savevm;
mod windump;

pub use contents::{CoreNote, Image, ImageMemory};
pub use error::ImageError;
pub use note::Description;
pub use open::{from_file, open, open_stream};
pub use options::OpenOptions;
pub(crate) use registers::register_notes;
