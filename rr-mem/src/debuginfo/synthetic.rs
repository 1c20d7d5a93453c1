//! ELF files and DWARF made for tests.

use gimli::{
    Encoding, Format, LittleEndian,
    write::{AttributeValue, DwarfUnit, EndianVec, Sections, Unit, UnitEntryId},
};
use object::{
    Architecture, BinaryFormat, Endianness, SectionFlags, SectionKind, SymbolFlags, SymbolKind,
    SymbolScope,
    write::{Object, Symbol, SymbolSection},
};

pub(crate) use gimli::{constants as c, write::AttributeValue as Value};

/// A section: its name, its contents.
pub(crate) type Section = (String, Vec<u8>);

/// An ELF file that is linked, as far as its header says.
pub(crate) fn elf(architecture: Architecture, sections: &[Section], symbols: &[&str]) -> Vec<u8> {
    const E_TYPE: usize = 16;
    const ET_DYN: u8 = 3;
    let mut object = Object::new(BinaryFormat::Elf, architecture, Endianness::Little);
    for (name, contents) in sections {
        let kind = if name.starts_with(".note") { SectionKind::Note } else { SectionKind::Debug };
        let id = object.add_section(Vec::new(), name.clone().into_bytes(), kind);
        object.append_section_data(id, contents, 4);
    }
    let data = object.add_section(Vec::new(), b".data".to_vec(), SectionKind::Data);
    for (address, name) in (0x1000..).zip(symbols) {
        object.add_symbol(Symbol {
            name: name.as_bytes().into(),
            value: address,
            size: 8,
            kind: SymbolKind::Data,
            scope: SymbolScope::Dynamic,
            weak: false,
            section: SymbolSection::Section(data),
            flags: SymbolFlags::None,
        });
    }
    let mut bytes = object.write().expect("is written");
    bytes[E_TYPE] = ET_DYN;
    bytes
}

/// An ELF file for x86_64 with one section that claims to be compressed.
pub(crate) fn compressed(name: &str, contents: &[u8]) -> Vec<u8> {
    let architecture = Architecture::X86_64;
    let mut object = Object::new(BinaryFormat::Elf, architecture, Endianness::Little);
    let id = object.add_section(Vec::new(), name.into(), SectionKind::Debug);
    object.append_section_data(id, contents, 1);
    let (sh_type, sh_flags) = (object::elf::SHT_PROGBITS, object::elf::SHF_COMPRESSED);
    object.section_mut(id).flags = SectionFlags::Elf { sh_type, sh_flags };
    object.write().expect("is written")
}

/// The section of a build-id. System V ABI, "Note Section".
pub(crate) fn build_id(id: &[u8]) -> Section {
    let mut note = Vec::new();
    for word in [4, id.len() as u32, 3] {
        note.extend(word.to_le_bytes());
    }
    note.extend(b"GNU\0");
    note.extend(id);
    (".note.gnu.build-id".into(), note)
}

/// One unit of DWARF, as `build` fills it.
pub(crate) fn dwarf(version: u16, build: impl FnOnce(&mut Entries)) -> Vec<Section> {
    let encoding = Encoding { format: Format::Dwarf32, version, address_size: 8 };
    let mut dwarf = DwarfUnit::new(encoding);
    build(&mut Entries(&mut dwarf.unit));
    let mut written = Sections::new(EndianVec::new(LittleEndian));
    dwarf.write(&mut written).expect("is written");
    let mut sections = Vec::new();
    let each = |id: gimli::SectionId, contents: &EndianVec<LittleEndian>| {
        sections.push((id.name().to_owned(), contents.slice().to_vec()));
        Ok::<(), gimli::write::Error>(())
    };
    written.for_each(each).expect("is collected");
    sections.retain(|(_, contents)| !contents.is_empty());
    sections
}

/// The entries of a unit.
pub(crate) struct Entries<'a>(&'a mut Unit);

impl Entries<'_> {
    /// An entry below `parent`, or below the unit.
    pub fn add(
        &mut self,
        parent: Option<UnitEntryId>,
        tag: c::DwTag,
        attributes: &[(c::DwAt, Value)],
    ) -> UnitEntryId {
        let id = self.0.add(parent.unwrap_or(self.0.root()), tag);
        for (name, value) in attributes {
            self.0.get_mut(id).set(*name, value.clone());
        }
        id
    }

    pub fn set(&mut self, id: UnitEntryId, name: c::DwAt, value: Value) {
        self.0.get_mut(id).set(name, value);
    }

    /// `int`.
    pub fn int(&mut self) -> UnitEntryId {
        self.add(None, c::DW_TAG_base_type, &[named("int"), size(4)])
    }

    /// A struct of 64 bytes.
    pub fn structure(&mut self, name: &str) -> UnitEntryId {
        self.add(None, c::DW_TAG_structure_type, &[named(name), size(64)])
    }

    /// A member of a type; without a name when that is empty.
    pub fn member(
        &mut self,
        of: UnitEntryId,
        name: &str,
        kind: UnitEntryId,
        offset: u64,
    ) -> UnitEntryId {
        let offset = (c::DW_AT_data_member_location, Value::Udata(offset));
        let id = self.add(Some(of), c::DW_TAG_member, &[offset, typed(kind)]);
        if !name.is_empty() {
            self.set(id, c::DW_AT_name, Value::String(name.into()));
        }
        id
    }
}

pub(crate) fn named(name: &str) -> (c::DwAt, Value) {
    (c::DW_AT_name, AttributeValue::String(name.into()))
}

pub(crate) fn size(size: u64) -> (c::DwAt, Value) {
    (c::DW_AT_byte_size, AttributeValue::Udata(size))
}

pub(crate) fn typed(kind: UnitEntryId) -> (c::DwAt, Value) {
    (c::DW_AT_type, AttributeValue::UnitRef(kind))
}
