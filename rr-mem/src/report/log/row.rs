//! An entry as a row of JSON.

use crate::{
    addr::Hex,
    replay::{
        Entry, Event,
        panda::{self, Call},
    },
    report::{Bytes, IfAsked, declare::row_structs},
};

/// Hands the row of an entry to the macro `$with`.
#[doc(hidden)]
#[macro_export]
macro_rules! declared_entry {
    ($with:ident) => {
        $with! {
            /// An entry of a log. Numbers of bits are hex, counts are numbers.
            struct LogRow as Entry {
                /// Its place in the log.
                index: u64,
                /// The byte of the log (unpacked) at which it starts.
                offset: Hex<u64>,
                /// Guest instructions executed before it.
                instr: u64,
                /// The format's name of the kind, without prefix.
                kind: &'static str,
                /// Where in the emulator the event came from.
                callsite: Option<&'static str>,
                /// What kind of call, clock, checkpoint or cause.
                call: Option<&'static str>,
                /// The guest address it is about. Some calls log a region's start, or
                /// an offset within a region.
                address: Option<Hex<u64>>,
                /// Bytes that it is about.
                length: Option<Hex<u64>>,
                /// The value that went in; of signed ones the bits in their own size.
                value: Option<Hex<u64>>,
                /// The data that went in, two hexadecimal digits a byte.
                data: Option<Bytes>,
                /// The name of a region.
                name: IfAsked<String>,
                /// What kind of region.
                region_kind: IfAsked<&'static str>,
                /// Whether the region came.
                added: IfAsked<bool>,
                /// The way of a transfer, such as HD_TO_RAM.
                way: IfAsked<&'static str>,
                /// From where a transfer went; a host pointer for an IOB.
                source: IfAsked<Hex<u64>>,
                /// To where it went.
                destination: IfAsked<Hex<u64>>,
                /// Regions and offsets that the address leads to, where a guest is
                /// known.
                places: IfAsked<Vec<String>>,
            }
        }
    };
}

declared_entry!(row_structs);

impl From<&Entry<'_>> for LogRow {
    fn from(entry: &Entry) -> Self {
        let fields = entry.fields();
        let mut row = Self {
            index: entry.index,
            offset: Hex(entry.offset),
            instr: entry.instructions,
            kind: fields.kind,
            callsite: fields.callsite,
            call: fields.call,
            address: fields.address.map(Hex),
            length: fields.length.map(Hex),
            value: fields.value.map(Hex),
            data: fields.payload.map(|data| Bytes(data.to_vec())),
            name: IfAsked(None),
            region_kind: IfAsked(None),
            added: IfAsked(None),
            way: IfAsked(None),
            source: IfAsked(None),
            destination: IfAsked(None),
            places: IfAsked(None),
        };
        if let Event::Panda(_, panda::Event::SkippedCall(call)) = entry.event() {
            row.add(&call);
        }
        row
    }
}

impl LogRow {
    /// The row with what its address leads to.
    #[must_use]
    pub fn at(self, places: Vec<String>) -> Self {
        Self { places: IfAsked(Some(places).filter(|places| !places.is_empty())), ..self }
    }

    fn add(&mut self, call: &Call) {
        match call {
            Call::MemRegionChange(change) => {
                self.name = IfAsked(Some(change.name.escape_ascii().to_string()));
                self.region_kind = IfAsked(Some(change.kind_name()));
                self.added = IfAsked(Some(change.added));
            }
            Call::HdTransfer(moved) | Call::NetTransfer(moved) => {
                self.way = IfAsked(Some(moved.way));
                self.source = IfAsked(Some(Hex(moved.source)));
                self.destination = IfAsked(Some(Hex(moved.destination)));
            }
            _ => {}
        }
    }
}
