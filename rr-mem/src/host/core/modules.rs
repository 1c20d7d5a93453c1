//! The ELF files that a process had loaded. They are found by the names in its
//! core, and checked against the bytes of them that the core holds.
//!
//! Their bytes replace what the core leaves out, but only read-only segments:
//! relocated data is in the core or nowhere. Not here: code that was relocated
//! in place (DT_TEXTREL).

use std::{collections::HashMap, path::Path};

use object::{
    Endianness,
    elf::{FileHeader64, NT_GNU_BUILD_ID, PF_W, PT_LOAD, ProgramHeader64},
    read::elf::{FileHeader, ProgramHeader},
};

use super::{
    CoreError,
    elf::{Contents, FileRange, Segment},
    memory::FileRun,
};
use crate::{
    host::{
        Module,
        module::{DELETED, HEAD, bias},
    },
    memory::MappedFile,
};

const UNCHECKED: &str = "the core holds nothing to compare it with";
const MAGIC: &[u8] = b"\x7fELF";
/// Bytes at the start of a file in which its build-id is looked for.
const FIRST_PAGE: usize = 4096;
/// More files are not opened.
const MODULE_LIMIT: usize = 4096;

/// A file from outside the core: given by the user or found by its path.
pub(super) type Opener<'a> = &'a dyn Fn(&Path) -> Option<MappedFile>;

/// The modules of a core, and what went wrong.
pub(super) struct Modules {
    /// The executable first.
    pub list: Vec<Module>,
    /// The core, then the files that pieces are in.
    pub files: Vec<MappedFile>,
    pub pieces: Vec<FileRun>,
    /// Why the executable's file is not there.
    pub without_executable: Option<String>,
    pub remarks: Vec<String>,
    /// Libraries that nothing in the core could be compared with.
    unchecked: usize,
}

/// The ranges of a core's file that bear one name.
struct Candidate<'a> {
    path: &'a str,
    ranges: Vec<&'a FileRange>,
    /// The first bytes, when the core holds them.
    head: Option<&'a [u8]>,
    main: bool,
}

impl Modules {
    /// `given` are files that the user named.
    pub fn find(
        contents: &Contents,
        core: &MappedFile,
        given: &[MappedFile],
        open: Opener<'_>,
    ) -> Result<Self, CoreError> {
        let mut modules = Self {
            list: Vec::new(),
            files: vec![core.clone()],
            pieces: Vec::new(),
            without_executable: None,
            remarks: Vec::new(),
            unchecked: 0,
        };
        let candidates = candidates(contents, core.bytes());
        let main = candidates.first().filter(|candidate| candidate.main);
        for file in given {
            let own = candidates.iter().any(|candidate| candidate.is(file.bytes()));
            if !own {
                modules.add_unnamed(contents, main, file)?;
            }
        }
        let known = !modules.list.is_empty();
        let left = candidates.iter().filter(|candidate| !(candidate.main && known));
        for candidate in left.take(MODULE_LIMIT) {
            let own = given.iter().find(|file| candidate.is(file.bytes()));
            let file = own.cloned().or_else(|| modules.look(candidate, open));
            modules.add(candidate, file);
        }
        if modules.unchecked > 0 {
            let text =
                format!("{} libraries are taken by their names: {UNCHECKED}", modules.unchecked);
            modules.remarks.push(text);
        }
        Ok(modules)
    }

