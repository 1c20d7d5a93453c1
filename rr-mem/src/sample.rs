//! The embedded sample guest: a slice of a real Linux guest (page tables, a few
//! pages of text, registers, the region map), so that every command answers on
//! a fresh machine. tests/data/README.md says where it came from.

use crate::{
    image::{self, Image, ImageError, OpenOptions},
    memory::MappedFile,
};

static SAMPLE: &[u8] = include_bytes!("../data/sample.elf.zst");

/// Opens the sample.
///
/// # Errors
/// Never, unless the program was built from a damaged file.
pub fn open() -> Result<Image, ImageError> {
    image::from_file(MappedFile::from_static(SAMPLE), &OpenOptions::default())
}
