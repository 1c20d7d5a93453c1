//! What a program's files say of it: symbols, and where the members of its
//! structs are. Knows nothing of QEMU: which structs are wanted is told.

mod cache;
mod dwarf;
mod elf;
mod error;
mod files;
#[doc(hidden)]
pub mod jit;
mod layout;
mod member_list;
pub mod symbols;
#[cfg(test)]
pub(crate) mod synthetic;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

pub use cache::Cache;
pub use error::DebugError;
pub use layout::{Field, Layout, StructLayout};
pub use member_list::MemberList;

use crate::memory::MappedFile;
use cache::Key;
use elf::Elf;
use files::{Found, shown};

/// Where debug info of other files than the program itself may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DebugSearch {
    /// The debug file, when it is known; then no other is looked for.
    pub debug_file: Option<PathBuf>,
    /// Folders of debug files.
    pub folders: Vec<PathBuf>,
    /// Where layouts are kept.
    pub cache: Option<Cache>,
    /// Whose definition of a struct counts, when units disagree: a part of
    /// the name of a unit.
    pub unit: Option<String>,
}

impl Default for DebugSearch {
    /// `/usr/lib/debug` and the user's cache.
    fn default() -> Self {
        let folders = vec!["/usr/lib/debug".into()];
        Self { debug_file: None, folders, cache: Cache::of_user(), unit: None }
    }
}

/// A program or a library: its path, and its contents.
#[derive(Clone, Copy, Debug)]
pub struct Program<'a> {
    /// Where it is, for files beside it.
    pub path: &'a Path,
    /// The file.
    pub file: &'a MappedFile,
}

impl Program<'_> {
    /// The name of the architecture that it is for, if it is a program.
    #[must_use]
    pub fn host(&self) -> Option<String> {
        Some(Elf::parse(self.file.bytes()).ok()?.host())
    }
}

impl DebugSearch {
    /// The members `wanted` of the structs of `program`. Structs that it does
    /// not have are left out.
    ///
    /// # Errors
    /// When there is no debug info, or it is damaged, incomplete,
    /// contradictory, or of another build.
    pub fn layout(&self, program: Program<'_>, wanted: &MemberList) -> Result<Layout, DebugError> {
        let elf = parse(program.path, program.file)?;
        let given = self.given(program, &elf)?;
        // What was chosen by hand is not what the next one wants.
        let cache = self.cache.as_ref().filter(|_| self.unit.is_none());
        let key = elf.build_id().zip(program.file.identity());
        let key = key.map(|(build_id, file)| Key { build_id, file, wanted });
        let cache = cache.zip(key);
        if let Some(known) = cache.and_then(|(cache, key)| cache.get(key)) {
            return Ok(known);
        }
        let found = given.map_or_else(|| self.find(program, &elf), Ok)?;
        let layout = Layout { emulator: name(program.path), ..self.read(&found, wanted)? };
        if let Some((cache, key)) = cache {
            // A cache that cannot be written costs time, not the answer.
            let _ = cache.put(key, &layout);
        }
        Ok(layout)
    }

    /// The program's debug file, if it has one that holds its symbols.
    #[must_use]
    pub fn symbol_file(&self, program: Program<'_>) -> Option<MappedFile> {
        let elf = Elf::parse(program.file.bytes()).ok()?;
        let found = match self.given(program, &elf) {
            Ok(Some(given)) => given,
            _ => files::debug_file(program.path, &elf, &self.folders).ok()?,
        };
        Elf::parse(found.file.bytes()).ok()?.has_symbols().then_some(found.file)
    }

    /// Whether the debug file that is given, if any, is of `program`.
    ///
    /// # Errors
    /// When it cannot be read, or is of another build.
    pub fn check(&self, program: Program<'_>) -> Result<(), DebugError> {
        self.given(program, &parse(program.path, program.file)?).map(drop)
    }

    /// The debug file that was given, which must be of the same build.
    fn given(&self, program: Program<'_>, elf: &Elf<'_>) -> Result<Option<Found>, DebugError> {
        let Some(path) = &self.debug_file else { return Ok(None) };
        let file = files::given(path)?;
        let (found, wanted) = (parse(path, &file)?.build_id().map(<[u8]>::to_vec), elf.build_id());
        if found.as_deref() != wanted {
            return Err(DebugError::BuildId {
                path: path.clone(),
                found: shown(found.as_deref()),
                of: program.path.into(),
                wanted: shown(wanted),
            });
        }
        Ok(Some(Found { path: path.clone(), file }))
    }

    fn find(&self, program: Program<'_>, elf: &Elf<'_>) -> Result<Found, DebugError> {
        let path = program.path.to_owned();
        if elf.has_dwarf() {
            return Ok(Found { path, file: program.file.clone() });
        }
        files::debug_file(program.path, elf, &self.folders)
            .map_err(|tried| DebugError::Nothing { path, tried })
    }

    fn read(&self, found: &Found, wanted: &MemberList) -> Result<Layout, DebugError> {
        let path = found.path.clone();
        let elf = parse(&path, &found.file)?;
        if !elf.has_dwarf() {
            return Err(DebugError::Nothing { path, tried: Vec::new() });
        }
        if elf.is_relocatable() {
            return Err(DebugError::Relocatable { path });
        }
        let sup = files::supplementary(found, &self.folders)?;
        let read = read_dwarf(found, sup.as_ref(), wanted, self.unit.as_deref())?;
        self.judge(path, &elf, read)
    }

    /// Whether what was found will do.
    fn judge(
        &self,
        path: PathBuf,
        elf: &Elf<'_>,
        found: dwarf::Found,
    ) -> Result<Layout, DebugError> {
        if let (Some(unit), 0) = (&self.unit, found.chosen) {
            return Err(DebugError::NoUnit { path, unit: unit.clone() });
        }
        if let Some(dwarf::Conflict { name, units, difference }) = found.conflict {
            let [first, second] = units;
            return Err(DebugError::Conflict { path, name, first, second, difference });
        }
        match (found.structs.is_empty(), found.dwo) {
            (true, Some(dwo)) => return Err(DebugError::Split { path, dwo }),
            (true, None) => return Err(DebugError::NoStructs { path }),
            (false, _) => {}
        }
        let split = match found.split {
            0 => String::new(),
            count => format!(" (but {count} units are in .dwo files, which are not read)"),
        };
        let source = format!("the DWARF of {}{split}", path.display());
        Ok(Layout { emulator: String::new(), host: elf.host(), source, structs: found.structs })
    }
}

fn read_dwarf(
    main: &Found,
    sup: Option<&Found>,
    wanted: &MemberList,
    choice: Option<&str>,
) -> Result<dwarf::Found, DebugError> {
    let fail = |what| DebugError::Damaged { path: main.path.clone(), what };
    let sup = sup.map(sections).transpose()?;
    dwarf::read(&sections(main)?, sup.as_ref(), wanted, choice).map_err(fail)
}

fn sections(found: &Found) -> Result<dwarf::Sections<'_>, DebugError> {
    let fail = |what| DebugError::Damaged { path: found.path.clone(), what };
    dwarf::Sections::load(&parse(&found.path, &found.file)?).map_err(fail)
}

fn parse<'a>(path: &Path, file: &'a MappedFile) -> Result<Elf<'a>, DebugError> {
    let fail = |what| DebugError::Damaged { path: path.into(), what };
    Elf::parse(file.bytes()).map_err(fail)
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
