//! From a struct's entry to the places of its members. DWARF 5, "Structure,
//! Union, Class and Interface Type Entries", "Data Member Entries", "Array Type
//! Entries", "Byte and Bit Sizes".
//!
//! Bit-fields have no place in bytes and are left out.

use std::{
    cell::Cell,
    collections::BTreeMap,
    sync::atomic::{AtomicUsize, Ordering},
};

use gimli::{AttributeValue, DwAt, DwTag, Operation, constants as c};

use super::{
    program::{Broken, Entry, Place, Program, Unit, Value, read_abbreviation, read_entry},
    scan::is_struct,
};
use crate::debuginfo::{Field, StructLayout, member_list::Members};

/// Type names that lead to type names, structs in structs, arrays of arrays.
const DEPTH: usize = 64;
/// Entries that a thread may look at before it asks for more.
const PORTION: usize = 4096;

/// Reads structs, and looks at no more entries than there are in `pool`.
pub(super) struct Reader<'p> {
    program: &'p Program<'p>,
    pool: &'p AtomicUsize,
    left: Cell<usize>,
}

type Fields = BTreeMap<String, Field>;
type Names = BTreeMap<Vec<u8>, Members>;

/// Where the members that are looked for are, in the struct that was asked for.
struct Inside<'n> {
    wanted: &'n Names,
    prefix: &'n str,
    base: u64,
    depth: usize,
}

impl<'p> Reader<'p> {
    pub fn new(program: &'p Program<'p>, pool: &'p AtomicUsize) -> Self {
        Self { program, pool, left: Cell::new(0) }
    }

    fn spend(&self) -> Result<(), Broken> {
        if self.left.get() == 0 {
            let less = |pool: usize| pool.checked_sub(PORTION);
            let taken = self.pool.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
            taken.map_err(|_| Broken::TooMuch)?;
            self.left.set(PORTION);
        }
        self.left.set(self.left.get() - 1);
        Ok(())
    }

    fn entry(&self, place: Place) -> Result<(Unit<'p>, Entry<'p>), Broken> {
        self.spend()?;
        let unit = self.program.unit(place.file, place.unit)?;
        let entry = unit.entry(place.at)?;
        Ok((unit, entry))
    }

    /// The struct that the entry at `place` is or names, where it is defined.
    pub fn definition(&self, place: Place) -> Result<Option<Place>, Broken> {
        let (place, _, entry) = self.plain(place)?;
        let defined = is_struct(entry.tag()) && !entry.has_attr(c::DW_AT_declaration);
        Ok(defined.then_some(place))
    }

    /// The type behind names and qualifiers.
    fn plain(&self, from: Place) -> Result<(Place, Unit<'p>, Entry<'p>), Broken> {
        let mut place = from;
        for _ in 0..DEPTH {
            let (unit, entry) = self.entry(place)?;
            let elsewhere = entry.attr_value(c::DW_AT_signature);
            let next = match elsewhere {
                None if is_alias(entry.tag()) => entry.attr_value(c::DW_AT_type),
                elsewhere => elsewhere,
            };
            match next {
                Some(value) => place = self.program.target(place, value)?,
                None => return Ok((place, unit, entry)),
            }
        }
        Err(Broken::Endless(from))
    }

    /// The members `wanted` of the struct at `place`.
    pub fn read(&self, place: Place, wanted: &Names) -> Result<StructLayout, Broken> {
        let (_, entry) = self.entry(place)?;
        let size = entry.attr_value(c::DW_AT_byte_size).and_then(|size| size.udata_value());
        let mut fields = Fields::new();
        self.members(place, &Inside { wanted, prefix: "", base: 0, depth: 0 }, &mut fields)?;
        Ok(StructLayout { size, fields })
    }

    fn members(&self, of: Place, inside: &Inside<'_>, found: &mut Fields) -> Result<(), Broken> {
        if inside.depth > DEPTH {
            return Err(Broken::Endless(of));
        }
        let each = |unit: &Unit<'p>, entry: &Entry<'p>| match entry.tag() {
            c::DW_TAG_member => self.member(unit, entry, inside, found),
            _ => Ok(()),
        };
        self.children(of, each)
    }

    /// Hands each child of the entry at `of` to `each`.
    fn children(
        &self,
        of: Place,
        mut each: impl FnMut(&Unit<'p>, &Entry<'p>) -> Result<(), Broken>,
    ) -> Result<(), Broken> {
        let unit = self.program.unit(of.file, of.unit)?;
        let mut entries = unit.entries(Some(of.at))?;
        let mut entry = Entry::null();
        let parent = read_entry(&mut entries, &mut entry)?;
        while parent && entries.next_depth() > 0 && !entries.is_empty() {
            self.spend()?;
            if entries.next_depth() > 1 {
                if let Some(abbreviation) = read_abbreviation(&mut entries)? {
                    entries.skip_attributes(abbreviation.attributes())?;
                }
            } else if read_entry(&mut entries, &mut entry)? {
                each(&unit, &entry)?;
            }
        }
        Ok(())
    }

