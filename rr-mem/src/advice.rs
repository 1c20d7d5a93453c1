//! What the user can do about an error or a remark, as data. A library names no
//! flag: each face (command line, Python, gdb) has its own name for a [`Setting`]
//! and words the advice with it.

use std::fmt;

/// Something that a user can give, whatever the face calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Setting {
    /// A register of the CPU, by its keyword.
    Register(&'static str),
    /// The registers that hold bases of tables, and what chooses their format.
    Registers,
    /// The architecture.
    Arch,
    /// A file with guest memory.
    Image,
    /// Where raw RAM begins.
    RamBase,
    /// The machine type of a stream.
    Machine,
    /// The snapshot of a disk image.
    Snapshot,
    /// The text of the monitor's `info mtree -f`.
    RegionMap,
    /// A running emulator.
    Process,
    /// An emulator's core.
    Core,
    /// The files that left a core.
    Executable,
    /// That the emulator stands still meanwhile.
    Freeze,
    /// Struct offsets.
    Layout,
    /// A file of debug info.
    DebugFile,
    /// The unit whose definition of a struct counts.
    Unit,
    /// The recorder to run.
    Rr,
    /// How far a kernel's symbols have moved.
    SymbolsOffset,
}

/// A part of a sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Part {
    /// Words that are the same everywhere.
    Say(&'static str),
    /// The face's name of a setting.
    Name(Setting),
}

/// What the user can do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Advice {
    /// Nothing is known that helps.
    #[default]
    Nothing,
    /// A sentence that is the same everywhere.
    Say(&'static str),
    /// A sentence made from what was found.
    Told(String),
    /// Give this.
    Give(Setting),
    /// A sentence with settings in it.
    Parts(&'static [Part]),
}

/// A face: who words advice.
pub trait Face {
    /// What the user calls a setting here, such as `--cr3`.
    fn name(&self, setting: Setting) -> String;
}

impl Advice {
    /// The sentence, in a face's words; empty if there is none.
    #[must_use]
    pub fn words(&self, face: &dyn Face) -> String {
        let part = |part: &Part| match part {
            Part::Say(text) => (*text).to_owned(),
            Part::Name(setting) => face.name(*setting),
        };
        match self {
            Self::Nothing => String::new(),
            Self::Say(text) => (*text).to_owned(),
            Self::Told(text) => text.clone(),
            Self::Give(setting) => format!("give {}", face.name(*setting)),
            Self::Parts(parts) => parts.iter().map(part).collect(),
        }
    }
}

/// An error that every face can show: a stable name, a sentence (its `Display`),
/// and what to do.
pub trait Explain: fmt::Display {
    /// A short stable name for scripts.
    fn kind(&self) -> &'static str;

    /// What the user can do about it.
    fn advice(&self) -> Advice;

    /// What is too long for the sentence: a line each, for who asks for more.
    fn details(&self) -> Vec<String> {
        Vec::new()
    }
}

/// Implements [`Explain`] for types that have `kind` and `advice` of their own.
macro_rules! explain {
    ($($error:ty),* $(,)?) => {$(
        impl $crate::advice::Explain for $error {
            fn kind(&self) -> &'static str {
                <$error>::kind(self)
            }

            fn advice(&self) -> $crate::advice::Advice {
                <$error>::advice(self)
            }
        }
    )*};
}
pub(crate) use explain;

/// The words for whoever uses the library itself.
#[derive(Clone, Copy, Debug)]
pub struct Library;

impl Face for Library {
    fn name(&self, setting: Setting) -> String {
        let words = match setting {
            Setting::Register(keyword) => return keyword.to_owned(),
            Setting::Registers => "CR3 (x86) or TTBR0/TTBR1 and TCR (ARM)",
            Setting::Arch => "the architecture",
            Setting::Image => "a file with guest memory",
            Setting::RamBase => "the base of raw RAM",
            Setting::Machine => "the machine type",
            Setting::Snapshot => "the snapshot's name",
            Setting::RegionMap => "the region map",
            Setting::Process => "the process number",
            Setting::Core => "the emulator's core",
            Setting::Executable => "the executable",
            Setting::Freeze => "freezing",
            Setting::Layout => "a layout",
            Setting::DebugFile => "a debug file",
            Setting::Unit => "the unit",
            Setting::Rr => "the recorder",
            Setting::SymbolsOffset => "the symbols' offset",
        };
        words.to_owned()
    }
}

impl fmt::Display for Advice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words(&Library))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Plain;

    impl Face for Plain {
        fn name(&self, setting: Setting) -> String {
            format!("<{setting:?}>")
        }
    }

    #[test]
    fn each_face_names_settings_in_its_own_words() {
        let advice = Advice::Parts(&[
            Part::Say("give "),
            Part::Name(Setting::Machine),
            Part::Say(", or wait"),
        ]);
        assert_eq!(advice.words(&Plain), "give <Machine>, or wait");
        assert_eq!(Advice::Give(Setting::Image).words(&Plain), "give <Image>");
        assert_eq!(Advice::Nothing.words(&Plain), "");
    }
}
