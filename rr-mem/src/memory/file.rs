//! A file mapped into memory, or bytes that came out of a compressed one.
#![allow(unsafe_code)]

use std::{
    fs::{self, File, Metadata},
    io::{self, Write},
    path::Path,
    sync::Arc,
};

use memmap2::Mmap;

use super::{Memory, ReadError, SliceMemory};
use crate::addr::FileOffset;

/// The bytes of a file, mapped, never copied; cheap to clone.
///
/// Another process that truncates a mapped file makes the kernel deliver
/// SIGBUS. Every reader that maps files pays this price.
#[derive(Clone, Debug)]
pub struct MappedFile(Arc<Bytes>);

#[derive(Debug)]
enum Bytes {
    Mapped(Mmap, Option<FileIdentity>),
    Owned(Vec<u8>),
    Static(&'static [u8]),
}

/// Identifies a file of this machine in one state. A changed file has another
/// identity: the kernel alone sets the time of the last change. `stat(2)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FileIdentity {
    /// The device, `st_dev`.
    pub device: u64,
    /// The file on it, `st_ino`.
    pub inode: u64,
    /// Bytes.
    pub size: u64,
    /// `st_ctim`, seconds and nanoseconds.
    pub changed: (i64, i64),
}

/// Writes a file whole, or leaves it as it was; its folder is made where there
/// is none.
///
/// # Errors
/// The operating system's.
pub fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(bytes)?;
    file.persist(path)?;
    Ok(())
}

impl FileIdentity {
    /// That of the file at `path`; none where there is no file, or no such identity.
    #[must_use]
    pub fn at(path: &Path) -> Option<Self> {
        Self::of(&fs::metadata(path).ok()?)
    }

    #[cfg(unix)]
    pub(crate) fn of(metadata: &Metadata) -> Option<Self> {
        use std::os::unix::fs::MetadataExt;
        Some(Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        })
    }

    #[cfg(not(unix))]
    pub(crate) fn of(_metadata: &Metadata) -> Option<Self> {
        None
    }
}

impl MappedFile {
    /// Maps the whole of the file at `path`, read-only.
    ///
    /// # Errors
    /// The operating system's, from opening or mapping.
    pub fn open(path: &Path) -> io::Result<Self> {
        Self::map(&File::open(path)?)
    }

    /// Maps the whole of an open file, read-only.
    ///
    /// # Errors
    /// The operating system's, or that it is not a regular file.
    pub fn map(file: &File) -> io::Result<Self> {
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::other("it is not a regular file"));
        }
        if metadata.len() == 0 {
            return Ok(Self::from_vec(Vec::new()));
        }
        // SAFETY: the mapping is private and read-only, and all access goes
        // through bounds-checked slices; no reference outlives the Arc.
        let map = unsafe { Mmap::map(file)? };
        Ok(Self(Arc::new(Bytes::Mapped(map, FileIdentity::of(&metadata)))))
    }

    /// Bytes that were decompressed or generated.
    #[must_use]
    pub fn from_vec(bytes: Vec<u8>) -> Self {
        Self(Arc::new(Bytes::Owned(bytes)))
    }

    /// Bytes that are part of the program.
    #[must_use]
    pub fn from_static(bytes: &'static [u8]) -> Self {
        Self(Arc::new(Bytes::Static(bytes)))
    }

    /// Which file it is; `None` if the bytes are in no file, or were unpacked.
    #[must_use]
    pub fn identity(&self) -> Option<FileIdentity> {
        match &*self.0 {
            Bytes::Mapped(_, identity) => *identity,
            Bytes::Owned(_) | Bytes::Static(_) => None,
        }
    }

    /// Releases the mapped pages of `range` (in bytes). Reading them again
    /// reads the file again.
    pub fn give_back(&self, range: std::ops::Range<usize>) {
        let Bytes::Mapped(map, _) = &*self.0 else { return };
        if range.start >= range.end || range.end > map.len() {
            return;
        }
        give_back(map, range);
    }

    /// All bytes.
    #[inline]
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        match &*self.0 {
            Bytes::Mapped(map, _) => map,
            Bytes::Owned(bytes) => bytes,
            Bytes::Static(bytes) => bytes,
        }
    }
}

#[cfg(unix)]
fn give_back(map: &Mmap, range: std::ops::Range<usize>) {
    use memmap2::UncheckedAdvice::DontNeed;
    // SAFETY: the mapping is read-only and of a file, so its pages hold
    // nothing that the file does not; slices into it stay valid.
    let _ = unsafe { map.unchecked_advise_range(DontNeed, range.start, range.len()) };
}

#[cfg(not(unix))]
fn give_back(_map: &Mmap, _range: std::ops::Range<usize>) {}

impl Memory<FileOffset> for MappedFile {
    #[inline]
    fn read(&self, addr: FileOffset, dst: &mut [u8]) -> Result<(), ReadError> {
        SliceMemory::new(FileOffset(0), self.bytes()).read(addr, dst)
    }

    #[inline]
    fn slice(&self, addr: FileOffset, len: usize) -> Option<&[u8]> {
        let start = usize::try_from(addr.0).ok()?;
        self.bytes().get(start..start.checked_add(len)?)
    }
}
