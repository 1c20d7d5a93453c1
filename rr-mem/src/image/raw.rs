//! Raw RAM: byte 0 of the file is at the RAM base.

use super::{Image, ImageError};
use crate::{
    addr::{Gpa, ImageOffset},
    memory::{ImageBytes, MappedFile},
    region::physical::{Backing, PhysicalMemory, PhysicalRange},
};

pub(super) fn open(file: MappedFile, ram_base: Gpa) -> Result<Image, ImageError> {
    const FORMAT: &str = "raw RAM";
    let len = file.bytes().len() as u64;
    let range = PhysicalRange { gpa: ram_base, len, backing: Backing::At(ImageOffset(0)) };
    let ranges = if len == 0 { Vec::new() } else { vec![range] };
    let memory = PhysicalMemory::new(ranges, ImageBytes::Flat(file))
        .map_err(|source| ImageError::Blocks { format: FORMAT, source })?;
    Ok(Image { raw: true, ..Image::new(FORMAT, memory) })
}
