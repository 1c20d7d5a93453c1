//! QEMU's object model (docs/devel/qom.rst): the type of an object, and who
//! made each region, as the monitor's `info mtree -o` says it. Every object is
//! a child property of its parent; the names of these properties are its path.
//!
//! Properties are in a hash table of GLib (glib/ghash.c), which no debug info
//! of QEMU describes. Its two forms, before and since 2.64, are known here.

use std::{
    collections::{HashMap, hash_map::Entry},
    rc::Rc,
};

use super::{Wrong, structs::Structs};
use crate::{addr::Hva, memory::Memory};

/// Objects that a path goes through, and types that a type is made from.
const DEPTH_LIMIT: usize = 64;
/// Places of a hash table that are still plausible.
const TABLE_LIMIT: u64 = 1 << 16;
/// Hashes of 0 and 1 mark places that are empty, and that were given up.
const FIRST_HASH: u32 = 2;
/// Bytes of a hash table's head that are looked at.
const HEAD: usize = 56;

/// The objects that a region belongs to: its owner, and its parent in the tree
/// of objects. 0 for none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Objects {
    pub owner: u64,
    pub parent: u64,
}

/// Names objects.
pub(super) struct Names<'s, 'a, M> {
    structs: &'s Structs<'a, M>,
    known: HashMap<u64, String>,
    /// The names of an object's children, by address.
    children: HashMap<u64, Rc<HashMap<u64, String>>>,
}

impl<'s, 'a, M: Memory<Hva>> Names<'s, 'a, M> {
    pub fn new(structs: &'s Structs<'a, M>) -> Self {
        Self { structs, known: HashMap::new(), children: HashMap::new() }
    }

    /// What the monitor says of a region of these objects.
    pub fn owner(&mut self, objects: Objects) -> Result<String, Wrong> {
        let Objects { owner, parent } = objects;
        let mut words = Vec::new();
        if owner != 0 {
            words.push(format!("owner:{{{}}}", self.name(owner)?));
        }
        if parent != 0 && parent != owner {
            words.push(format!("parent:{{{}}}", self.name(parent)?));
        }
        Ok(if words.is_empty() { "orphan".into() } else { words.join(" ") })
    }

    fn name(&mut self, object: u64) -> Result<String, Wrong> {
        if let Some(known) = self.known.get(&object) {
            return Ok(known.clone());
        }
        let types = types(self.structs, object)?;
        let is_device = types.iter().any(|name| name == "device");
        let kind = if is_device { "dev" } else { "obj" };
        let id = if is_device { self.device_id(object)? } else { None };
        let name = match (id, self.path(object)?) {
            (Some(id), _) => format!("{kind} id={id}"),
            (None, Some(path)) => format!("{kind} path={path}"),
            (None, None) => format!("{kind} type={}", types.first().map_or("", String::as_str)),
        };
        self.known.insert(object, name.clone());
        Ok(name)
    }

    fn device_id(&self, object: u64) -> Result<Option<String>, Wrong> {
        self.structs.string(self.structs.at("DeviceState", object)?.get("id")?)
    }

    /// The path from the root; `None` of an object that hangs on nothing.
    fn path(&mut self, object: u64) -> Result<Option<String>, Wrong> {
        let (mut here, mut parts) = (object, Vec::new());
        loop {
            let parent = self.structs.at("Object", here)?.get("parent")?;
            if parent == 0 {
                break;
            }
            let Some(name) = self.children(parent)?.get(&here).cloned() else { return Ok(None) };
            parts.push(name);
            if parts.len() > DEPTH_LIMIT {
                return Err(Wrong::at("a path of objects does not end", object));
            }
            here = parent;
        }
        // The root is the only container without a parent.
        let types = types(self.structs, here)?;
        let is_root = types.first().is_some_and(|name| name == "container");
        Ok(is_root.then(|| format!("/{}", parts.into_iter().rev().collect::<Vec<_>>().join("/"))))
    }