    /// The file at the candidate's path, if it is the one that was mapped.
    fn look(&mut self, candidate: &Candidate<'_>, open: Opener<'_>) -> Option<MappedFile> {
        let path = candidate.path.trim_end_matches(DELETED);
        // Another file may have its name now, and nothing would tell.
        let replaced = path != candidate.path && candidate.head.is_none();
        let there = path.starts_with('/') && !replaced;
        let file = there.then(|| open(Path::new(path))).flatten();
        let problem = match &file {
            None => "could not be found",
            Some(file) if candidate.head.is_some() && !candidate.is(file.bytes()) => {
                "is not the one that ran: another one has its name"
            }
            Some(_) => {
                let file = file.filter(|file| file.bytes().starts_with(MAGIC));
                if candidate.main && candidate.head.is_none() {
                    self.remarks.push(format!("{path} is taken for the executable: {UNCHECKED}"));
                } else if candidate.head.is_none() && file.is_some() {
                    self.unchecked += 1;
                }
                return file;
            }
        };
        if candidate.main {
            self.without_executable = Some(format!("its executable {path:?} {problem}"));
        }
        None
    }

    fn add(&mut self, candidate: &Candidate<'_>, file: Option<MappedFile>) {
        let Some(first) = candidate.ranges.iter().find(|range| range.offset == 0) else { return };
        let bias = match &file {
            Some(file) => bias(file.bytes(), first.start, 0),
            // What else is mapped without being there is no module.
            None => (candidate.main || candidate.head.is_some()).then_some(first.start),
        };
        let Some(bias) = bias else { return };
        if let Some(file) = &file {
            let fixed = fixed(file.bytes(), bias, self.files.len());
            let mapped =
                |range: &&FileRange| fixed.iter().filter_map(|p| range.part(p)).collect::<Vec<_>>();
            self.pieces.extend(candidate.ranges.iter().flat_map(mapped));
            self.files.push(file.clone());
        }
        let path = candidate.path.trim_end_matches(DELETED).into();
        self.list.push(Module { path, bias, file });
    }

    /// A given file that no name in the core matches.
    fn add_unnamed(
        &mut self,
        contents: &Contents,
        main: Option<&Candidate<'_>>,
        file: &MappedFile,
    ) -> Result<(), CoreError> {
        let bias = match main.and_then(|main| main.head) {
            Some(head) => {
                let id = |bytes| build_id(bytes).unwrap_or_else(|| "unknown".into());
                return Err(CoreError::Executable { core: id(head), file: id(file.bytes()) });
            }
            None => self.search(contents, file).or_else(|| self.assume(contents, file)),
        };
        let bias = bias.ok_or(CoreError::NoBase)?;
        self.pieces.extend(fixed(file.bytes(), bias, self.files.len()));
        self.files.push(file.clone());
        let path = main.map_or("the file given", |main| main.path).into();
        self.list.push(Module { path, bias, file: Some(file.clone()) });
        Ok(())
    }

    /// Where a core without names holds what `file` begins with.
    fn search(&self, contents: &Contents, file: &MappedFile) -> Option<u64> {
        let core = self.files.first()?.bytes();
        let mut starts = contents.segments.iter().map(|segment| segment.start);
        let start = starts.find(|&start| is(head(contents, core, start), file.bytes()))?;
        bias(file.bytes(), start, 0)
    }

    /// Where the executable was, if `file` is the executable.
    fn assume(&mut self, contents: &Contents, file: &MappedFile) -> Option<u64> {
        let [_, at] = contents.executable;
        let bias = at?.wrapping_sub(entry(file.bytes())?);
        self.remarks.push(format!("the file given is taken for the executable: {UNCHECKED}"));
        self.list.is_empty().then_some(bias)
    }
}

impl FileRange {
    /// What of a file's piece is mapped here.
    fn part(&self, piece: &FileRun) -> Option<FileRun> {
        let apart = piece.start.wrapping_sub(self.start);
        let same = apart == piece.offset.wrapping_sub(self.offset);
        same.then(|| piece.clip(self.start, self.start.saturating_add(self.len))).flatten()
    }
}

impl Candidate<'_> {
    fn is(&self, file: &[u8]) -> bool {
        is(self.head, file)
    }
}

