//! The formats of gdb's `x` command ("Examining Memory", "Output Formats" of
//! the gdb manual): a count, a letter and a size, and how values look.

use std::fmt::Write;

use thiserror::Error;

use crate::{
    addr::GuestAddress,
    guest::{Guest, GuestReadError},
    memory::Memory,
};

/// How a value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Letter {
    /// `o`
    Octal,
    /// `x`
    Hex,
    /// `z`: hex, padded with zeros
    PaddedHex,
    /// `d`
    Decimal,
    /// `u`
    Unsigned,
    /// `t`
    Binary,
    /// `f`
    Float,
    /// `a`
    Address,
    /// `c`
    Char,
    /// `s`
    String,
}

/// A parsed format such as `4gx`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Format {
    /// Values to show.
    pub count: u64,
    /// How.
    pub letter: Letter,
    /// Bytes of a value: 1, 2, 4 or 8.
    pub size: usize,
}

/// Why a format could not be parsed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("not a format: {0:?} (a count, a letter of oxzdutfacs and a size of bhwg, such as 4gx)")]
pub struct BadFormat(String);

/// Values on a line, bytes of a string shown: gdb's defaults.
const STRING_LIMIT: usize = 200;
const REPEAT_THRESHOLD: usize = 10;

impl Format {
    /// Parses `text`, on a guest whose pointers have `pointer` bytes. Like
    /// gdb's first `x`, the default is one word in hex.
    ///
    /// # Errors
    /// [`BadFormat`].
    pub fn parse(text: &str, pointer: usize) -> Result<Self, BadFormat> {
        Self::parse_after(text, pointer, None)
    }

    /// The same behind an `x` of the format `last`, whose letter and size are
    /// the defaults.
    ///
    /// # Errors
    /// [`BadFormat`].
    pub fn parse_after(text: &str, pointer: usize, last: Option<Self>) -> Result<Self, BadFormat> {
        let bad = || BadFormat(text.to_owned());
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let count = match &text[..digits] {
            "" => 1,
            digits => digits.parse().map_err(|_| bad())?,
        };
        let (mut letter, mut size) = (None, None);
        for byte in text[digits..].bytes() {
            let slot = (letter_of(byte), size_of(byte));
            match slot {
                (Some(found), _) if letter.is_none() => letter = Some(found),
                (_, Some(found)) if size.is_none() => size = Some(found),
                _ => return Err(bad()),
            }
        }
        let letter = letter.or(last.map(|last| last.letter)).unwrap_or(Letter::Hex);
        let size = match letter {
            Letter::Address => pointer,
            _ => size.unwrap_or(usual_size(letter, last)),
        };
        if letter == Letter::String && size != 1 {
            return Err(bad());
        }
        Ok(Self { count, letter, size })
    }

    /// Whether values are strings, whose length is their own.
    #[must_use]
    pub fn is_string(&self) -> bool {
        self.letter == Letter::String
    }

    /// The format of one value of this, as text.
    #[must_use]
    pub fn unit(&self) -> String {
        let size = match self.size {
            1 => 'b',
            2 => 'h',
            4 => 'w',
            _ => 'g',
        };
        let letter = LETTERS.iter().find(|(_, letter)| *letter == self.letter);
        letter.map_or('x', |(byte, _)| char::from(*byte)).to_string() + &size.to_string()
    }

    /// Values on one line.
    #[must_use]
    pub fn per_line(&self) -> usize {
        match (self.letter, self.size) {
            (Letter::String, _) => 1,
            (_, 1 | 2) => 8,
            (_, 4) => 4,
            _ => 2,
        }
    }

