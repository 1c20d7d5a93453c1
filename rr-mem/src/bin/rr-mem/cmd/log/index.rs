//! Indexes of large logs, kept in the user's cache folder: by the file's place,
//! size, time of change, first and last bytes.

use std::{
    fs::{self, File},
    io::{self, Read, Seek, SeekFrom, Write},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use rr_mem::{debuginfo::Cache, replay::index::Index};
use sha2::{Digest, Sha256};

/// Logs of fewer bytes are read as fast without.
const LEAST: u64 = 16 << 20;
/// Bytes of the start and of the end that tell logs apart.
const LOOKED_AT: u64 = 4096;
/// No index is larger.
const MOST: u64 = 256 << 20;

/// Where the index of a log is, or will be.
pub struct Kept {
    path: PathBuf,
    size: u64,
}

impl Kept {
    /// That of the log at `path`; none for what is small, or no file.
    pub fn of(path: &Path, size: Option<u64>) -> Option<Self> {
        let size = size.filter(|&size| size >= LEAST)?;
        let name = fingerprint(path).ok()?;
        let folder = Cache::of_user()?.folder().to_owned();
        Some(Self { path: folder.join(format!("log-index-{name}")), size })
    }

    /// The index, if it was kept and is whole.
    pub fn get(&self) -> Option<Index> {
        let mut bytes = Vec::new();
        File::open(&self.path).ok()?.take(MOST).read_to_end(&mut bytes).ok()?;
        Index::from_bytes(&bytes, self.size)
    }

    /// Keeps an index: whole, or not at all.
    pub fn put(&self, index: &Index) -> io::Result<()> {
        let folder = self.path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder)?;
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(&index.to_bytes())?;
        file.persist(&self.path)?;
        Ok(())
    }
}

/// What tells one state of one file from all others.
fn fingerprint(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let about = file.metadata()?;
    let mut hasher = Sha256::new();
    for number in [about.dev(), about.ino(), about.len(), about.mtime() as u64] {
        hasher.update(number.to_le_bytes());
    }
    hasher.update(about.mtime_nsec().to_le_bytes());
    for from in [0, about.len().saturating_sub(LOOKED_AT)] {
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(from))?;
        (&file).take(LOOKED_AT).read_to_end(&mut bytes)?;
        hasher.update(&bytes);
    }
    Ok(hasher.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect())
}
