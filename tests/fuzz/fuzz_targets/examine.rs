//! The formats of `x`: any text, any bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rr_mem::report::examine::{Format, Letter, quoted, string_at};

fuzz_target!(|input: (&str, bool, &[u8])| {
    let (text, wide, bytes) = input;
    let (shown, next, cut) = string_at(bytes);
    assert!(shown.len() <= next && next <= bytes.len().max(shown.len()));
    assert!(cut || next == shown.len() + 1);
    assert!(quoted(shown).bytes().all(|byte| (0x20..0x7f).contains(&byte)));
    let Ok(format) = Format::parse(text, if wide { 8 } else { 4 }) else { return };
    assert!([1, 2, 4, 8].contains(&format.size) && format.per_line() > 0);
    for value in bytes.chunks_exact(format.size) {
        let text = format.value(value);
        let raw = value.iter().rev().fold(0, |raw: u64, byte| raw << 8 | u64::from(*byte));
        match format.letter {
            Letter::Hex | Letter::PaddedHex | Letter::Address => {
                assert_eq!(u64::from_str_radix(&text[2..], 16), Ok(raw));
            }
            Letter::Unsigned => assert_eq!(text.parse(), Ok(raw)),
            Letter::Binary => assert_eq!(u64::from_str_radix(&text, 2), Ok(raw)),
            Letter::Octal => assert_eq!(u64::from_str_radix(&text, 8), Ok(raw)),
            _ => assert!(!text.is_empty()),
        }
    }
});
