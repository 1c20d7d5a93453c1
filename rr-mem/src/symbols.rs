//! Names for a guest kernel's addresses: the symbols of its ELF file (vmlinux)
//! or its System.map, and how far the kernel has moved them (KASLR). The form
//! of System.map is that of nm(1): address, kind, name.
//!
//! Not here: modules, and the emulator's own symbols.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use object::{Object, ObjectSymbol, SymbolKind, read::File};
use thiserror::Error;

use crate::{
    addr::Gva,
    advice::{Advice, Part, Setting},
    guest::Guest,
    memory::{MappedFile, Memory},
    mmu::{Mapping, Merge, SpaceLimits},
};

/// What every Linux has at `linux_banner`.
const BANNER: &[u8] = b"Linux version ";
/// Where a kernel begins.
const STARTS: [&str; 2] = ["_text", "_stext"];
/// Runs of mappings that are tried as its beginning.
const MOST_RUNS: usize = 1 << 16;
/// Behind the last symbol nothing is named that is further away.
const MOST_BEHIND: u64 = 1 << 20;
/// A file that is larger is no kernel's: 4 GB.
const MOST_BYTES: u64 = 1 << 32;

/// Symbols by address.
#[derive(Clone, Debug, Default)]
pub struct Symbols {
    /// Sorted by address; of several at one address, the first is named.
    sorted: Vec<(u64, Box<str>)>,
    /// What is added to every address.
    offset: u64,
}

/// Why there are no symbols, or no offset.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SymbolsError {
    /// The file cannot be read.
    #[error("{path}: {source}", path = .path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file holds none.
    #[error("{path} holds no symbols: {why}", path = .path.display())]
    None {
        /// The file.
        path: PathBuf,
        /// What was found instead.
        why: String,
    },
    /// Where the kernel is was not found.
    #[error("how far the kernel has moved cannot be found: {0}")]
    Offset(String),
}

crate::advice::explain!(SymbolsError);

impl SymbolsError {
    /// A short stable name for scripts.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Open { .. } => "io",
            Self::None { .. } => "no_symbols",
            Self::Offset(_) => "no_offset",
        }
    }

    /// What the user can do about it.
    #[must_use]
    pub fn advice(&self) -> Advice {
        match self {
            Self::Open { .. } => Advice::Say("check the path"),
            Self::None { .. } => {
                Advice::Say("give a vmlinux with symbols, or the System.map of that kernel")
            }
            Self::Offset(_) => Advice::Parts(&[
                Part::Say("give "),
                Part::Name(Setting::SymbolsOffset),
                Part::Say(", or boot the guest with nokaslr"),
            ]),
        }
    }
}

impl Symbols {
    /// The symbols of a file, at the addresses that it gives them.
    ///
    /// # Errors
    /// When it cannot be read, or holds none.
    pub fn open(path: &Path) -> Result<Self, SymbolsError> {
        let failed = |source| SymbolsError::Open { path: path.into(), source };
        let none = |why: &str| SymbolsError::None { path: path.into(), why: why.into() };
        let about = fs::metadata(path).map_err(failed)?;
        if !about.is_file() || about.len() > MOST_BYTES {
            return Err(none("it is no regular file of a kernel's size"));
        }
        Self::of(MappedFile::open(path).map_err(failed)?.bytes(), path)
    }

    /// The same, of a file's bytes; `path` is named in errors.
    ///
    /// # Errors
    /// When it holds none.
    pub fn of(bytes: &[u8], path: &Path) -> Result<Self, SymbolsError> {
        let none = |why: &str| SymbolsError::None { path: path.into(), why: why.into() };
        let found = match bytes.starts_with(b"\x7fELF") {
            true => elf(bytes).map_err(|error| none(&error.to_string()))?,
            false => map(bytes),
        };
        let symbols = Self::new(found);
        if symbols.sorted.is_empty() {
            Err(none("neither ELF nor lines of nm"))
        } else {
            Ok(symbols)
        }
    }

    fn new(mut sorted: Vec<(u64, Box<str>)>) -> Self {
        sorted.sort_by_key(|(address, _)| *address);
        Self { sorted, offset: 0 }
    }

    /// The same, each `offset` bytes further up.
    #[must_use]
    pub fn moved(self, offset: u64) -> Self {
        Self { offset, ..self }
    }

    /// How far up they are.
    #[must_use]
    pub const fn offset(&self) -> u64 {
        self.offset
    }

    /// The symbol that `gva` is at or behind, and how many bytes behind.
    #[must_use]
    pub fn at(&self, gva: Gva) -> Option<(&str, u64)> {
        let address = gva.0.wrapping_sub(self.offset);
        let after = self.sorted.partition_point(|(start, _)| *start <= address);
        let start = self.sorted.get(after.checked_sub(1)?)?.0;
        if after == self.sorted.len() && address - start > MOST_BEHIND {
            return None;
        }
        let first = self.sorted.partition_point(|(other, _)| *other < start);
        Some((&self.sorted[first].1, address - start))
    }

    /// `name+0x10`, as debuggers write it.
    #[must_use]
    pub fn name(&self, gva: Gva) -> Option<String> {
        self.at(gva).map(|(name, behind)| match behind {
            0 => name.to_owned(),
            _ => format!("{name}+{behind:#x}"),
        })
    }

    /// Where the symbol of this name is.
    #[must_use]
    pub fn address(&self, name: &str) -> Option<Gva> {
        let found = self.sorted.iter().find(|(_, other)| **other == *name);
        found.map(|(address, _)| Gva(address.wrapping_add(self.offset)))
    }

