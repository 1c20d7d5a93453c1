//! Structs in the emulator's memory, read whole and taken apart by a layout.

use std::{cell::Cell, collections::HashSet};

use super::Wrong;
use crate::{
    addr::Hva,
    debuginfo::{Field, Layout, StructLayout},
    memory::Memory,
};

/// No healthy emulator has a longer list.
pub(super) const LIST_LIMIT: usize = 100_000;
/// No struct is larger, whatever a layout says.
const STRUCT_LIMIT: u64 = 1 << 20;
/// Bytes of structs in all: no healthy emulator has a tenth of it.
const BYTES_LIMIT: usize = 256 << 20;
/// Bytes of a name that are looked at.
const NAME_LIMIT: usize = 4096;
/// Strings are read in pieces of this, so as not to run into what follows.
const PIECE: u64 = 64;

/// The reader of one emulator's structs.
pub(super) struct Structs<'a, M> {
    memory: &'a M,
    layout: &'a Layout,
    /// What is left of [`BYTES_LIMIT`].
    left: Cell<usize>,
}

/// A struct that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Struct<'a> {
    kind: &'static str,
    layout: &'a StructLayout,
    bytes: Vec<u8>,
    pub address: u64,
}

impl<'a, M: Memory<Hva>> Structs<'a, M> {
    pub fn new(memory: &'a M, layout: &'a Layout) -> Self {
        Self { memory, layout, left: Cell::new(BYTES_LIMIT) }
    }

    pub fn memory(&self) -> &'a M {
        self.memory
    }

    pub fn layout(&self) -> &'a Layout {
        self.layout
    }

    fn kind(&self, kind: &'static str) -> Result<&'a StructLayout, Wrong> {
        self.layout.structs.get(kind).ok_or(Wrong::Member(kind, "size"))
    }

    /// Whether the layout has the struct.
    pub fn knows(&self, kind: &str) -> bool {
        self.layout.structs.contains_key(kind)
    }

    /// Bytes of a struct, for arrays of it.
    pub fn size(&self, kind: &'static str) -> Result<u64, Wrong> {
        let size = self.kind(kind)?.size.filter(|size| (1..STRUCT_LIMIT).contains(size));
        size.ok_or(Wrong::Member(kind, "size"))
    }

    /// The place of a member, if this emulator has it.
    pub fn field(&self, kind: &str, member: &str) -> Option<Field> {
        self.layout.field(kind, member)
    }

    /// The struct at `address`, up to its last known member.
    pub fn at(&self, kind: &'static str, address: u64) -> Result<Struct<'a>, Wrong> {
        let layout = self.kind(kind)?;
        let end = |field: &Field| field.offset.saturating_add(field.size);
        let len = layout.fields.values().map(end).max().unwrap_or(0).min(STRUCT_LIMIT);
        let bytes = self.bytes(address, len as usize)?;
        Ok(Struct { kind, layout, bytes, address })
    }

    /// `count` structs that lie one behind the other.
    pub fn array(
        &self,
        kind: &'static str,
        address: u64,
        count: u64,
    ) -> Result<Vec<Struct<'a>>, Wrong> {
        let (layout, size) = (self.kind(kind)?, self.size(kind)?);
        if count > LIST_LIMIT as u64 {
            return Err(Wrong::at(&format!("{count} {kind} are too many"), address));
        }
        let bytes = self.bytes(address, (count * size) as usize)?;
        let one = |(i, bytes): (usize, &[u8])| {
            let address = address.wrapping_add(i as u64 * size);
            Struct { kind, layout, bytes: bytes.to_vec(), address }
        };
        Ok(bytes.chunks(size as usize).enumerate().map(one).collect())
    }

    /// The structs of a linked list, from `first` on.
    pub fn list(
        &self,
        kind: &'static str,
        first: u64,
        link: &'static str,
    ) -> Result<Vec<Struct<'a>>, Wrong> {
        let (mut found, mut seen) = (Vec::new(), HashSet::new());
        let mut next = first;
        while next != 0 {
            if !seen.insert(next) || found.len() >= LIST_LIMIT {
                return Err(Wrong::at(&format!("a list of {kind} does not end"), first));
            }
            let here = self.at(kind, next)?;
            next = here.get(link)?;
            found.push(here);
        }
        Ok(found)
    }

    /// A pointer.
    pub fn pointer(&self, address: u64) -> Result<u64, Wrong> {
        Ok(self.memory.read_u64(Hva(address))?)
    }

    pub fn bytes(&self, address: u64, len: usize) -> Result<Vec<u8>, Wrong> {
        let left = self.left.get().checked_sub(len);
        self.left.set(left.ok_or_else(|| Wrong::at("there is too much to read", address))?);
        let mut bytes = vec![0; len];
        self.memory.read(Hva(address), &mut bytes)?;
        Ok(bytes)
    }

    /// A C string; `None` behind a null pointer.
    pub fn string(&self, address: u64) -> Result<Option<String>, Wrong> {
        if address == 0 {
            return Ok(None);
        }
        let mut text = Vec::new();
        while text.len() < NAME_LIMIT {
            let here = address.wrapping_add(text.len() as u64);
            let piece = self.bytes(here, (PIECE - here % PIECE) as usize)?;
            let end = piece.iter().position(|byte| *byte == 0);
            text.extend(&piece[..end.unwrap_or(piece.len())]);
            if end.is_some() {
                return Ok(Some(String::from_utf8_lossy(&text).into_owned()));
            }
        }
        Err(Wrong::at("a name does not end", address))
    }
}

