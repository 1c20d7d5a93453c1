//! Which format a file has: found by magic, and opened by the format's file.

use std::path::Path;

use super::{Image, ImageError, OpenOptions, elf, kdump, lime, raw, savevm, windump};
use crate::{
    advice::Advice,
    container::{self, qcow2},
    memory::{FileIdentity, MappedFile},
};

/// Opens the image at `path`, whatever its format; `progress` hears the bytes
/// read so far.
///
/// # Errors
/// [`ImageError`].
pub fn open(
    path: &Path,
    options: &OpenOptions<'_>,
    progress: &mut dyn FnMut(u64),
) -> Result<Image, ImageError> {
    let file = opened(path, options.snapshot, progress)?;
    let keep = is_at(&file, path);
    by_magic(file, keep, options, progress)
}

/// As [`open`], for a file that is already mapped; compressed files too.
///
/// # Errors
/// [`ImageError`].
pub fn from_file(file: MappedFile, options: &OpenOptions<'_>) -> Result<Image, ImageError> {
    let mut file = container::unpack(file, &mut |_| {})?;
    if qcow2::is_qcow2(file.bytes()) {
        file = qcow2::state(&file, options.snapshot, &mut |_| {})?;
    }
    by_magic(file, false, options, &mut |_| {})
}

/// The file at `path` without what wraps it.
fn opened(
    path: &Path,
    snapshot: Option<&str>,
    progress: &mut dyn FnMut(u64),
) -> Result<MappedFile, ImageError> {
    let file = container::open(path, progress)?;
    match qcow2::is_qcow2(file.bytes()) {
        true => Ok(qcow2::state(&file, snapshot, progress)?),
        false => Ok(file),
    }
}

/// The migration stream at `path`.
///
/// # Errors
/// [`ImageError`].
pub fn open_stream(
    path: &Path,
    options: &OpenOptions<'_>,
    progress: &mut dyn FnMut(u64),
) -> Result<savevm::Stream, ImageError> {
    let file = opened(path, options.snapshot, progress)?;
    if !savevm::is_stream(file.bytes()) {
        return Err(ImageError::NotAStream);
    }
    let keep = is_at(&file, path);
    savevm::Stream::open(file, keep, progress)
}

/// Whether `file` is the one at `path`, not one that came out of it.
fn is_at(file: &MappedFile, path: &Path) -> bool {
    let place = |file: FileIdentity| (file.device, file.inode);
    let found = FileIdentity::at(path).map(place);
    found.is_some() && found == file.identity().map(place)
}

fn by_magic(
    file: MappedFile,
    keep: bool,
    options: &OpenOptions<'_>,
    progress: &mut dyn FnMut(u64),
) -> Result<Image, ImageError> {
    if elf::is_elf(file.bytes()) {
        return elf::open(file);
    }
    if savevm::is_stream(file.bytes()) {
        return savevm::Stream::open(file, keep, progress)?.into_image(options);
    }
    if kdump::is_kdump(file.bytes()) {
        return kdump::open(file);
    }
    if file.bytes().starts_with(lime::MAGIC) {
        return lime::open(file);
    }
    if windump::is_dump(file.bytes()) {
        return windump::open(file);
    }
    match foreign(file.bytes()) {
        Some(error) => Err(error),
        None => raw::open(file, options.ram_base),
    }
}

/// Formats that would be nonsense as raw RAM.
fn foreign(bytes: &[u8]) -> Option<ImageError> {
    const CONVERT: Advice =
        Advice::Say("take an ELF core with the monitor's dump-guest-memory instead");
    const KNOWN: [(&[u8], &str); 3] = [
        (b"KDMV", "a VMware disk image"),
        (b"\xd2\xbe\xd2\xbe", "a VMware snapshot"),
        (b"\x7fVirtualBox SavedState", "a VirtualBox snapshot"),
    ];
    let known = KNOWN.iter().find(|(magic, _)| bytes.starts_with(magic));
    known.map(|(_, what)| ImageError::NotAnImage { what, advice: CONVERT })
}