    /// The same, moved to where the guest's kernel is. The tables and the text
    /// at `linux_banner`, which every Linux has, tell where that is.
    ///
    /// # Errors
    /// When the symbols are not a Linux kernel's, or it is nowhere.
    pub fn in_guest<M: Memory>(self, guest: &Guest<M>) -> Result<Self, SymbolsError> {
        let fail = |why: &str| SymbolsError::Offset(why.into());
        let plain = self.moved(0);
        let banner = plain.address("linux_banner").ok_or(fail("there is no linux_banner"))?;
        let fits = |offset: &u64| {
            let mut bytes = [0; BANNER.len()];
            let there = Gva(banner.0.wrapping_add(*offset));
            guest.read_virtual(there, &mut bytes).is_ok() && bytes == BANNER
        };
        if fits(&0) {
            return Ok(plain);
        }
        let range = Gva(0)..=Gva(u64::MAX);
        let space = guest.space(range, SpaceLimits::default());
        let space = space.map_err(|missing| fail(&missing.to_string()))?;
        let starts: Vec<Gva> = STARTS.iter().filter_map(|name| plain.address(name)).collect();
        // The kernel may be mapped once more among all of memory, not as code.
        let code = |run: &Mapping| run.rights.kernel.x && !run.rights.user.r;
        let runs = space.mappings(Merge::Rights).filter(code).take(MOST_RUNS);
        let offsets = runs.flat_map(|run| {
            starts.iter().map(move |start| run.gva.0.wrapping_sub(start.0)).collect::<Vec<_>>()
        });
        let found = offsets.into_iter().find(fits);
        found.map(|offset| plain.moved(offset)).ok_or(fail("no mapping begins with this kernel"))
    }
}

/// Functions and data; what is relative to a CPU or to nothing has no address.
fn elf(bytes: &[u8]) -> object::Result<Vec<(u64, Box<str>)>> {
    let file = File::parse(bytes)?;
    let named = |symbol: &object::Symbol<'_, '_>| {
        let kind = symbol.kind();
        let counts = !matches!(kind, SymbolKind::File | SymbolKind::Section | SymbolKind::Tls);
        counts && symbol.is_definition() && symbol.section_index().is_some()
    };
    let symbols = file.symbols().filter(named);
    let row = |symbol: object::Symbol<'_, '_>| {
        let name = symbol.name().ok().filter(|name| !name.is_empty())?;
        Some((symbol.address(), name.into()))
    };
    Ok(symbols.filter_map(row).collect())
}

fn map(bytes: &[u8]) -> Vec<(u64, Box<str>)> {
    bytes.split(|byte| *byte == b'\n').filter_map(line).collect()
}

/// `ffffffff81000000 T _text`; also the `[module]` that /proc/kallsyms adds.
fn line(bytes: &[u8]) -> Option<(u64, Box<str>)> {
    let mut words = std::str::from_utf8(bytes).ok()?.split_ascii_whitespace();
    let address = u64::from_str_radix(words.next()?, 16).ok()?;
    let kind = words.next().filter(|kind| kind.len() == 1)?;
    let absolute = matches!(kind, "a" | "A" | "U" | "?");
    Some((address, words.next()?.into())).filter(|_| !absolute)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    const MAP: &[u8] = b"0000000000000000 A fixed_percpu_data\nffffffff81000000 T _text\n\
        ffffffff81000000 T _stext\nffffffff81000040 t helper\nnonsense\nffffffff82000000 D data\n";

    #[test]
    fn an_address_is_named_by_the_symbol_before_it() {
        let symbols = Symbols::new(map(MAP));
        let name = |gva| symbols.name(Gva(gva));
        assert_eq!(name(0xffff_ffff_8100_0000).as_deref(), Some("_text"));
        assert_eq!(name(0xffff_ffff_8100_003f).as_deref(), Some("_text+0x3f"));
        assert_eq!(name(0xffff_ffff_8100_0048).as_deref(), Some("helper+0x8"));
        assert_eq!(name(0xffff_ffff_8200_0000).as_deref(), Some("data"));
        assert_eq!((name(0x1000), name(0xffff_ffff_8300_0000)), (None, None));
    }

    #[test]
    fn moved_symbols_are_found_where_they_are() {
        let symbols = Symbols::new(map(MAP)).moved(0x1000);
        assert_eq!(symbols.address("helper"), Some(Gva(0xffff_ffff_8100_1040)));
        assert_eq!(symbols.at(Gva(0xffff_ffff_8100_1041)), Some(("helper", 1)));
        assert_eq!(symbols.at(Gva(0xffff_ffff_8100_0040)), None);
    }

    #[test]
    fn what_is_no_table_of_symbols_is_refused() {
        let open = |path: &str| Symbols::open(Path::new(path)).map_err(|error| error.kind());
        assert_eq!(open("/nowhere").err(), Some("io"));
        assert_eq!(open("/dev/zero").err(), Some("no_symbols"));
        assert_eq!(open("/proc/self/exe").err(), None);
    }

    #[test]
    fn a_kernel_that_is_elsewhere_is_not_guessed() {
        let image = sample::open().expect("is built in");
        let cpu = image.cpus.first().copied();
        let guest = Guest::new(Some(image.memory), cpu, image.regions).expect("a guest");
        let other =
            Symbols::new(map(b"ffffffff81000000 T _text\nffffffff81000008 D linux_banner\n"));
        let kind = |symbols: Symbols| symbols.in_guest(&guest).map_err(|error| error.kind()).err();
        assert_eq!(kind(other), Some("no_offset"));
        assert_eq!(kind(Symbols::new(map(MAP))), Some("no_offset"));
    }
}