    fn children(&mut self, object: u64) -> Result<Rc<HashMap<u64, String>>, Wrong> {
        let structs = self.structs;
        match self.children.entry(object) {
            Entry::Occupied(known) => Ok(known.get().clone()),
            Entry::Vacant(place) => Ok(place.insert(Rc::new(children(structs, object)?)).clone()),
        }
    }
}

/// The names of an object's type and of those that it is made from.
pub(super) fn types<M: Memory<Hva>>(
    structs: &Structs<'_, M>,
    object: u64,
) -> Result<Vec<String>, Wrong> {
    let class = structs.at("Object", object)?.get("class")?;
    let mut next = structs.at("ObjectClass", class)?.get("type")?;
    let mut names = Vec::new();
    while next != 0 && names.len() < DEPTH_LIMIT {
        let here = structs.at("TypeImpl", next)?;
        names.extend(structs.string(here.get("name")?)?);
        next = here.get("parent_type")?;
    }
    Ok(names)
}

/// The children of an object, by address: properties of a type `child<...>`.
fn children<M: Memory<Hva>>(
    structs: &Structs<'_, M>,
    object: u64,
) -> Result<HashMap<u64, String>, Wrong> {
    let table = structs.at("Object", object)?.get("properties")?;
    let mut found = HashMap::new();
    for address in values(structs, table)? {
        let property = structs.at("ObjectProperty", address)?;
        let is_child = structs.string(property.get("type")?)?;
        if is_child.is_some_and(|kind| kind.starts_with("child<")) {
            let name = structs.string(property.get("name")?)?;
            found.insert(property.get("opaque")?, name.unwrap_or_default());
        }
    }
    Ok(found)
}

/// A hash table: how many places, and where its hashes and values are.
struct Table {
    places: u64,
    hashes: u64,
    values: u64,
}

/// The values of a hash table that holds pointers.
fn values<M: Memory<Hva>>(structs: &Structs<'_, M>, address: u64) -> Result<Vec<u64>, Wrong> {
    let head = structs.bytes(address, HEAD)?;
    let table = new_table(&head).or_else(|| old_table(&head));
    let Table { places, hashes, values } =
        table.ok_or_else(|| Wrong::at("the properties of an object are no hash table", address))?;
    let hashes = structs.bytes(hashes, places as usize * 4)?;
    let values = structs.bytes(values, places as usize * 8)?;
    let used = |bytes: &[u8; 4]| u32::from_le_bytes(*bytes) >= FIRST_HASH;
    let pairs = hashes.as_chunks().0.iter().zip(values.as_chunks().0);
    Ok(pairs.filter(|(hash, _)| used(hash)).map(|(_, value)| u64::from_le_bytes(*value)).collect())
}

fn word(head: &[u8], at: usize) -> u64 {
    head[at..].first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

/// Since 2.64: size (64 bits), mod, mask, nnodes, noccupied, flags, keys,
/// hashes, values.
fn new_table(head: &[u8]) -> Option<Table> {
    let half = |at| word(head, at) & 0xffff_ffff;
    let table = Table { places: word(head, 0), hashes: word(head, 40), values: word(head, 48) };
    plausible(table, half(12), half(16), half(20))
}

/// Before: size (32 bits), mod, mask, nnodes, noccupied, keys, hashes, values.
fn old_table(head: &[u8]) -> Option<Table> {
    let half = |at| word(head, at) & 0xffff_ffff;
    let table = Table { places: half(0), hashes: word(head, 32), values: word(head, 40) };
    plausible(table, half(8), half(12), half(16))
}

fn plausible(table: Table, mask: u64, nodes: u64, occupied: u64) -> Option<Table> {
    let places = table.places;
    let sized = places.is_power_of_two() && places <= TABLE_LIMIT && mask == places - 1;
    (sized && nodes <= occupied && occupied <= places).then_some(table)
}
