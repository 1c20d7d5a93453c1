//! Layouts that were read before, by build-id and file, in the user's cache
//! folder. XDG Base Directory Specification, "Environment variables".
//!
//! A build-id can be forged. An entry is therefore named by the file too, and
//! what one file says is never taken for another's.
//!
//! An entry is a line with the CRC of what follows, and a layout as JSON. One
//! that is damaged counts as none.

use std::{
    env, fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

use super::{Layout, MemberList};
use crate::{
    bits::hex_digits,
    memory::{FileIdentity, write_whole},
};

/// No layout is larger.
const MOST_BYTES: u64 = 4 << 20;
/// Changes when what is read from DWARF does.
const VERSION: u32 = 2;

/// Whose layout an entry is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key<'a> {
    pub build_id: &'a [u8],
    pub file: FileIdentity,
    pub wanted: &'a MemberList,
}

impl Key<'_> {
    fn name(&self) -> String {
        let Self { build_id, file, wanted } = self;
        let FileIdentity { device, inode, size, changed: (seconds, nanos) } = file;
        format!(
            "layout-{VERSION}-{}-{device:x}-{inode:x}-{size:x}-{seconds:x}-{nanos:x}-{:08x}.json",
            hex_digits(build_id),
            wanted.fingerprint()
        )
    }
}

/// A folder of layouts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cache {
    folder: PathBuf,
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
        Self { folder }
    }

    /// Where it is.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What was kept of a file.
    pub(super) fn get(&self, key: Key<'_>) -> Option<Layout> {
        let entry = read(&self.folder.join(key.name())).ok()?;
        let (sum, text) = entry.split_once('\n')?;
        (sum == checksum(text)).then(|| serde_json::from_str(text).ok())?
    }

    /// Keeps a layout: whole, or not at all.
    pub(super) fn put(&self, key: Key<'_>, layout: &Layout) -> io::Result<()> {
        let text = serde_json::to_string(layout)?;
        let entry = format!("{}\n{text}", checksum(&text));
        write_whole(&self.folder.join(key.name()), entry.as_bytes())
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

    const FILE: FileIdentity =
        FileIdentity { device: 1, inode: 2, size: 3, changed: (1_700_000_000, 5) };

    fn wanted(member: &'static str) -> MemberList {
        [("A", member)].into_iter().collect()
    }

    fn layout() -> Layout {
        Layout { emulator: "x".into(), ..Layout::default() }
    }

    #[test]
    fn what_was_kept_is_found_by_build_id_file_and_wanted_members() {
        let folder = tempfile::tempdir().expect("a folder");
        let cache = Cache::at(folder.path().join("new"));
        let (b, c) = (wanted("b"), wanted("c"));
        let key = Key { build_id: b"id", file: FILE, wanted: &b };
        assert_eq!(cache.get(key), None);
        cache.put(key, &layout()).expect("is written");
        assert_eq!(cache.get(key), Some(layout()));
        assert_eq!(cache.get(Key { build_id: b"it", ..key }), None);
        assert_eq!(cache.get(Key { wanted: &c, ..key }), None);
        for file in [
            FileIdentity { device: 2, ..FILE },
            FileIdentity { inode: 3, ..FILE },
            FileIdentity { size: 4, ..FILE },
            FileIdentity { changed: (1_700_000_000, 6), ..FILE },
        ] {
            assert_eq!(cache.get(Key { file, ..key }), None, "{file:?}");
        }
        assert_eq!(fs::read_dir(folder.path().join("new")).expect("a folder").count(), 1);
    }

    #[test]
    fn damaged_entries_are_none_and_are_written_anew() {
        let folder = tempfile::tempdir().expect("a folder");
        let cache = Cache::at(folder.path().into());
        let key = Key { build_id: b"id", file: FILE, wanted: &wanted("b") };
        cache.put(key, &layout()).expect("is written");
        let path = folder.path().join(key.name());
        let whole = fs::read_to_string(&path).expect("is there");
        for damaged in [&whole[..whole.len() - 1], &whole.replace('x', "y"), "", "00000000\n{}"] {
            fs::write(&path, damaged).expect("is written");
            assert_eq!(cache.get(key), None, "{damaged}");
        }
        cache.put(key, &layout()).expect("is written");
        assert_eq!(cache.get(key), Some(layout()));
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_an_error() {
        let cache = Cache::at("/proc/no such folder".into());
        let key = Key { build_id: b"id", file: FILE, wanted: &wanted("b") };
        assert!(cache.put(key, &layout()).is_err());
    }
}
