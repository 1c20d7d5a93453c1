//! Units of DWARF and what refers from one to another. DWARF 5, "Unit Headers",
//! "Attribute Types" (class reference), "Supplementary Object Files".
//!
//! Everything is bounded by the size of the file, whatever the file claims.

use std::{borrow::Cow, cell::OnceCell, collections::HashMap, sync::OnceLock};

use gimli::{
    Abbreviation, Abbreviations, AttributeValue, DebugAbbrev, DebugAbbrevOffset, DebugInfo,
    DebugStrOffsets, DebugStrOffsetsBase, DebugTypes, DebuggingInformationEntry, DwarfFileType,
    Encoding, EndianSlice, EntriesRaw, RunTimeEndian, UnitHeader, UnitOffset, UnitType,
};
use memchr::memchr;
use rayon::prelude::*;
use thiserror::Error;

use crate::debuginfo::elf::Elf;

pub(super) type Slice<'s> = EndianSlice<'s, RunTimeEndian>;
pub(super) type Entry<'s> = DebuggingInformationEntry<Slice<'s>, usize>;
pub(super) type Value<'s> = AttributeValue<Slice<'s>, usize>;
// The type of offsets is spelled out: taken from the reader it would make
// lifetimes invariant.
pub(super) type Header<'s> = UnitHeader<Slice<'s>, usize>;

/// Longer names are none of those that are looked for.
const NAME_LIMIT: usize = 1024;
/// No compiler writes entries of more attributes.
const ATTRIBUTE_LIMIT: usize = 256;

/// DWARF that cannot be.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(super) enum Broken {
    #[error("damaged DWARF: {0}")]
    Dwarf(#[from] gimli::Error),
    #[error("damaged DWARF: the type at {0} never ends")]
    Endless(Place),
    #[error("damaged DWARF: the entry at {0} refers to a type that is not there")]
    Dangling(Place),
    #[error("damaged DWARF: the place of the member at {0} is not known")]
    Location(Place),
    #[error("damaged DWARF: the size of the type at {0} is not known")]
    Size(Place),
    #[error("damaged DWARF: it has more members than any program")]
    TooMuch,
}

/// An entry: in which file (0 the program's, 1 the supplementary), which of
/// its units, and where in that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Place {
    pub file: usize,
    pub unit: usize,
    pub at: usize,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let file = if self.file == 0 { "" } else { " of the supplementary file" };
        write!(f, "{:#x} in unit {}{file}", self.at, self.unit)
    }
}

/// The sections that tell of types.
pub(in crate::debuginfo) struct Sections<'a> {
    endian: RunTimeEndian,
    info: Cow<'a, [u8]>,
    types: Cow<'a, [u8]>,
    abbrev: Cow<'a, [u8]>,
    strings: Cow<'a, [u8]>,
    line_strings: Cow<'a, [u8]>,
    str_offsets: Cow<'a, [u8]>,
}

impl<'a> Sections<'a> {
    /// Unpacked where they are compressed.
    pub fn load(elf: &Elf<'a>) -> Result<Self, String> {
        const NAMES: [&str; 6] = [
            ".debug_info",
            ".debug_types",
            ".debug_abbrev",
            ".debug_str",
            ".debug_line_str",
            ".debug_str_offsets",
        ];
        let loaded: Result<Vec<_>, _> = NAMES.par_iter().map(|name| elf.section(name)).collect();
        let mut loaded = loaded?.into_iter();
        let mut next = || loaded.next().unwrap_or_default();
        Ok(Self {
            endian: elf.endian(),
            info: next(),
            types: next(),
            abbrev: next(),
            strings: next(),
            line_strings: next(),
            str_offsets: next(),
        })
    }
}

/// The units of one file.
pub(super) struct Units<'s> {
    sections: &'s Sections<'s>,
    sup_strings: &'s [u8],
    /// Those of .debug_info by offset, then those of .debug_types.
    headers: Vec<Header<'s>>,
    in_info: usize,
    /// Type units by signature.
    signatures: HashMap<u64, usize>,
    tables: Vec<Table>,
}

/// Abbreviations, which several units can share.
struct Table {
    start: usize,
    parsed: OnceLock<Result<Abbreviations, gimli::Error>>,
}