/// Whether a file begins as the mapped one does in the core.
fn is(head: Option<&[u8]>, file: &[u8]) -> bool {
    let Some(head) = head.filter(|head| head.starts_with(MAGIC)) else { return false };
    let same_id = || build_id(head).is_none_or(|id| build_id(file) == Some(id));
    file.get(..HEAD) == head.get(..HEAD) && same_id()
}

/// One for each name, the executable first.
fn candidates<'a>(contents: &'a Contents, core: &'a [u8]) -> Vec<Candidate<'a>> {
    let mut places: HashMap<&str, usize> = HashMap::new();
    let mut found: Vec<Candidate<'a>> = Vec::new();
    for range in &contents.files {
        let place = *places.entry(&range.path).or_insert(found.len());
        if place == found.len() {
            found.push(Candidate {
                path: &range.path,
                ranges: Vec::new(),
                head: None,
                main: false,
            });
        }
        found[place].ranges.push(range);
    }
    for candidate in &mut found {
        let first = candidate.ranges.iter().find(|range| range.offset == 0);
        candidate.head = first.and_then(|first| head(contents, core, first.start));
        candidate.main = candidate.ranges.iter().any(|range| holds_executable(contents, range));
    }
    found.retain(|candidate| candidate.head.is_none_or(|head| head.starts_with(MAGIC)));
    found.sort_by_key(|candidate| !candidate.main);
    found
}

fn holds_executable(contents: &Contents, range: &FileRange) -> bool {
    let inside = |address: &u64| address.wrapping_sub(range.start) < range.len;
    contents.executable.iter().flatten().any(inside)
}

/// What the core holds of the page at the address.
fn head<'a>(contents: &Contents, core: &'a [u8], address: u64) -> Option<&'a [u8]> {
    let after = contents.segments.partition_point(|segment| segment.start <= address);
    let Segment { start, held, offset, .. } = contents.segments[..after].last()?;
    let inside = address - start;
    let from = usize::try_from(offset.checked_add(inside)?).ok()?;
    let held = held.checked_sub(inside).filter(|held| *held >= HEAD as u64)?;
    let len = held.min(FIRST_PAGE as u64) as usize;
    core.get(from..from.checked_add(len)?)
}

/// The build-id in hex, if it is in `bytes`, the first ones of a file.
fn build_id(bytes: &[u8]) -> Option<String> {
    let header = FileHeader64::<Endianness>::parse(bytes).ok()?;
    let endian = header.endian().ok()?;
    let segments = header.program_headers(endian, bytes).ok()?;
    let mut notes = segments.iter().filter_map(|segment| segment.notes(endian, bytes).ok()?);
    notes.find_map(|mut notes| {
        while let Some(note) = notes.next().ok()? {
            if note.name() == b"GNU" && note.n_type(endian) == NT_GNU_BUILD_ID {
                return Some(crate::bits::hex_digits(note.desc()));
            }
        }
        None
    })
}

fn entry(file: &[u8]) -> Option<u64> {
    let header = FileHeader64::<Endianness>::parse(file).ok()?;
    Some(header.e_entry(header.endian().ok()?))
}

/// The parts that the process cannot have changed, of file number `file`,
/// loaded at `bias`.
fn fixed(bytes: &[u8], bias: u64, file: usize) -> Vec<FileRun> {
    let Ok(header) = FileHeader64::<Endianness>::parse(bytes) else { return Vec::new() };
    let Ok(endian) = header.endian() else { return Vec::new() };
    let segments = header.program_headers(endian, bytes).unwrap_or_default();
    let unwritten = |segment: &&ProgramHeader64<Endianness>| {
        segment.p_type(endian) == PT_LOAD && segment.p_flags(endian) & PF_W != PF_W
    };
    let piece = |segment: &ProgramHeader64<Endianness>| {
        let (offset, len) = segment.file_range(endian);
        FileRun { start: bias.wrapping_add(segment.p_vaddr(endian)), len, file, offset }
    };
    segments.iter().filter(unwritten).map(piece).collect()
}