    /// The value in `bytes`, which are `size` and little-endian.
    #[must_use]
    pub fn value(&self, bytes: &[u8]) -> String {
        let raw = bytes.iter().rev().fold(0, |raw: u64, byte| raw << 8 | u64::from(*byte));
        let bits = 8 * self.size as u32;
        let signed = crate::bits::sign_extend(raw, bits) as i64;
        match self.letter {
            Letter::Octal if raw == 0 => "0".into(),
            Letter::Octal => format!("0{raw:o}"),
            Letter::Hex | Letter::PaddedHex => format!("0x{raw:0width$x}", width = 2 * self.size),
            Letter::Decimal => signed.to_string(),
            Letter::Unsigned => raw.to_string(),
            Letter::Binary => format!("{raw:0width$b}", width = 8 * self.size),
            Letter::Float => float(raw, signed, self.size),
            Letter::Address => format!("{raw:#x}"),
            Letter::Char => char_value(raw, signed),
            Letter::String => quoted(bytes),
        }
    }
}

/// The size of a value when none is given. Characters and strings have their
/// own sizes, which later formats do not inherit.
fn usual_size(letter: Letter, last: Option<Format>) -> usize {
    let last = last.filter(|last| !last.is_string()).map(|last| last.size);
    match letter {
        Letter::Char | Letter::String => 1,
        Letter::Float => last.filter(|size| *size >= 4).unwrap_or(8),
        _ => last.unwrap_or(4),
    }
}

/// As gdb names them.
const LETTERS: [(u8, Letter); 10] = [
    (b'o', Letter::Octal),
    (b'x', Letter::Hex),
    (b'z', Letter::PaddedHex),
    (b'd', Letter::Decimal),
    (b'u', Letter::Unsigned),
    (b't', Letter::Binary),
    (b'f', Letter::Float),
    (b'a', Letter::Address),
    (b'c', Letter::Char),
    (b's', Letter::String),
];

fn letter_of(byte: u8) -> Option<Letter> {
    LETTERS.iter().find(|(known, _)| *known == byte).map(|(_, letter)| *letter)
}

fn size_of(byte: u8) -> Option<usize> {
    Some(match byte {
        b'b' => 1,
        b'h' => 2,
        b'w' => 4,
        b'g' => 8,
        _ => return None,
    })
}

/// A float of 4 or 8 bytes; gdb shows smaller ones as integers.
fn float(raw: u64, signed: i64, size: usize) -> String {
    match size {
        8 => general(f64::from_bits(raw), 17, raw >> 63 != 0, raw & ((1 << 52) - 1)),
        4 => {
            let value = f32::from_bits(raw as u32);
            general(f64::from(value), 9, raw >> 31 != 0, raw & ((1 << 23) - 1))
        }
        _ => signed.to_string(),
    }
}

/// C's `%g` with `digits` significant digits, and gdb's words for what is none.
fn general(value: f64, digits: usize, negative: bool, mantissa: u64) -> String {
    let sign = if negative { "-" } else { "" };
    if value.is_nan() {
        return format!("{sign}nan({mantissa:#x})");
    }
    if value.is_infinite() {
        return format!("{sign}inf");
    }
    if value == 0.0 {
        return format!("{sign}0");
    }
    let scientific = format!("{value:.*e}", digits - 1);
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let trimmed = |text: &str| match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text.to_owned(),
    };
    if exponent < -4 || exponent >= digits as i32 {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{}e{sign}{:02}", trimmed(mantissa), exponent.abs());
    }
    let decimals = (digits as i32 - 1 - exponent).max(0) as usize;
    trimmed(&format!("{value:.decimals$}"))
}

/// The number and, for what fits a byte, the character.
fn char_value(raw: u64, signed: i64) -> String {
    let byte = raw as u8;
    format!("{} '{}'", signed as i8, escaped(byte, b'\''))
}

/// A byte as C writes it in a literal with this quote.
fn escaped(byte: u8, quote: u8) -> String {
    match byte {
        b'\n' => "\\n".into(),
        b'\t' => "\\t".into(),
        b'\r' => "\\r".into(),
        7 => "\\a".into(),
        8 => "\\b".into(),
        11 => "\\v".into(),
        12 => "\\f".into(),
        b'\\' => "\\\\".into(),
        _ if byte == quote => format!("\\{}", byte as char),
        0x20..0x7f => (byte as char).to_string(),
        27 => "\\033".into(),
        _ => format!("\\{byte:03o}"),
    }
}

