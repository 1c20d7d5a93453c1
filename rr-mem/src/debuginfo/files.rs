//! Where the debug info of a program is: in itself, or in a debug file by
//! build-id, by `.gnu_debuglink`, or given by hand; and the supplementary file
//! that dwz makes (`.gnu_debugaltlink`). GDB manual, "Separate Debug Files".
//!
//! A file counts only if its build-id or CRC is right.

use std::{
    fs, io,
    path::{Component, Path, PathBuf},
};

use super::{DebugError, elf::Elf};
use crate::{bits::hex_digits, memory::MappedFile};

/// A file that is open.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub path: PathBuf,
    pub file: MappedFile,
}

/// Looks for files, and remembers in vain.
struct Tries<'a> {
    folders: &'a [PathBuf],
    tried: Vec<String>,
}

impl Tries<'_> {
    /// The file at `path`, if it holds what is looked for.
    fn open(&mut self, path: PathBuf, fits: impl Fn(&[u8]) -> Result<(), String>) -> Option<Found> {
        let opened = open(&path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => None,
            _ => Some(error.to_string()),
        });
        let fits = opened.and_then(|file| fits(file.bytes()).map(|()| file).map_err(Some));
        match fits {
            Ok(file) => return Some(Found { path, file }),
            Err(None) => self.tried.push(path.display().to_string()),
            Err(Some(why)) => self.tried.push(format!("{}: {why}", path.display())),
        }
        None
    }

    fn by_build_id(&mut self, id: &[u8]) -> Option<Found> {
        let (first, rest) = id.split_first()?;
        let name = format!(".build-id/{:02x}/{}.debug", first, hex_digits(rest));
        self.folders
            .iter()
            .find_map(|folder| self.open(folder.join(&name), |bytes| same_id(bytes, id)))
    }
}

/// Only regular files: opening anything else can wait for ever.
fn open(path: &Path) -> io::Result<MappedFile> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    MappedFile::open(path)
}

/// Opens a file that the user named.
pub(super) fn given(path: &Path) -> Result<MappedFile, DebugError> {
    open(path).map_err(|error| DebugError::Open { path: path.into(), what: error.to_string() })
}

fn same_id(bytes: &[u8], id: &[u8]) -> Result<(), String> {
    match Elf::parse(bytes)?.build_id() {
        Some(found) if found == id => Ok(()),
        found => Err(format!("its build-id is {}", shown(found))),
    }
}

/// A build-id in words.
pub(super) fn shown(id: Option<&[u8]>) -> String {
    id.map_or_else(|| "none".into(), hex_digits)
}

/// The debug file of the program at `path`: its path, or where it could have been.
pub(super) fn debug_file(
    path: &Path,
    elf: &Elf<'_>,
    folders: &[PathBuf],
) -> Result<Found, Vec<String>> {
    let mut tries = Tries { folders, tried: Vec::new() };
    let by_id = elf.build_id().and_then(|id| tries.by_build_id(id));
    by_id.or_else(|| by_link(path, elf, &mut tries)).ok_or(tries.tried)
}

fn by_link(path: &Path, elf: &Elf<'_>, tries: &mut Tries<'_>) -> Option<Found> {
    let (name, crc) = elf.debug_link()?;
    let name = file_name(&name)?;
    let folder = real_folder(path)?;
    let below = folder.strip_prefix("/").unwrap_or(&folder);
    let beside = [folder.join(&name), folder.join(".debug").join(&name)];
    let global: Vec<PathBuf> = tries.folders.iter().map(|at| at.join(below).join(&name)).collect();
    let has_crc = |bytes: &[u8]| {
        let mut found = flate2::Crc::new();
        found.update(bytes);
        if found.sum() == crc { Ok(()) } else { Err("its CRC is another".to_owned()) }
    };
    beside.into_iter().chain(global).find_map(|path| tries.open(path, has_crc))
}

/// A link names a file, not a way through folders.
fn file_name(name: &str) -> Option<PathBuf> {
    let mut parts = Path::new(name).components();
    match (parts.next(), parts.next()) {
        (Some(Component::Normal(name)), None) => Some(name.into()),
        _ => None,
    }
}

/// The folder that a file really is in.
fn real_folder(path: &Path) -> Option<PathBuf> {
    let real = fs::canonicalize(path).unwrap_or_else(|_| path.into());
    real.parent().map(Path::to_owned)
}

/// The supplementary file of the debug file `of`, if it has one.
pub(super) fn supplementary(of: &Found, folders: &[PathBuf]) -> Result<Option<Found>, DebugError> {
    let damaged = |what| DebugError::Damaged { path: of.path.clone(), what };
    let elf = Elf::parse(of.file.bytes()).map_err(damaged)?;
    let Some((name, id)) = elf.supplementary() else { return Ok(None) };
    let mut tries = Tries { folders, tried: Vec::new() };
    let beside = real_folder(&of.path).map(|folder| folder.join(&name));
    let base = Path::new(&name).file_name().map(PathBuf::from).unwrap_or_default();
    let global = folders.iter().map(|folder| folder.join(".dwz").join(&base));
    let paths: Vec<PathBuf> = beside.into_iter().chain(global).collect();
    let fits = |bytes: &[u8]| same_id(bytes, id);
    let found = paths.into_iter().find_map(|path| tries.open(path, fits));
    match found.or_else(|| tries.by_build_id(id)) {
        Some(found) => Ok(Some(found)),
        None => {
            let (path, id) = (of.path.clone(), hex_digits(id));
            Err(DebugError::Supplementary { path, name, id, tried: tries.tried })
        }
    }
}
