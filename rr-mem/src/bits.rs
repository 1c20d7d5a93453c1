//! Bit and field helpers, shared by every register and table entry.

/// Whether bit `n` (0 is the lowest) of `value` is set.
#[inline]
#[must_use]
pub const fn bit(value: u64, n: u32) -> bool {
    value >> n & 1 != 0
}

/// The field of `value` from bit `high` down to bit `low`, both included, as
/// the manuals write it: `field(v, 51, 12)` is v\[51:12\], shifted down.
#[inline]
#[must_use]
pub const fn field(value: u64, high: u32, low: u32) -> u64 {
    value >> low & mask(high - low + 1)
}

/// `value` with every bit outside `high..=low` cleared, not shifted.
#[inline]
#[must_use]
pub const fn keep(value: u64, high: u32, low: u32) -> u64 {
    value & mask(high - low + 1) << low
}

/// The lowest `bits` bits set; `bits` may be 0 to 64.
#[inline]
#[must_use]
pub const fn mask(bits: u32) -> u64 {
    if bits >= 64 { u64::MAX } else { (1 << bits) - 1 }
}

/// `value` with bit `bits - 1` copied into every bit above it.
#[inline]
#[must_use]
pub const fn sign_extend(value: u64, bits: u32) -> u64 {
    let unused = 64 - bits;
    ((value << unused) as i64 >> unused) as u64
}

/// Bytes as people write them: two hex digits each, the first byte first.
#[must_use]
pub fn hex_digits(bytes: &[u8]) -> String {
    let digit = |half: u8| char::from_digit(half.into(), 16).unwrap_or_default();
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_cut_as_the_manuals_write_them() {
        assert_eq!(field(0xabcd, 15, 8), 0xab);
        assert_eq!(keep(0xabcd, 15, 8), 0xab00);
        assert_eq!(field(u64::MAX, 63, 0), u64::MAX);
        assert!(bit(0x8000_0000_0000_0000, 63));
    }

    #[test]
    fn sign_extension_copies_the_top_bit_of_the_field() {
        assert_eq!(sign_extend(0x8000_0000_0000, 48), 0xffff_8000_0000_0000);
        assert_eq!(sign_extend(0x7fff_ffff_ffff, 48), 0x7fff_ffff_ffff);
        assert_eq!(sign_extend(u64::MAX, 64), u64::MAX);
    }
}
