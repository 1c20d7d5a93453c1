//! Layouts that were read before, by build-id, in the user's cache folder.
//! XDG Base Directory Specification, "Environment variables".
//!
//! An entry is a line with the CRC of what follows, and a layout as JSON. One
//! that is damaged counts as none.

use std::{
    env, fs,
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use super::{Layout, Wanted, elf::hex};

/// No layout is larger.
const MOST_BYTES: u64 = 4 << 20;
/// Changes when what is read from DWARF does.
const VERSION: u32 = 1;

/// A folder of layouts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cache {
    folder: PathBuf,
    writable: bool,
}

impl Cache {
    /// The user's: `$XDG_CACHE_HOME/rr-mem`, or `~/.cache/rr-mem`.
    #[must_use]
    pub fn of_user() -> Option<Self> {
        let set = env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
        let set = set.filter(|path| path.is_absolute());
        let base = set.or_else(|| Some(env::home_dir()?.join(".cache")))?;
        base.is_absolute().then(|| Self::at(base.join("rr-mem")))
    }

    /// The one in `folder`.
    #[must_use]
    pub const fn at(folder: PathBuf) -> Self {
        Self { folder, writable: true }
    }

    /// Where it is.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The same, to which nothing is added: for files that others may have made
    /// to look like those of a well-known build.
    #[must_use]
    pub fn read_only(self) -> Self {
        Self { writable: false, ..self }
    }

    fn path(&self, build_id: &[u8], wanted: &Wanted) -> PathBuf {
        let (id, wanted) = (hex(build_id), wanted.fingerprint());
        self.folder.join(format!("layout-{VERSION}-{id}-{wanted:08x}.json"))
    }

    /// What was kept of a file.
    pub(super) fn get(&self, build_id: &[u8], wanted: &Wanted) -> Option<Layout> {
        let entry = read(&self.path(build_id, wanted)).ok()?;
        let (sum, text) = entry.split_once('\n')?;
        (sum == checksum(text)).then(|| serde_json::from_str(text).ok())?
    }

    /// Keeps a layout: whole, or not at all.
    pub(super) fn put(&self, build_id: &[u8], wanted: &Wanted, layout: &Layout) -> io::Result<()> {
        if !self.writable {
            return Ok(());
        }
        let text = serde_json::to_string(layout)?;
        fs::create_dir_all(&self.folder)?;
        let mut file = tempfile::NamedTempFile::new_in(&self.folder)?;
        write!(file, "{}\n{text}", checksum(&text))?;
        file.persist(self.path(build_id, wanted))?;
        Ok(())
    }
}

fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    fs::File::open(path)?.take(MOST_BYTES).read_to_string(&mut text)?;
    Ok(text)
}

fn checksum(text: &str) -> String {
    let mut crc = flate2::Crc::new();
    crc.update(text.as_bytes());
    format!("{:08x}", crc.sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted() -> Wanted {
        [("A", "b")].into_iter().collect()
    }

    fn layout() -> Layout {
        Layout { emulator: "x".into(), ..Layout::default() }
    }

    #[test]
    fn what_was_kept_is_found_by_build_id_and_wanted_members() {
        let folder = tempfile::tempdir().expect("a folder");
        let cache = Cache::at(folder.path().join("new"));
        assert_eq!(cache.get(b"id", &wanted()), None);
        cache.put(b"id", &wanted(), &layout()).expect("is written");
        assert_eq!(cache.get(b"id", &wanted()), Some(layout()));
        assert_eq!(cache.get(b"it", &wanted()), None);
        assert_eq!(cache.get(b"id", &[("A", "c")].into_iter().collect()), None);
        assert_eq!(fs::read_dir(folder.path().join("new")).expect("a folder").count(), 1);
    }

    #[test]
    fn damaged_entries_are_none_and_are_written_anew() {
        let folder = tempfile::tempdir().expect("a folder");
        let cache = Cache::at(folder.path().into());
        cache.put(b"id", &wanted(), &layout()).expect("is written");
        let path = cache.path(b"id", &wanted());
        let whole = fs::read_to_string(&path).expect("is there");
        for damaged in [&whole[..whole.len() - 1], &whole.replace('x', "y"), "", "00000000\n{}"] {
            fs::write(&path, damaged).expect("is written");
            assert_eq!(cache.get(b"id", &wanted()), None, "{damaged}");
        }
        cache.put(b"id", &wanted(), &layout()).expect("is written");
        assert_eq!(cache.get(b"id", &wanted()), Some(layout()));
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_an_error() {
        let cache = Cache::at("/proc/no such folder".into());
        assert!(cache.put(b"id", &wanted(), &layout()).is_err());
    }
}
