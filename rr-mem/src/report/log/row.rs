//! An entry as a row of JSON.

use serde::Serialize;

use super::{hex, hex_bytes};
use crate::replay::{
    Entry, Event,
    panda::{self, Call},
};

/// An entry of a log. Numbers of bits are hex strings, counts are numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LogRow {
    /// See [`Entry::index`].
    pub index: u64,
    /// See [`Entry::offset`].
    pub offset: String,
    /// See [`Entry::instructions`].
    pub instr: u64,
    /// See [`crate::replay::Fields::kind`].
    pub kind: &'static str,
    /// See [`crate::replay::Fields::callsite`].
    pub callsite: Option<&'static str>,
    /// See [`crate::replay::Fields::call`].
    pub call: Option<&'static str>,
    /// See [`crate::replay::Fields::address`].
    pub address: Option<String>,
    /// See [`crate::replay::Fields::length`].
    pub length: Option<String>,
    /// See [`crate::replay::Fields::value`].
    pub value: Option<String>,
    /// See [`crate::replay::Fields::payload`].
    pub data: Option<String>,
    /// The name of a region.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What kind of region.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region_kind: Option<&'static str>,
    /// Whether the region came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub added: Option<bool>,
    /// The way of a transfer, such as HD_TO_RAM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub way: Option<&'static str>,
    /// From where a transfer went; a host pointer for an IOB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// To where it went.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub destination: Option<String>,
    /// Regions and offsets that the address leads to, where a guest is known.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub places: Vec<String>,
}

fn number(value: u64) -> String {
    let mut text = Vec::with_capacity(18);
    hex(&mut text, value);
    String::from_utf8(text).unwrap_or_default()
}

fn bytes(data: &[u8]) -> String {
    let mut text = Vec::with_capacity(data.len() * 2);
    hex_bytes(&mut text, data);
    String::from_utf8(text).unwrap_or_default()
}

impl From<&Entry<'_>> for LogRow {
    fn from(entry: &Entry) -> Self {
        let fields = entry.fields();
        let mut row = Self {
            index: entry.index,
            offset: number(entry.offset),
            instr: entry.instructions,
            kind: fields.kind,
            callsite: fields.callsite,
            call: fields.call,
            address: fields.address.map(number),
            length: fields.length.map(number),
            value: fields.value.map(number),
            data: fields.payload.map(bytes),
            name: None,
            region_kind: None,
            added: None,
            way: None,
            source: None,
            destination: None,
            places: Vec::new(),
        };
        if let Event::Panda(_, panda::Event::SkippedCall(call)) = entry.event() {
            row.add(&call);
        }
        row
    }
}

impl LogRow {
    fn add(&mut self, call: &Call) {
        match call {
            Call::MemRegionChange(change) => {
                self.name = Some(change.name.escape_ascii().to_string());
                self.region_kind = Some(change.kind_name());
                self.added = Some(change.added);
            }
            Call::HdTransfer(moved) | Call::NetTransfer(moved) => {
                self.way = Some(moved.way);
                self.source = Some(number(moved.source));
                self.destination = Some(number(moved.destination));
            }
            _ => {}
        }
    }
}
