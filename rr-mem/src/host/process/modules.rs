//! The ELF files that a process has loaded: which, where, and their contents,
//! also when the file has been deleted or replaced or is in a container.

use std::{
    ffi::OsStr,
    fs::{self, File},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use super::ProcessMemory;
use crate::{
    host::{
        Module,
        maps::{self, HostMapping},
        module::{DELETED, HEAD, bias},
    },
    memory::{MappedFile, Memory},
};

/// The modules of `mappings`, the executable first.
pub(super) fn read(pid: u32, mappings: &[HostMapping], memory: &ProcessMemory) -> Vec<Module> {
    let exe = fs::read_link(super::folder(pid).join("exe")).unwrap_or_default();
    let executable = |mapping: &HostMapping| OsStr::new(mapping.name()) == exe.as_os_str();
    let (main, others): (Vec<&HostMapping>, Vec<&HostMapping>) =
        maps::loaded(mappings).into_iter().partition(|mapping| executable(mapping));
    let main = main.into_iter().filter_map(|mapping| module(pid, mapping, memory, true));
    main.chain(others.into_iter().filter_map(|mapping| module(pid, mapping, memory, false)))
        .collect()
}

/// A file that a process has loaded.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LoadedFile {
    /// Its path where the process is, and its number in the file system.
    pub path: String,
    inode: u64,
}

/// A loaded file, to be opened.
pub struct Loaded<'a> {
    pid: u32,
    mapping: &'a HostMapping,
    main: bool,
}

impl Loaded<'_> {
    /// Which it is; processes that run the same have equal ones.
    #[must_use]
    pub fn file(&self) -> LoadedFile {
        LoadedFile { path: self.mapping.name().to_owned(), inode: self.mapping.inode }
    }

    /// Its bytes, if they can be had.
    #[must_use]
    pub fn open(&self) -> Option<MappedFile> {
        let same =
            |file: &File| file.metadata().is_ok_and(|found| found.ino() == self.mapping.inode);
        opened(self.pid, self.mapping, self.main, |path| {
            File::open(path).ok().filter(same).and_then(|file| MappedFile::map(&file).ok())
        })
    }
}

/// Whether one of the files that the process `pid` has loaded is what `wanted` looks
/// for. Of a process that may not be read, nothing is known: `false`.
pub fn any_loaded(pid: u32, mut wanted: impl FnMut(&Loaded<'_>) -> bool) -> bool {
    let Ok(text) = super::maps_of(pid) else { return false };
    let exe = fs::read_link(super::folder(pid).join("exe")).unwrap_or_default();
    let main = |mapping: &HostMapping| OsStr::new(mapping.name()) == exe.as_os_str();
    let mappings = maps::parse(&text);
    maps::loaded(&mappings)
        .into_iter()
        .any(|mapping| wanted(&Loaded { pid, mapping, main: main(mapping) }))
}

/// The ELF file that `mapping` begins.
fn module(pid: u32, mapping: &HostMapping, memory: &ProcessMemory, main: bool) -> Option<Module> {
    let head = head(mapping, memory);
    if head.as_ref().is_some_and(|head| !head.starts_with(b"\x7fELF")) {
        return None;
    }
    let file = contents(pid, mapping, head.as_deref(), main);
    let bias = match &file {
        Some(file) => bias(file.bytes(), mapping.area.start.0, mapping.offset)?,
        None => mapping.area.start.0.wrapping_sub(mapping.offset),
    };
    let path = mapping.name().trim_end_matches(DELETED);
    Some(Module { path: PathBuf::from(path), bias, file })
}

/// The first bytes of the file as the process sees them, when they are mapped.
fn head(mapping: &HostMapping, memory: &ProcessMemory) -> Option<Vec<u8>> {
    let mut head = vec![0; HEAD];
    (mapping.offset == 0).then_some(())?;
    memory.read(mapping.area.start, &mut head).ok()?;
    Some(head)
}

/// The file itself: the very one that is mapped, or one that begins alike.
fn contents(
    pid: u32,
    mapping: &HostMapping,
    head: Option<&[u8]>,
    main: bool,
) -> Option<MappedFile> {
    let by_path = super::folder(pid).join("root");
    opened(pid, mapping, main, |path| {
        let file = File::open(path).ok().and_then(|file| MappedFile::map(&file).ok())?;
        let alike = || head.is_some_and(|head| file.bytes().starts_with(head));
        (!path.starts_with(&by_path) || alike()).then_some(file)
    })
}

/// What `open` makes of the executable, of the very file that is mapped, or of what is
/// at its path now.
fn opened(
    pid: u32,
    mapping: &HostMapping,
    main: bool,
    open: impl Fn(&Path) -> Option<MappedFile>,
) -> Option<MappedFile> {
    let folder = super::folder(pid);
    if main && let Some(file) = open(&folder.join("exe")) {
        return Some(file);
    }
    let range = format!("{:x}-{:x}", mapping.area.start.0, mapping.end());
    let path = mapping.name().strip_prefix('/')?;
    open(&folder.join("map_files").join(range)).or_else(|| open(&folder.join("root").join(path)))
}

#[cfg(test)]
mod tests {
    use object::{
        Endianness,
        elf::{FileHeader64, PT_LOAD, ProgramHeader64},
        read::elf::{FileHeader, ProgramHeader},
    };

    use super::*;
    use crate::host::{Host, process::Process};

    #[test]
    fn addresses_in_the_file_plus_the_bias_are_those_of_the_process() {
        let process = Process::open(std::process::id()).expect("we run");
        let main = &process.modules()[0];
        let bytes = main.file.as_ref().expect("our own file").bytes();
        let elf = FileHeader64::<Endianness>::parse(bytes).expect("an ELF file");
        let endian = elf.endian().expect("an order of bytes");
        let entry = main.bias.wrapping_add(elf.e_entry(endian));
        let mut code = [0; 16];
        process.memory().read(crate::addr::Hva(entry), &mut code).expect("is mapped");
        let segments = elf.program_headers(endian, bytes).expect("segments");
        let entry = elf.e_entry(endian);
        let holds = |s: &&ProgramHeader64<Endianness>| {
            let inside = entry.wrapping_sub(s.p_vaddr(endian)) < s.p_memsz(endian);
            s.p_type(endian) == PT_LOAD && inside
        };
        let text = segments.iter().find(holds).expect("code");
        let at = (elf.e_entry(endian) - text.p_vaddr(endian) + text.p_offset(endian)) as usize;
        assert_eq!(code[..], bytes[at..at + 16]);
    }
}
