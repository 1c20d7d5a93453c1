//! ELF files that a process has loaded.

use std::path::PathBuf;

use object::{
    Endianness,
    elf::{FileHeader64, PT_LOAD},
    read::elf::{FileHeader, ProgramHeader},
};

use crate::memory::MappedFile;

/// What the kernel appends to the name of a deleted file.
pub(super) const DELETED: &str = " (deleted)";
/// Bytes that tell a file from another of the same path. They hold the ELF
/// header, the program headers and the build-id.
pub(super) const HEAD: usize = 1024;

/// An ELF file that the process has loaded.
#[derive(Clone, Debug)]
pub struct Module {
    /// Its path as the process sees it.
    pub path: PathBuf,
    /// What to add to an address in the file to get the one in the process.
    pub bias: u64,
    /// The file, where it could be had: it may be deleted, or in a container.
    pub file: Option<MappedFile>,
}

/// What to add to addresses of the file whose byte `offset` is mapped at
/// `start`: its segments say which of them that is. "Base Address", System V
/// ABI, "Program Loading".
pub(super) fn bias(file: &[u8], start: u64, offset: u64) -> Option<u64> {
    let header = FileHeader64::<Endianness>::parse(file).ok()?;
    let endian = header.endian().ok()?;
    let segments = header.program_headers(endian, file).ok()?;
    let page = |value: u64| value & !0xfff;
    let loaded = segments.iter().filter(|segment| segment.p_type(endian) == PT_LOAD);
    let mut holding = loaded.filter(|segment| {
        let (first, size) = (segment.p_offset(endian), segment.p_filesz(endian));
        page(first) <= offset && offset < first.saturating_add(size).max(1)
    });
    let segment = holding.next()?;
    let address = segment.p_vaddr(endian).wrapping_sub(segment.p_offset(endian));
    Some(start.wrapping_sub(address.wrapping_add(offset)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_are_no_elf_have_no_bias() {
        assert_eq!(bias(b"\x7fELF", 0x1000, 0), None);
        assert_eq!(bias(&[0xff; 200], 0x1000, 0), None);
    }
}
