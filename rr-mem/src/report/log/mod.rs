//! Entries of record/replay logs as text and rows.

mod answers;
pub mod compat;
pub mod csv;
mod declared;
mod difference;
pub mod line;
pub mod places;
mod regions;
mod row;
mod stat;

pub use answers::DiskEvent;
pub use declared::{
    CountRow, FindingRow, HashRow, KindDifferenceRow, LargeRow, LogDiffRow, PacketRow,
    RegionChangeRow, SCHEMAS, SerialRow, StatRow,
};
pub use regions::RegionsAt;
pub use row::{LogRow, SCHEMAS as ENTRIES};

/// Digits of the largest number.
const MOST_DIGITS: usize = 20;

/// Appends a number in decimal. The digits are written in place: making them
/// costs less than copying them.
#[inline]
pub(crate) fn decimal(out: &mut Vec<u8>, mut number: u64) {
    let start = out.len();
    let mut at = start + number.checked_ilog10().map_or(1, |top| top as usize + 1);
    let end = at;
    out.extend_from_slice(&[b'0'; MOST_DIGITS]);
    while number >= 10 {
        at -= 2;
        out[at..at + 2].copy_from_slice(&PAIRS[(number % 100) as usize]);
        number /= 100;
    }
    if at > start {
        out[start] = b'0' + number as u8;
    }
    out.truncate(end);
}

/// Appends a number with its sign.
#[inline]
pub(crate) fn signed(out: &mut Vec<u8>, number: i32) {
    if number < 0 {
        out.push(b'-');
    }
    decimal(out, number.unsigned_abs().into());
}

/// 00 to 99.
const PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[0; 2]; 100];
    let mut number = 0;
    while number < 100 {
        pairs[number] = [b'0' + (number / 10) as u8, b'0' + (number % 10) as u8];
        number += 1;
    }
    pairs
};

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_the_standard_library_writes_them() {
        let powers = (0..20).map(|power| 10u64.pow(power));
        for number in powers.flat_map(|power| [power - 1, power, power + 7]).chain([u64::MAX]) {
            let mut out = b"x".to_vec();
            decimal(&mut out, number);
            hex(&mut out, number);
            assert_eq!(String::from_utf8_lossy(&out), format!("x{number}{number:#x}"));
        }
        for number in [i32::MIN, -1, 0, 1, i32::MAX] {
            let mut out = Vec::new();
            signed(&mut out, number);
            assert_eq!(String::from_utf8_lossy(&out), number.to_string());
        }
    }
}