    fn member(
        &self,
        unit: &Unit<'p>,
        entry: &Entry<'p>,
        inside: &Inside<'_>,
        found: &mut Fields,
    ) -> Result<(), Broken> {
        let name = unit.name(entry);
        let wanted = name.and_then(|name| inside.wanted.get(name));
        if !is_in_bytes(entry) || name.is_some() && wanted.is_none() {
            return Ok(());
        }
        let place = unit.place(entry.offset());
        let offset = location(unit, entry)?.and_then(|offset| inside.base.checked_add(offset));
        let base = offset.ok_or(Broken::Location(place))?;
        let value = entry.attr_value(c::DW_AT_type).ok_or(Broken::Dangling(place))?;
        let of = self.program.target(place, value)?;
        let depth = inside.depth + 1;
        let Some((name, wanted)) = name.zip(wanted) else {
            let inside = Inside { base, depth, ..*inside };
            return self.inner(of, &inside, found);
        };
        let path = format!("{}{}", inside.prefix, String::from_utf8_lossy(name));
        if !wanted.inside.is_empty() {
            let prefix = &format!("{path}.");
            self.inner(of, &Inside { wanted: &wanted.inside, prefix, base, depth }, found)?;
        }
        if wanted.whole {
            found.entry(path).or_insert(Field { offset: base, size: self.size(of, 0)? });
        }
        Ok(())
    }

    /// The members of a member, if it is a struct.
    fn inner(&self, of: Place, inside: &Inside<'_>, found: &mut Fields) -> Result<(), Broken> {
        match self.definition(of)? {
            Some(definition) => self.members(definition, inside, found),
            None => Ok(()),
        }
    }

    /// Bytes of a type.
    fn size(&self, of: Place, depth: usize) -> Result<u64, Broken> {
        if depth > DEPTH {
            return Err(Broken::Endless(of));
        }
        let (place, unit, entry) = self.plain(of)?;
        if let Some(size) = entry.attr_value(c::DW_AT_byte_size) {
            return size.udata_value().ok_or(Broken::Size(place));
        }
        match entry.tag() {
            c::DW_TAG_pointer_type => Ok(unit.address_size()),
            c::DW_TAG_array_type => self.array_size(place, &entry, depth),
            c::DW_TAG_enumeration_type => {
                let value = entry.attr_value(c::DW_AT_type).ok_or(Broken::Size(place))?;
                self.size(self.program.target(place, value)?, depth + 1)
            }
            _ => Err(Broken::Size(place)),
        }
    }

    fn array_size(&self, place: Place, array: &Entry<'p>, depth: usize) -> Result<u64, Broken> {
        let wrong = Broken::Size(place);
        let stride = match array.attr_value(c::DW_AT_byte_stride) {
            Some(stride) => stride.udata_value().ok_or(wrong.clone())?,
            None => {
                let value = array.attr_value(c::DW_AT_type).ok_or(wrong.clone())?;
                self.size(self.program.target(place, value)?, depth + 1)?
            }
        };
        let mut size = Some(stride);
        self.children(place, |_, child| {
            if child.tag() == c::DW_TAG_subrange_type {
                size = size.zip(elements(child)).and_then(|(size, count)| size.checked_mul(count));
            }
            Ok(())
        })?;
        size.ok_or(wrong)
    }
}

/// Whether a member has bytes of its own in the struct.
fn is_in_bytes(entry: &Entry<'_>) -> bool {
    const NOT: [DwAt; 3] = [c::DW_AT_bit_size, c::DW_AT_data_bit_offset, c::DW_AT_declaration];
    !NOT.iter().any(|attribute| entry.has_attr(*attribute))
}

/// Names and qualifiers, which have the size and the members of another type.
fn is_alias(tag: DwTag) -> bool {
    matches!(
        tag,
        c::DW_TAG_typedef
            | c::DW_TAG_const_type
            | c::DW_TAG_volatile_type
            | c::DW_TAG_restrict_type
            | c::DW_TAG_atomic_type
    )
}

/// How many elements a dimension has; an array without a length has none.
fn elements(subrange: &Entry<'_>) -> Option<u64> {
    let value = |name| subrange.attr_value_raw(name);
    if let Some(count) = value(c::DW_AT_count) {
        return count.udata_value();
    }
    let Some(last) = value(c::DW_AT_upper_bound) else { return Some(0) };
    let first = value(c::DW_AT_lower_bound).map_or(Some(0), |first| first.udata_value());
    // The last of none is -1.
    match (last.udata_value(), last.sdata_value()) {
        (Some(last), _) => last.checked_sub(first?)?.checked_add(1),
        (None, Some(-1)) => Some(0),
        (None, _) => None,
    }
}

/// Bytes from the start of the struct; members of a union have no attribute.
fn location(unit: &Unit<'_>, entry: &Entry<'_>) -> Result<Option<u64>, Broken> {
    let Some(value) = entry.attr_value_raw(c::DW_AT_data_member_location) else {
        return Ok(Some(0));
    };
    match value {
        AttributeValue::Exprloc(_) | AttributeValue::Block(_) => added(unit, value),
        constant => Ok(constant.udata_value()),
    }
}

/// DWARF 2 adds to the address of the struct: `DW_OP_plus_uconst`.
fn added(unit: &Unit<'_>, value: Value<'_>) -> Result<Option<u64>, Broken> {
    let (AttributeValue::Exprloc(gimli::Expression(code)) | AttributeValue::Block(code)) = value
    else {
        return Ok(None);
    };
    let mut operations = gimli::Expression(code).operations(unit.encoding());
    match (operations.next()?, operations.next()?) {
        (Some(Operation::PlusConstant { value }), None) => Ok(Some(value)),
        _ => Ok(None),
    }
}
