//! Entries of record/replay logs as text and rows.

pub mod compat;
pub mod line;
mod row;

pub use row::LogRow;

/// Appends a number in decimal.
#[inline]
pub(crate) fn decimal(out: &mut Vec<u8>, number: impl itoa::Integer) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// Appends a number as 0x and hex digits.
pub(crate) fn hex(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(b"0x");
    let digits = number.checked_ilog2().map_or(1, |top| top / 4 + 1);
    let digit = |place| DIGITS[(number >> (place * 4) & 15) as usize];
    out.extend((0..digits).rev().map(digit));
}

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// Appends bytes as pairs of hex digits.
pub(crate) fn hex_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    let pair = |&byte: &u8| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]];
    out.extend(bytes.iter().flat_map(pair));
}