impl<'s> Units<'s> {
    fn new(sections: &'s Sections<'s>, sup_strings: &'s [u8]) -> Result<Self, Broken> {
        let mut headers = Vec::new();
        let mut info = DebugInfo::new(&sections.info, sections.endian).units();
        while let Some(header) = info.next()? {
            headers.push(header);
        }
        let in_info = headers.len();
        let mut types = DebugTypes::new(&sections.types, sections.endian).units();
        while let Some(header) = types.next()? {
            headers.push(header);
        }
        let signatures = headers.iter().enumerate().filter_map(signature).collect();
        let mut starts: Vec<_> =
            headers.iter().map(|header| header.debug_abbrev_offset().0).collect();
        starts.sort_unstable();
        starts.dedup();
        let table = |start| Table { start, parsed: OnceLock::new() };
        let tables = starts.into_iter().map(table).collect();
        Ok(Self { sections, sup_strings, headers, in_info, signatures, tables })
    }

    pub fn len(&self) -> usize {
        self.headers.len()
    }

    /// A table ends where the next begins: so none is read twice, however
    /// many units say that they begin in the midst of it.
    fn abbreviations(&self, start: usize) -> Result<&Abbreviations, gimli::Error> {
        let found = self.tables.binary_search_by_key(&start, |table| table.start);
        let index = found.map_err(|_| gimli::Error::UnexpectedEof(gimli::ReaderOffsetId(0)))?;
        let bytes: &[u8] = &self.sections.abbrev;
        let end = self.tables.get(index + 1).map_or(bytes.len(), |next| next.start);
        let parsed = self.tables[index].parsed.get_or_init(|| {
            let bytes = bytes.get(start..end.min(bytes.len())).unwrap_or_default();
            DebugAbbrev::new(bytes, self.sections.endian).abbreviations(DebugAbbrevOffset(0))
        });
        parsed.as_ref().map_err(|error| *error)
    }

    /// The unit that `offset` of .debug_info is in.
    fn holding(&self, offset: usize) -> Option<(usize, usize)> {
        let start = |header: &Header<'_>| header.debug_info_offset().map_or(0, |start| start.0);
        let info = &self.headers[..self.in_info];
        let unit = info.partition_point(|header| start(header) <= offset).checked_sub(1)?;
        Some((unit, offset - start(&info[unit])))
    }
}

fn signature((unit, header): (usize, &Header<'_>)) -> Option<(u64, usize)> {
    match header.type_() {
        UnitType::Type { type_signature, .. } => Some((type_signature.0, unit)),
        _ => None,
    }
}

/// A program's units, and those of its supplementary file.
pub(super) struct Program<'s> {
    files: Vec<Units<'s>>,
}

impl<'s> Program<'s> {
    pub fn new(main: &'s Sections<'s>, sup: Option<&'s Sections<'s>>) -> Result<Self, Broken> {
        let sup_strings = sup.map_or(&[][..], |sup| &sup.strings);
        let mut files = vec![Units::new(main, sup_strings)?];
        if let Some(sup) = sup {
            files.push(Units::new(sup, &[])?);
        }
        Ok(Self { files })
    }

    /// How many units a file has.
    pub fn units(&self, file: usize) -> usize {
        self.files.get(file).map_or(0, Units::len)
    }

    /// A unit, whose places are `Place { file, unit, .. }`.
    pub fn unit(&self, file: usize, unit: usize) -> Result<Unit<'_>, Broken> {
        let units = &self.files[file];
        let header = &units.headers[unit];
        let abbreviations = units.abbreviations(header.debug_abbrev_offset().0)?;
        Ok(Unit { units, header, abbreviations, file, number: unit, base: OnceCell::new() })
    }

    /// What an attribute of the entry at `from` refers to.
    pub fn target(&self, from: Place, value: Value<'_>) -> Result<Place, Broken> {
        let holding = |file: usize, offset| {
            let (unit, at) = self.files.get(file)?.holding(offset)?;
            Some(Place { file, unit, at })
        };
        let found = match value {
            AttributeValue::UnitRef(at) => Some(Place { at: at.0, ..from }),
            AttributeValue::DebugInfoRef(offset) => holding(from.file, offset.0),
            AttributeValue::DebugInfoRefSup(offset) => holding(1, offset.0),
            AttributeValue::DebugTypesRef(signature) => self.by_signature(from.file, signature.0),
            _ => None,
        };
        found.ok_or(Broken::Dangling(from))
    }

    fn by_signature(&self, file: usize, signature: u64) -> Option<Place> {
        let units = self.files.get(file)?;
        let unit = *units.signatures.get(&signature)?;
        match units.headers[unit].type_() {
            UnitType::Type { type_offset, .. } => Some(Place { file, unit, at: type_offset.0 }),
            _ => None,
        }
    }
}

