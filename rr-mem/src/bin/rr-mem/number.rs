//! Numbers and ranges as people type them.

use std::ops::RangeInclusive;

/// Hex with `0x`, or decimal; `_` between digits is passed over.
pub fn number(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let plain = text.replace('_', "");
    let parsed = match plain.strip_prefix("0x").or_else(|| plain.strip_prefix("0X")) {
        // Rust's own parsers take a sign.
        Some(digits) if !digits.starts_with('+') => u64::from_str_radix(digits, 16).ok(),
        None if !plain.starts_with('+') => plain.parse().ok(),
        _ => None,
    };
    parsed.ok_or_else(|| format!("not a 64-bit number: {text:?} (hex needs 0x)"))
}

/// `A-B` with both ends included, or `A+LENGTH`, or one address.
pub fn range(text: &str) -> Result<RangeInclusive<u64>, String> {
    if let Some((start, len)) = text.split_once('+') {
        let (start, len) = (number(start)?, number(len)?);
        let last = len.checked_sub(1).ok_or_else(|| format!("an empty range: {text:?}"))?;
        let last = start.checked_add(last).ok_or_else(|| format!("past 64 bits: {text:?}"))?;
        return Ok(start..=last);
    }
    let (start, last) = text.split_once('-').unwrap_or((text, text));
    let (start, last) = (number(start)?, number(last)?);
    if start > last {
        return Err(format!("the range ends before it starts: {text:?}"));
    }
    Ok(start..=last)
}

/// Bytes as hex digits, in pairs; spaces between them are passed over.
pub fn bytes(text: &str) -> Result<Vec<u8>, String> {
    let bad = || format!("not bytes in hex: {text:?} (such as 7f454c46)");
    let digits: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    let digits = digits.strip_prefix("0x").unwrap_or(&digits);
    let hex = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    if digits.is_empty() || !digits.len().is_multiple_of(2) || !hex {
        return Err(bad());
    }
    let pair = |i| u8::from_str_radix(&digits[i..i + 2], 16).map_err(|_| bad());
    (0..digits.len()).step_by(2).map(pair).collect()
}

/// A number from `least` to `most`.
pub fn bounded(text: &str, least: u64, most: u64) -> Result<u64, String> {
    match number(text)? {
        value if (least..=most).contains(&value) => Ok(value),
        _ => Err(format!("not from {least} to {most}: {text:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_hex_with_0x_or_decimal() {
        assert_eq!(number("0xffffffff81000000"), Ok(0xffff_ffff_8100_0000));
        assert_eq!(number("4096"), Ok(4096));
        assert_eq!(number("0xffff_8000_0000_0000"), Ok(0xffff_8000_0000_0000));
        assert!(number("ff").is_err());
        assert!(number("0x+5").is_err() && number("+5").is_err() && number("-5").is_err());
        assert!(number("0x1ffffffffffffffff").is_err());
    }

    #[test]
    fn ranges_include_their_end_up_to_the_top_of_the_space() {
        assert_eq!(range("0x1000-0x1fff"), Ok(0x1000..=0x1fff));
        assert_eq!(range("0x1000+0x1000"), Ok(0x1000..=0x1fff));
        assert_eq!(range("0xfffffffffffff000+0x1000"), Ok(0xffff_ffff_ffff_f000..=u64::MAX));
        assert!(range("0xfffffffffffff000+0x1001").is_err());
        assert!(range("2-1").is_err());
        assert!(range("0+0").is_err());
    }

    #[test]
    fn bytes_are_pairs_of_hex_digits() {
        assert_eq!(bytes("7f 45"), Ok(vec![0x7f, 0x45]));
        assert!(bytes("7").is_err() && bytes("+f").is_err());
        assert!(bytes("").is_err());
        assert!(bytes("äö").is_err());
    }
}
