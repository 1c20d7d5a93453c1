//! What an ELF file says of its debug info: sections (also compressed ones),
//! the build-id, links to other files. System V ABI, "Sections"; for the GNU
//! notes and links, gdb's manual, "Separate Debug Files".
//!
//! Not here: what the sections hold, and where other files are.

use std::borrow::Cow;

use gimli::RunTimeEndian;
use object::{CompressionFormat, File, Object, ObjectKind, ObjectSection, ObjectSymbolTable as _};

/// Compressed sections that unpack to more are refused: 1 GB.
const MOST_UNPACKED: u64 = 1 << 30;
/// The most that zlib can make of a byte; of debug info nothing comes near it.
const MOST_RATIO: u64 = 1032;

/// An ELF file.
pub(super) struct Elf<'a> {
    file: File<'a>,
}

impl<'a> Elf<'a> {
    /// Reads the headers.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, String> {
        File::parse(bytes).map(|file| Self { file }).map_err(|error| error.to_string())
    }

    /// The build-id, if it has one.
    pub fn build_id(&self) -> Option<&'a [u8]> {
        self.file.build_id().ok().flatten().filter(|id| id.len() > 1)
    }

    /// The name of the debug file, and the CRC of its bytes.
    pub fn debug_link(&self) -> Option<(String, u32)> {
        let (name, crc) = self.file.gnu_debuglink().ok()??;
        Some((String::from_utf8_lossy(name).into_owned(), crc))
    }

    /// The path of the supplementary file that dwz made, and its build-id.
    pub fn supplementary(&self) -> Option<(String, &'a [u8])> {
        let (name, id) = self.file.gnu_debugaltlink().ok()??;
        Some((String::from_utf8_lossy(name).into_owned(), id))
    }

    /// Whether there is any DWARF; a stripped file's debug file names the
    /// sections of the program, without contents.
    pub fn has_dwarf(&self) -> bool {
        self.file.section_by_name(".debug_info").is_some_and(|section| {
            section.compressed_data().is_ok_and(|found| !found.data.is_empty())
        })
    }

    /// Whether there is a table of all symbols.
    pub fn has_symbols(&self) -> bool {
        self.file.symbol_table().is_some_and(|table| table.symbols().next().is_some())
    }

    /// Whether it still has to be linked: its sections hold no addresses yet.
    pub fn is_relocatable(&self) -> bool {
        self.file.kind() == ObjectKind::Relocatable
    }

    /// The architecture's name.
    pub fn host(&self) -> String {
        format!("{:?}", self.file.architecture()).to_lowercase()
    }

    pub fn endian(&self) -> RunTimeEndian {
        if self.file.is_little_endian() { RunTimeEndian::Little } else { RunTimeEndian::Big }
    }

    /// The contents of a section, unpacked; nothing of one that is not there.
    pub fn section(&self, name: &str) -> Result<Cow<'a, [u8]>, String> {
        let Some(section) = self.file.section_by_name(name) else { return Ok(Cow::default()) };
        let fail = |error: object::Error| format!("section {name}: {error}");
        let found = section.compressed_data().map_err(fail)?;
        let bound = MOST_UNPACKED.min(MOST_RATIO.saturating_mul(found.data.len() as u64));
        if found.format != CompressionFormat::None && found.uncompressed_size > bound {
            let size = found.uncompressed_size;
            return Err(format!("section {name}: it claims to unpack to {size} bytes"));
        }
        found.decompress().map_err(fail)
    }
}
