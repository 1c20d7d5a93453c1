//! One pass over a unit's outermost entries, to find where the wanted structs
//! are defined. Everything else is skipped, by `DW_AT_sibling` where the
//! compiler wrote it. DWARF 5, "Type Entries", "Imported Unit Entries".

use gimli::{Abbreviation, AttributeValue, DwTag, EntriesRaw, constants as c};

use super::program::{Broken, Place, Slice, Unit, Value, read_abbreviation};
use crate::debuginfo::MemberList;

/// What a unit has.
#[derive(Default)]
pub(super) struct Seen<'p> {
    /// Structs and type names that are wanted: which, and where.
    pub types: Vec<(usize, Place)>,
    /// Units whose entries count as its own.
    pub imports: Vec<(Place, Value<'p>)>,
    /// The file that the unit's entries were split off to.
    pub split: Option<String>,
}

/// What the attributes of an outermost entry say.
#[derive(Default)]
struct Outline<'p> {
    name: Option<Value<'p>>,
    sibling: Option<usize>,
    import: Option<Value<'p>>,
    declaration: bool,
}

/// Goes over a unit.
pub(super) fn scan<'p>(unit: &Unit<'p>, wanted: &MemberList) -> Result<Seen<'p>, Broken> {
    let mut seen = Seen { split: split(unit)?, ..Seen::default() };
    let mut entries = unit.entries(None)?;
    // Entries count their depth from where one begins to read.
    let mut above = 0;
    while !entries.is_empty() {
        let (depth, at) = (above + entries.next_depth(), entries.next_offset());
        let Some(abbreviation) = read_abbreviation(&mut entries)? else { continue };
        if depth != 1 || !worthwhile(abbreviation) {
            entries.skip_attributes(abbreviation.attributes())?;
            continue;
        }
        let outline = outline(&mut entries, abbreviation)?;
        note(unit, wanted, unit.place(at), abbreviation.tag(), &outline, &mut seen);
        let ahead = outline.sibling.filter(|_| abbreviation.has_children());
        if let Some(sibling) = ahead.filter(|sibling| *sibling > entries.next_offset().0) {
            (entries, above) = (unit.entries(Some(sibling))?, 1);
        }
    }
    Ok(seen)
}

/// Types with names, and whatever has children that can be stepped over.
fn worthwhile(abbreviation: &Abbreviation) -> bool {
    abbreviation.has_children() || is_type(abbreviation.tag()) || is_import(abbreviation.tag())
}

fn is_type(tag: DwTag) -> bool {
    is_struct(tag) || tag == c::DW_TAG_typedef
}

fn is_import(tag: DwTag) -> bool {
    tag == c::DW_TAG_imported_unit
}

/// Whether entries of this tag have members.
pub(super) fn is_struct(tag: DwTag) -> bool {
    matches!(tag, c::DW_TAG_structure_type | c::DW_TAG_union_type | c::DW_TAG_class_type)
}

fn outline<'p>(
    entries: &mut EntriesRaw<'p, Slice<'p>>,
    abbreviation: &Abbreviation,
) -> Result<Outline<'p>, Broken> {
    let mut found = Outline::default();
    for attribute in abbreviation.attributes() {
        let value = entries.read_attribute_inline(*attribute)?;
        match attribute.name() {
            c::DW_AT_name => found.name = Some(value.value()),
            c::DW_AT_import => found.import = Some(value.value()),
            c::DW_AT_declaration => found.declaration = true,
            c::DW_AT_sibling => {
                if let AttributeValue::UnitRef(at) = value.value() {
                    found.sibling = Some(at.0);
                }
            }
            _ => {}
        }
    }
    Ok(found)
}

fn note<'p>(
    unit: &Unit<'p>,
    wanted: &MemberList,
    place: Place,
    tag: DwTag,
    outline: &Outline<'p>,
    seen: &mut Seen<'p>,
) {
    match (outline.name, outline.import) {
        (_, Some(import)) if is_import(tag) => seen.imports.push((place, import)),
        (Some(name), _) if is_type(tag) && !outline.declaration => {
            let name = unit.text(name).unwrap_or_default();
            seen.types.extend(wanted.find(name).map(|index| (index, place)));
        }
        _ => {}
    }
}

/// DWARF 5, "Split DWARF Object Files"; before, GCC's own attribute.
fn split(unit: &Unit<'_>) -> Result<Option<String>, Broken> {
    let root = unit.root()?;
    let names = [c::DW_AT_dwo_name, c::DW_AT_GNU_dwo_name];
    let name = names.into_iter().find_map(|name| root.attr_value(name));
    let text = name.map(|name| unit.text(name).unwrap_or_default());
    Ok(text.map(|text| String::from_utf8_lossy(text).into_owned()))
}
