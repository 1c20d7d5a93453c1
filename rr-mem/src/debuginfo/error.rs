//! Why no layout could be read.

use crate::advice::{Advice, Part, Setting};
use std::path::PathBuf;

use thiserror::Error;

/// Why no layout could be read from debug info.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DebugError {
    /// A file cannot be opened.
    #[error("{}: {what}", .path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// The operating system's words.
        what: String,
    },
    /// A file is no ELF file, or its DWARF is damaged.
    #[error("{}: {what}", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        what: String,
    },
    /// Neither the file has DWARF nor is there a debug file of it.
    #[error("{} has no debug info{}", .path.display(), list(.tried))]
    Nothing {
        /// The file.
        path: PathBuf,
        /// Where a debug file of it could have been, and why it was none.
        tried: Vec<String>,
    },
    /// The debug file that was given belongs to another build.
    #[error(
        "{} is no debug file of {}: its build-id is {found}, not {wanted}",
        .path.display(), .of.display()
    )]
    BuildId {
        /// The debug file.
        path: PathBuf,
        /// Its build-id.
        found: String,
        /// The program.
        of: PathBuf,
        /// The program's build-id.
        wanted: String,
    },
    /// dwz moved parts of the DWARF to a file that is not there.
    #[error(
        "{} needs the supplementary file {name} (build-id {id}), which was not found{}",
        .path.display(), list(.tried)
    )]
    Supplementary {
        /// The debug file.
        path: PathBuf,
        /// The path that it names.
        name: String,
        /// The build-id that it names.
        id: String,
        /// Where it could have been.
        tried: Vec<String>,
    },
    /// The DWARF is split off.
    #[error("the types of {} are in {dwo} and other .dwo files, which are not read", .path.display())]
    Split {
        /// The file.
        path: PathBuf,
        /// A file of them.
        dwo: String,
    },
    /// An object file that has still to be linked.
    #[error("{} is not linked: its debug info has no addresses yet", .path.display())]
    Relocatable {
        /// The file.
        path: PathBuf,
    },
    /// None of the structs is there.
    #[error("the debug info of {} has none of the structs that are looked for", .path.display())]
    NoStructs {
        /// The file.
        path: PathBuf,
    },
    /// No compilation unit has the name that was asked for.
    #[error("no unit of {} is called {unit:?}", .path.display())]
    NoUnit {
        /// The file.
        path: PathBuf,
        /// What was asked for.
        unit: String,
    },
    /// Units disagree on a struct.
    #[error(
        "{} defines struct {name} in several ways: in {first} and in {second}, which differ in {difference}",
        .path.display()
    )]
    Conflict {
        /// The file.
        path: PathBuf,
        /// The struct.
        name: String,
        /// A unit that defines it.
        first: String,
        /// A unit that defines it otherwise.
        second: String,
        /// A member that differs, or its size.
        difference: String,
    },
}

fn list(tried: &[String]) -> String {
    match tried {
        [] => String::new(),
        tried => format!(" (looked for {})", tried.join(", ")),
    }
}

crate::advice::explain!(DebugError);

impl DebugError {
    /// A short stable name for scripts.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Open { .. } => "io",
            Self::Damaged { .. } => "damaged",
            Self::Nothing { .. } => "no_debug_info",
            Self::BuildId { .. } => "build_id",
            Self::Supplementary { .. } => "no_supplementary_file",
            Self::Split { .. } => "split_dwarf",
            Self::Relocatable { .. } => "relocatable",
            Self::NoStructs { .. } => "no_structs",
            Self::NoUnit { .. } => "no_unit",
            Self::Conflict { .. } => "conflict",
        }
    }

    /// What the user can do about it.
    #[must_use]
    pub fn advice(&self) -> Advice {
        match self {
            Self::Open { .. } => Advice::Say("check the path and the rights"),
            Self::Damaged { .. } => Advice::Parts(&[
                Part::Say("it must be a whole ELF file; give another with "),
                Part::Name(Setting::DebugFile),
            ]),
            Self::Nothing { .. } => Advice::Parts(&[
                Part::Say(
                    "install the package with its debug symbols (Debian: -dbgsym), or give the file with ",
                ),
                Part::Name(Setting::DebugFile),
            ]),
            Self::BuildId { .. } => {
                Advice::Say("take the debug file of the very same build, version and architecture")
            }
            Self::Supplementary { .. } => Advice::Say(
                "install the whole package with the debug symbols; the file is in /usr/lib/debug/.dwz",
            ),
            Self::Split { .. } => Advice::Say("build it without -gsplit-dwarf"),
            Self::Relocatable { .. } => {
                Advice::Say("give the program or library that it is linked into")
            }
            Self::NoStructs { .. } => Advice::Say(
                "give the module that holds the emulator: an executable, or a library such as libpanda-x86_64.so",
            ),
            Self::NoUnit { .. } => Advice::Parts(&[
                Part::Say("a part of a source file's path will do: "),
                Part::Name(Setting::Unit),
                Part::Say(", such as target/arm"),
            ]),
            Self::Conflict { .. } => Advice::Parts(&[
                Part::Say("choose whose definition counts with "),
                Part::Name(Setting::Unit),
                Part::Say(" of `rr-mem layout ELF`, and give the result with "),
                Part::Name(Setting::Layout),
            ]),
        }
    }
}