/// A string as gdb shows it: runs of more than 10 equal bytes apart.
#[must_use]
pub fn quoted(bytes: &[u8]) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut open = String::new();
    for run in bytes.chunk_by(|a, b| a == b) {
        if run.len() > REPEAT_THRESHOLD {
            if !open.is_empty() {
                parts.push(format!("\"{open}\""));
                open.clear();
            }
            parts.push(format!("'{}' <repeats {} times>", escaped(run[0], b'\''), run.len()));
        } else {
            for &byte in run {
                let _ = write!(open, "{}", escaped(byte, b'"'));
            }
        }
    }
    if !open.is_empty() || parts.is_empty() {
        parts.push(format!("\"{open}\""));
    }
    parts.join(", ")
}

/// The bytes that `s` shows at the start of `bytes`: up to the NUL or the
/// limit. `(bytes shown, bytes to go on after, cut by the limit)`.
#[must_use]
pub fn string_at(bytes: &[u8]) -> (&[u8], usize, bool) {
    let window = &bytes[..bytes.len().min(STRING_LIMIT)];
    match window.iter().position(|&byte| byte == 0) {
        Some(end) => (&window[..end], end + 1, false),
        None => (window, window.len(), true),
    }
}

/// The most bytes that one string looks at.
pub const STRING_WINDOW: usize = STRING_LIMIT;

/// Bytes read at once.
const CHUNK: usize = 1 << 16;

/// Shows what `guest` has at `start`, line by line: the line's address and its
/// values. Returns the address to go on from.
///
/// # Errors
/// Those of `show`; what ended the reading is in the result.
pub fn lines<M: Memory, E>(
    format: Format,
    start: GuestAddress,
    guest: &Guest<M>,
    mut show: impl FnMut(u64, Vec<String>) -> Result<(), E>,
) -> Result<Result<u64, GuestReadError>, E> {
    match format.letter {
        Letter::String => strings(format, start, guest, &mut show),
        _ => values(format, start, guest, &mut show),
    }
}

fn values<M: Memory, E>(
    format: Format,
    start: GuestAddress,
    guest: &Guest<M>,
    show: &mut impl FnMut(u64, Vec<String>) -> Result<(), E>,
) -> Result<Result<u64, GuestReadError>, E> {
    let line = format.per_line() * format.size;
    let mut bytes = vec![0; CHUNK / line * line];
    let mut done: u64 = 0;
    let mut left = u128::from(format.count) * format.size as u128;
    while left > 0 {
        let wanted = left.min(bytes.len() as u128) as usize;
        let (len, error) = guest.read_at(start, done, &mut bytes[..wanted]);
        let addr = start.raw().wrapping_add(done);
        let whole = len / format.size * format.size;
        for (i, row) in bytes[..whole].chunks(line).enumerate() {
            let values = row.chunks(format.size).map(|value| format.value(value)).collect();
            show(addr.wrapping_add((i * line) as u64), values)?;
        }
        if let Some(error) = error {
            return Ok(Err(error));
        }
        done += len as u64;
        left -= len as u128;
    }
    Ok(Ok(start.raw().wrapping_add(done)))
}

fn strings<M: Memory, E>(
    format: Format,
    start: GuestAddress,
    guest: &Guest<M>,
    show: &mut impl FnMut(u64, Vec<String>) -> Result<(), E>,
) -> Result<Result<u64, GuestReadError>, E> {
    let mut done = 0;
    for _ in 0..format.count {
        let mut bytes = [0; STRING_WINDOW];
        let (len, error) = guest.read_at(start, done, &mut bytes);
        let addr = start.raw().wrapping_add(done);
        let (string, next, cut) = string_at(&bytes[..len]);
        if let (Some(error), true) = (error, cut) {
            if !string.is_empty() {
                show(addr, vec![quoted(string)])?;
            }
            return Ok(Err(error));
        }
        let dots = if cut { "..." } else { "" };
        show(addr, vec![format!("{}{dots}", quoted(string))])?;
        done += next as u64;
    }
    Ok(Ok(start.raw().wrapping_add(done)))
}