impl<'a> Struct<'a> {
    fn slice(&self, member: &'static str) -> Result<&[u8], Wrong> {
        self.find(member).ok_or(Wrong::Member(self.kind, member))
    }

    fn find(&self, member: &str) -> Option<&[u8]> {
        let field = self.layout.fields.get(member)?;
        let start = usize::try_from(field.offset).ok()?;
        self.bytes.get(start..start.checked_add(usize::try_from(field.size).ok()?)?)
    }

    /// Whether this emulator has the member.
    pub fn has(&self, member: &str) -> bool {
        self.find(member).is_some()
    }

    /// An unsigned member; of 128 bits the low 64.
    pub fn get(&self, member: &'static str) -> Result<u64, Wrong> {
        Ok(little_endian(self.slice(member)?) as u64)
    }

    /// The first of `members` that this emulator has.
    pub fn first_of(&self, members: &[&str]) -> Option<u64> {
        members.iter().find_map(|member| self.find(member)).map(|bytes| little_endian(bytes) as u64)
    }

    /// A member of 128 bits.
    pub fn wide(&self, member: &'static str) -> Result<u128, Wrong> {
        Ok(little_endian(self.slice(member)?))
    }

    /// A flag; one that this emulator does not have is not set.
    pub fn flag(&self, member: &str) -> bool {
        self.find(member).is_some_and(|bytes| bytes.iter().any(|byte| *byte != 0))
    }

    /// Element `index` of an array of `count` elements, of which the first 64
    /// bits count.
    pub fn element(&self, member: &'static str, count: usize, index: usize) -> Result<u64, Wrong> {
        let bytes = self.slice(member)?;
        let element = bytes.chunks((bytes.len() / count).max(1)).nth(index);
        let element = element.ok_or(Wrong::Member(self.kind, member))?;
        Ok(little_endian(&element[..element.len().min(8)]) as u64)
    }

    /// Text in an array of characters.
    pub fn text(&self, member: &'static str) -> Result<String, Wrong> {
        let bytes = self.slice(member)?;
        let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
        Ok(String::from_utf8_lossy(&bytes[..end]).into_owned())
    }
}

/// Up to 16 bytes, low byte first.
fn little_endian(bytes: &[u8]) -> u128 {
    bytes.iter().take(16).rev().fold(0, |value, byte| value << 8 | u128::from(*byte))
}
