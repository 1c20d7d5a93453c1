//! A host made from parts: its memory, the text of its memory map, and files
//! that may be its modules. A debugger's inferior comes in this way.

use std::{
    fs::File,
    path::{Path, PathBuf},
};

use thiserror::Error;

use super::{
    Areas, Host, Module, Thread,
    maps::{self, HostMapping},
    module::{DELETED, HEAD, bias},
};
use crate::{
    addr::Hva,
    advice::Advice,
    memory::{MappedFile, Memory},
};

/// A process known by its parts.
#[derive(Debug)]
pub struct Given<M> {
    memory: M,
    areas: Areas,
    complete: bool,
    modules: Vec<Module>,
}

/// Why parts make no host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum GivenError {
    /// No line of the text is one of a memory map.
    #[error("the text given is no memory map: none of its lines is a mapping")]
    NoMap,
}

crate::advice::explain!(GivenError);

impl GivenError {
    /// A short stable name for scripts.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        "no_map"
    }

    /// What the user can do about it.
    #[must_use]
    pub fn advice(&self) -> Advice {
        Advice::Say("give the text of /proc/PID/maps, or of gdb's `info proc mappings`")
    }
}

impl<M: Memory<Hva>> Given<M> {
    /// The process that has `memory` and is mapped as `map` says, the text of
    /// `/proc/PID/maps` or of gdb's `info proc mappings`; `complete` says that
    /// nothing else is mapped.
    ///
    /// Modules are the ELF files that the map names. Each is looked for at its
    /// path and among `files`, and must begin as the memory does.
    ///
    /// # Errors
    /// When the text is no memory map.
    pub fn new(
        memory: M,
        map: &[u8],
        files: &[PathBuf],
        complete: bool,
    ) -> Result<Self, GivenError> {
        let mappings = maps::parse(map);
        if mappings.is_empty() {
            return Err(GivenError::NoMap);
        }
        let modules = modules(&memory, &mappings, files);
        let areas = mappings.into_iter().map(|mapping| mapping.area).collect();
        Ok(Self { memory, areas, complete, modules })
    }
}

impl<M: Memory<Hva>> Host for Given<M> {
    type Memory = M;

    fn memory(&self) -> &M {
        &self.memory
    }

    fn areas(&self) -> &Areas {
        &self.areas
    }

    fn knows_all_areas(&self) -> bool {
        self.complete
    }

    fn modules(&self) -> &[Module] {
        &self.modules
    }

    /// Not known.
    fn threads(&self) -> &[Thread] {
        &[]
    }
}

/// The files that are loaded, as modules where they are.
fn modules<M: Memory<Hva>>(memory: &M, mappings: &[HostMapping], files: &[PathBuf]) -> Vec<Module> {
    let given: Vec<_> =
        files.iter().filter_map(|path| Some((path.as_path(), open(path)?))).collect();
    let loaded = maps::loaded(mappings).into_iter();
    loaded.filter_map(|mapping| module(memory, mapping, &given)).collect()
}

fn module<M: Memory<Hva>>(
    memory: &M,
    mapping: &HostMapping,
    given: &[(&Path, MappedFile)],
) -> Option<Module> {
    let path = Path::new(mapping.name().trim_end_matches(DELETED));
    let head = head(memory, mapping);
    if head.as_ref().is_some_and(|head| !head.starts_with(b"\x7fELF")) {
        return None;
    }
    let file = match &head {
        Some(head) => same(path, head, given),
        None => by_name(path, given),
    };
    let (start, offset) = (mapping.area.start.0, mapping.offset);
    let bias = match &file {
        Some(file) => bias(file.bytes(), start, offset)?,
        None => start.wrapping_sub(offset),
    };
    Some(Module { path: path.to_owned(), bias, file })
}

/// The first bytes of the file as the process has them.
fn head<M: Memory<Hva>>(memory: &M, mapping: &HostMapping) -> Option<[u8; HEAD]> {
    let mut head = [0; HEAD];
    (mapping.offset == 0).then_some(())?;
    memory.read(mapping.area.start, &mut head).ok()?;
    Some(head)
}

/// The file that begins with `head`.
fn same(path: &Path, head: &[u8], given: &[(&Path, MappedFile)]) -> Option<MappedFile> {
    let begins = |file: &MappedFile| file.bytes().starts_with(head);
    let given = given.iter().map(|(_, file)| file).find(|file| begins(file)).cloned();
    given.or_else(|| open(path).filter(begins))
}

/// For files that only their names tell apart.
fn by_name(path: &Path, given: &[(&Path, MappedFile)]) -> Option<MappedFile> {
    let named = given.iter().find(|(other, _)| other.file_name() == path.file_name());
    named.map(|(_, file)| file.clone()).or_else(|| open(path))
}

fn open(path: &Path) -> Option<MappedFile> {
    File::open(path).ok().and_then(|file| MappedFile::map(&file).ok())
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        io::{Read, Write},
        process::{Child, Command, Stdio},
    };

    use super::*;
    use crate::host::process::{Process, ProcessMemory};

    /// A program that has loaded everything and waits.
    fn child() -> Child {
        let mut command = Command::new("cat");
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("there is a cat");
        let (input, output) = (child.stdin.as_mut(), child.stdout.as_mut());
        input.expect("a pipe").write_all(b".").expect("it reads");
        output.expect("a pipe").read_exact(&mut [0]).expect("it writes");
        child
    }

    /// The child as a process, and by its parts.
    fn both(files: &[PathBuf]) -> (Process, Given<ProcessMemory>) {
        let mut child = child();
        let process = Process::open(child.id()).expect("it runs");
        let map = fs::read(format!("/proc/{}/maps", child.id())).expect("there is /proc");
        let given = Given::new(process.memory().clone(), &map, files, true).expect("a map");
        child.kill().and_then(|()| child.wait()).expect("it ran");
        (process, given)
    }

    #[test]
    fn a_host_of_given_parts_has_the_modules_of_the_process() {
        let (process, given) = both(&[]);
        assert!(process.modules().len() >= 3);
        for module in process.modules() {
            let mut same = given.modules().iter().filter(|other| other.path == module.path);
            let found = same.next().map(|other| (other.bias, other.file.is_some()));
            assert_eq!(found, Some((module.bias, true)), "{}", module.path.display());
        }
    }

    #[test]
    fn another_file_than_the_one_in_memory_is_not_taken() {
        let (process, given) = both(&["/proc/self/exe".into(), "/proc/self/maps".into()]);
        let main = &process.modules()[0];
        let own = given.modules().iter().find(|module| module.path == main.path);
        let bytes = own.and_then(|own| own.file.as_ref()).map(|file| file.bytes().len());
        assert_eq!(bytes, main.file.as_ref().map(|file| file.bytes().len()));
    }

    #[test]
    fn text_that_is_no_map_is_refused() {
        let memory = crate::memory::SliceMemory::new(Hva(0), b"");
        let refused = Given::new(memory, b"No current process", &[], true).map(drop);
        assert_eq!(refused, Err(GivenError::NoMap));
    }
}
