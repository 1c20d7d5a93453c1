//! Files that take their place when they are whole.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use tempfile::NamedTempFile;
use thiserror::Error;

use crate::{
    addr::RangeSet,
    advice::{Advice, Explain},
    image::save::{FileFormat, save},
    memory::Memory,
};

/// Why a file cannot be written.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum NewFileError {
    /// What is at its path is no regular file: blocks of zeros become holes, which
    /// nothing else has.
    #[error("{} is no regular file", path.display())]
    NotRegular {
        /// The path.
        path: PathBuf,
    },
    /// The operating system refused.
    #[error("could not write {}: {source}", path.display())]
    Refused {
        /// The path.
        path: PathBuf,
        /// Its words.
        source: io::Error,
    },
}

impl Explain for NewFileError {
    fn kind(&self) -> &'static str {
        match self {
            Self::NotRegular { .. } => "not_regular",
            Self::Refused { .. } => "not_written",
        }
    }

    fn advice(&self) -> Advice {
        match self {
            Self::NotRegular { .. } => {
                Advice::Say("give the path of a file: its blocks of zeros become holes")
            }
            Self::Refused { .. } => Advice::Say("check its path and its disk"),
        }
    }
}

/// A file that takes its place when it is whole; until then the one at its path
/// stays as it is.
#[derive(Debug)]
pub(super) struct NewFile {
    path: PathBuf,
    file: NamedTempFile,
}

/// With the rights that new files have: those that the umask leaves.
#[cfg(unix)]
fn for_everybody<'a, 'b>(
    builder: &'a mut tempfile::Builder<'b, 'b>,
) -> &'a mut tempfile::Builder<'b, 'b> {
    use std::os::unix::fs::PermissionsExt;
    builder.permissions(fs::Permissions::from_mode(0o666))
}

#[cfg(not(unix))]
fn for_everybody<'a, 'b>(
    builder: &'a mut tempfile::Builder<'b, 'b>,
) -> &'a mut tempfile::Builder<'b, 'b> {
    builder
}

impl NewFile {
    /// Beside `path`.
    pub fn new(path: &Path) -> Result<Self, NewFileError> {
        if fs::metadata(path).is_ok_and(|found| !found.is_file()) {
            return Err(NewFileError::NotRegular { path: path.to_owned() });
        }
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let mut builder = tempfile::Builder::new();
        let file = for_everybody(builder.prefix(".rr-mem-"))
            .tempfile_in(folder.unwrap_or(Path::new(".")))
            .map_err(|source| NewFileError::Refused { path: path.clone(), source })?;
        Ok(Self { path, file })
    }

    /// Writes guest memory: what was written. `progress` hears how many bytes are
    /// done.
    pub fn save(
        &mut self,
        format: &FileFormat<'_>,
        memory: &dyn Memory,
        wanted: &RangeSet,
        progress: &mut dyn FnMut(u64),
    ) -> Result<RangeSet, NewFileError> {
        save(self.file.as_file_mut(), format, memory, wanted, progress)
            .map_err(|source| NewFileError::Refused { path: self.path.clone(), source })
    }

    /// Puts the file in its place: its length.
    pub fn finish(self) -> Result<u64, NewFileError> {
        let Self { path, file } = self;
        let placed = file.persist(&path).map_err(|error| error.error);
        let length = placed.and_then(|file| file.metadata()).map(|about| about.len());
        length.map_err(|source| NewFileError::Refused { path, source })
    }
}
