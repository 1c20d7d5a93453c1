//! Indexes of large logs, kept in the user's cache folder: by the file's place,
//! size, time of the last write, first and last bytes.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};

use sha2::{Digest, Sha256};

use super::Index;
use crate::{
    bits::hex_digits,
    debuginfo::Cache,
    memory::{FileIdentity, write_whole},
};

/// Logs of fewer bytes are read as fast without.
const LEAST: u64 = 16 << 20;
/// Bytes of the start and of the end that tell logs apart.
const LOOKED_AT: u64 = 4096;
/// No index is larger.
const MOST: u64 = 256 << 20;

/// Where the index of a log is, or will be.
#[derive(Clone, Debug)]
pub struct KeptIndex {
    path: PathBuf,
    size: u64,
}

impl KeptIndex {
    /// The index of the log at `path`, of `size` bytes; `None` for small logs,
    /// and for what is no file.
    #[must_use]
    pub fn of(path: &Path, size: Option<u64>) -> Option<Self> {
        let size = size.filter(|&size| size >= LEAST)?;
        let name = fingerprint(path).ok()?;
        let folder = Cache::of_user()?.folder().to_owned();
        Some(Self { path: folder.join(format!("log-index-{name}")), size })
    }

    /// The index, if it was kept and is whole.
    #[must_use]
    pub fn get(&self) -> Option<Index> {
        let mut bytes = Vec::new();
        File::open(&self.path).ok()?.take(MOST).read_to_end(&mut bytes).ok()?;
        Index::from_bytes(&bytes, self.size)
    }

    /// Keeps an index: whole, or not at all.
    ///
    /// # Errors
    /// The operating system's.
    pub fn put(&self, index: &Index) -> io::Result<()> {
        write_whole(&self.path, &index.to_bytes())
    }
}

/// What tells one state of one file from all others.
fn fingerprint(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let about = file.metadata()?;
    let FileIdentity { device, inode, size, .. } =
        FileIdentity::of(&about).ok_or(io::ErrorKind::Unsupported)?;
    let written = about.modified()?.duration_since(UNIX_EPOCH).map_err(io::Error::other)?;
    let mut hasher = Sha256::new();
    for number in [device, inode, size, written.as_secs(), written.subsec_nanos().into()] {
        hasher.update(number.to_le_bytes());
    }
    for from in [0, size.saturating_sub(LOOKED_AT)] {
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(from))?;
        (&file).take(LOOKED_AT).read_to_end(&mut bytes)?;
        hasher.update(&bytes);
    }
    Ok(hex_digits(&hasher.finalize()[..16]))
}
