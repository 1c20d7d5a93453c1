//! Entries as a table of comma-separated values (RFC 4180).

use std::io::Write;

use super::hex_bytes;
use crate::replay::Entry;

/// The columns.
pub const HEAD: &[u8] = b"index,instr,kind,callsite,call,address,length,value,payload\n";

/// Appends the row of an entry.
pub fn row(text: &mut Vec<u8>, entry: &Entry) {
    let fields = entry.fields();
    let number = |number: Option<u64>| number.map_or(String::new(), |number| number.to_string());
    // A vector takes all.
    let _ = write!(
        text,
        "{},{},{},{},{},{},{},{},",
        entry.index,
        entry.instructions,
        fields.kind,
        fields.callsite.unwrap_or_default(),
        fields.call.unwrap_or_default(),
        number(fields.address),
        number(fields.length),
        number(fields.value)
    );
    hex_bytes(text, fields.payload.unwrap_or_default());
    text.push(b'\n');
}
