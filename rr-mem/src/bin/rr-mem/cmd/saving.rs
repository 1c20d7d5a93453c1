//! What commands that write a file of guest memory say of it.

use rr_mem::{
    addr::{PAGE, RangeSet},
    advice::Explain,
    save::{NewFileError, renumbered},
};

use crate::{
    output::{failed, note, usage},
    source::Opened,
};

/// What made a file, in words.
pub fn writer(command: &str) -> String {
    format!("rr-mem {command} {}", env!("CARGO_PKG_VERSION"))
}

/// Why a file is not written.
pub fn refuse(error: &NewFileError) -> anyhow::Error {
    match error {
        NewFileError::NotRegular { .. } => {
            usage(error, "give -o a file: its blocks of zeros become holes")
        }
        _ => failed(error, error.advice()),
    }
}

/// Says which CPUs have another number in the file.
pub fn note_numbers(opened: &Opened) {
    for (number, place) in renumbered(opened) {
        note(format!("CPU {number} of the source is CPU {place} of the file"));
    }
}

/// Says how much is left out, and where it begins.
pub fn left_out(what: &str, ranges: &RangeSet) {
    if let Some((first, _)) = ranges.iter().next() {
        let (pages, bytes) = (ranges.blocks(PAGE), ranges.count());
        note(format!("{what}: {pages} pages ({bytes:#x} bytes), the first at {first:#x}"));
    }
}
