//! The description of a stream's sections: JSON behind their end, written by
//! the QEMU that wrote them. It names every field with the size that it has in
//! this very stream. QEMU, migration/vmstate.c.

use memchr::memchr_iter;
use serde::Deserialize;

/// QEMU_VM_EOF and QEMU_VM_VMDESCRIPTION.
const EOF: u8 = 0x00;
const VMDESCRIPTION: u8 = 0x06;
/// No description is larger.
const MOST: usize = 64 << 20;

/// What the JSON says.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Description {
    /// Bytes of a page record.
    pub page_size: Option<u64>,
    /// The sections behind RAM, in their order in the stream.
    #[serde(default)]
    pub devices: Vec<Device>,
}

/// A section.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Device {
    /// As in the stream.
    pub name: String,
    /// As in the stream: devices of one name are counted.
    pub instance_id: u32,
    #[serde(flatten)]
    pub state: State,
}

/// A VMStateDescription: fields, then subsections.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct State {
    /// A subsection's name.
    #[serde(default)]
    pub vmsd_name: String,
    #[serde(default)]
    pub fields: Vec<Field>,
    #[serde(default)]
    pub subsections: Vec<State>,
}

/// A field, or an array of which one element is described.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Field {
    pub name: String,
    /// Of an element that is described on its own, its number.
    pub index: Option<u64>,
    /// Elements, all like this one.
    pub array_len: Option<u64>,
    /// `uint32`, `struct`, `buffer`, `timer`, ...
    #[serde(rename = "type")]
    pub kind: String,
    /// Bytes of an element.
    pub size: u64,
    #[serde(rename = "struct")]
    pub inner: Option<State>,
}

/// The description that ends `stream`, and the offset of its first byte in it.
/// Zeros may follow: a file system's or a disk image's.
pub(super) fn find(stream: &[u8]) -> Option<Description> {
    let end = stream.iter().rposition(|&byte| byte != 0)? + 1;
    let from = end.saturating_sub(MOST);
    let tail = stream.get(from..end)?;
    if tail.last() != Some(&b'}') {
        return None;
    }
    let json = memchr_iter(VMDESCRIPTION, tail).filter_map(|at| json_at(tail, at)).next()?;
    serde_json::from_slice(json).ok()
}

/// The JSON of a description that starts at byte `at` and ends with `tail`.
fn json_at(tail: &[u8], at: usize) -> Option<&[u8]> {
    let len = u32::from_be_bytes(*tail.get(at + 1..)?.first_chunk()?) as usize;
    let json = tail.get(at + 5..)?;
    let whole = json.len() == len && json.first() == Some(&b'{');
    (whole && tail.get(at.checked_sub(1)?) == Some(&EOF)).then_some(json)
}