/// A unit.
pub(super) struct Unit<'p> {
    units: &'p Units<'p>,
    header: &'p Header<'p>,
    abbreviations: &'p Abbreviations,
    file: usize,
    number: usize,
    base: OnceCell<DebugStrOffsetsBase>,
}

impl<'p> Unit<'p> {
    pub fn place(&self, at: UnitOffset) -> Place {
        Place { file: self.file, unit: self.number, at: at.0 }
    }

    /// What operations in it are encoded with.
    pub fn encoding(&self) -> Encoding {
        self.header.encoding()
    }

    /// Bytes of an address.
    pub fn address_size(&self) -> u64 {
        u64::from(self.header.address_size())
    }

    /// The entries from `at` on, or all.
    pub fn entries(&self, at: Option<usize>) -> Result<EntriesRaw<'p, Slice<'p>>, Broken> {
        Ok(self.header.entries_raw(self.abbreviations, at.map(UnitOffset))?)
    }

    /// The entry at `at`.
    pub fn entry(&self, at: usize) -> Result<Entry<'p>, Broken> {
        let mut entry = Entry::null();
        read_entry(&mut self.entries(Some(at))?, &mut entry)?;
        Ok(entry)
    }

    /// The unit itself.
    pub fn root(&self) -> Result<Entry<'p>, Broken> {
        self.entry(self.header.root_offset().0)
    }

    /// The text of an attribute; `None` of one that is no text, or damaged.
    pub fn text(&self, value: Value<'p>) -> Option<&'p [u8]> {
        let sections = self.units.sections;
        match value {
            AttributeValue::String(text) => Some(text.slice()),
            AttributeValue::DebugStrRef(at) => text(&sections.strings, at.0),
            AttributeValue::DebugStrRefSup(at) => text(self.units.sup_strings, at.0),
            AttributeValue::DebugLineStrRef(at) => text(&sections.line_strings, at.0),
            AttributeValue::DebugStrOffsetsIndex(index) => {
                let base = *self.base.get_or_init(|| self.str_offsets_base());
                let offsets = Slice::new(&sections.str_offsets, sections.endian);
                let offsets = DebugStrOffsets::from(offsets);
                let at = offsets.get_str_offset(self.header.format(), base, index).ok()?;
                text(&sections.strings, at.0)
            }
            _ => None,
        }
    }

    fn str_offsets_base(&self) -> DebugStrOffsetsBase {
        let root = self.root().ok();
        match root.and_then(|root| root.attr_value(gimli::DW_AT_str_offsets_base)) {
            Some(AttributeValue::DebugStrOffsetsBase(base)) => base,
            _ => DebugStrOffsetsBase::default_for_encoding_and_file(
                self.header.encoding(),
                DwarfFileType::Main,
            ),
        }
    }

    /// The name of an entry.
    pub fn name(&self, entry: &Entry<'p>) -> Option<&'p [u8]> {
        entry.attr_value(gimli::DW_AT_name).and_then(|value| self.text(value))
    }
}

/// The text at `at`, up to its zero.
fn text(section: &[u8], at: usize) -> Option<&[u8]> {
    let bytes = section.get(at..)?;
    let bytes = &bytes[..bytes.len().min(NAME_LIMIT)];
    Some(memchr(0, bytes).map_or(bytes, |end| &bytes[..end]))
}

/// The next abbreviation: `None` at the end of a list of children.
pub(super) fn read_abbreviation<'p>(
    entries: &mut EntriesRaw<'p, Slice<'p>>,
) -> Result<Option<&'p Abbreviation>, Broken> {
    let abbreviation = entries.read_abbreviation()?;
    // A byte of .debug_info must not cost more than a bounded time.
    match abbreviation {
        Some(long) if long.attributes().len() > ATTRIBUTE_LIMIT => Err(Broken::TooMuch),
        abbreviation => Ok(abbreviation),
    }
}

/// The next entry: whether there was one before the end of a list of children.
pub(super) fn read_entry<'p>(
    entries: &mut EntriesRaw<'p, Slice<'p>>,
    entry: &mut Entry<'p>,
) -> Result<bool, Broken> {
    let at = entries.next_offset();
    let Some(abbreviation) = read_abbreviation(entries)? else { return Ok(false) };
    let mut attributes = Vec::with_capacity(abbreviation.attributes().len());
    entries.read_attributes(abbreviation.attributes(), &mut attributes)?;
    *entry = Entry::new(abbreviation.tag(), abbreviation.has_children(), attributes, at);
    Ok(true)
}
