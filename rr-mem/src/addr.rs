//! Addresses of the chain's spaces, as newtypes that cannot be mixed.
//!
//! All are 64-bit byte addresses and print as `0x`-hex. Arithmetic wraps only
//! where a function says so.

mod set;

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use set::RangeSet;

/// Which space an address belongs to; used in error messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AddressKind {
    /// Guest virtual.
    Gva,
    /// Guest physical.
    Gpa,
    /// Host virtual, in the emulator's process.
    Hva,
    /// Byte offset in a file.
    File,
    /// Byte offset in the memory of an image.
    Image,
}

impl fmt::Display for AddressKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            AddressKind::Gva => "guest virtual address",
            AddressKind::Gpa => "guest physical address",
            AddressKind::Hva => "host virtual address",
            AddressKind::File => "file offset",
            AddressKind::Image => "image offset",
        })
    }
}

/// An address of one of the kinds in [`AddressKind`].
pub trait Address: Copy + Ord + fmt::Debug + fmt::Display + Send + Sync + 'static {
    /// The kind that this type is.
    const KIND: AddressKind;
    /// The address from its number.
    fn from_raw(raw: u64) -> Self;
    /// The number, in bytes from the start of the space.
    fn raw(self) -> u64;
    /// The address `bytes` further on, `None` past the end of the space.
    fn checked_add(self, bytes: u64) -> Option<Self> {
        self.raw().checked_add(bytes).map(Self::from_raw)
    }
}

macro_rules! address {
    ($(#[$doc:meta])* $name:ident, $space:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(transparent)]
        pub struct $name(pub u64);

        impl Address for $name {
            const KIND: AddressKind = $space;
            #[inline]
            fn from_raw(raw: u64) -> Self {
                Self(raw)
            }
            #[inline]
            fn raw(self) -> u64 {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:#x}", self.0)
            }
        }

        impl fmt::LowerHex for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::LowerHex::fmt(&self.0, f)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                hex::serialize(&self.0, serializer)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                hex::deserialize(deserializer).map(Self)
            }
        }
    };
}

address!(
    /// A guest virtual address, in bytes.
    Gva,
    AddressKind::Gva
);
address!(
    /// A guest physical address, in bytes.
    Gpa,
    AddressKind::Gpa
);
address!(
    /// A host virtual address in the emulator's process, in bytes.
    Hva,
    AddressKind::Hva
);
address!(
    /// A byte offset in a file.
    FileOffset,
    AddressKind::File
);
address!(
    /// A byte of an image's memory: an offset in the file where memory lies in
    /// order, a place in the row of its pages where it does not.
    ImageOffset,
    AddressKind::Image
);

/// Bytes of the smallest page of any architecture here. Sources leave out whole
/// pages, so memory is kept, compared and counted in these.
pub const PAGE: u64 = 4096;

/// An address of the guest, virtual or physical.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GuestAddress {
    /// As the CPU's programs see it.
    Virtual(Gva),
    /// As the CPU's bus sees it.
    Physical(Gpa),
}

impl GuestAddress {
    /// Which of the two it is.
    #[must_use]
    pub const fn kind(self) -> AddressKind {
        match self {
            Self::Virtual(_) => AddressKind::Gva,
            Self::Physical(_) => AddressKind::Gpa,
        }
    }

    /// The number, in bytes from the start of the space.
    #[must_use]
    pub const fn raw(self) -> u64 {
        match self {
            Self::Virtual(gva) => gva.0,
            Self::Physical(gpa) => gpa.0,
        }
    }

    /// The address of this number in the same space.
    #[must_use]
    pub const fn with_raw(self, raw: u64) -> Self {
        match self {
            Self::Virtual(_) => Self::Virtual(Gva(raw)),
            Self::Physical(_) => Self::Physical(Gpa(raw)),
        }
    }

    /// The address `bytes` further on, `None` past the end of the space.
    #[must_use]
    pub fn checked_add(self, bytes: u64) -> Option<Self> {
        self.raw().checked_add(bytes).map(|raw| self.with_raw(raw))
    }
}

impl From<Gva> for GuestAddress {
    fn from(gva: Gva) -> Self {
        Self::Virtual(gva)
    }
}

impl From<Gpa> for GuestAddress {
    fn from(gpa: Gpa) -> Self {
        Self::Physical(gpa)
    }
}

impl fmt::Display for GuestAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.raw())
    }
}

/// Serde form of numbers in JSON: `"0x..."` strings, so that no reader loses
/// the low bits of a 64-bit or 128-bit number. Use as `#[serde(with = "hex")]`.
pub mod hex {
    use std::fmt::{self, LowerHex, Write};

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    /// Writes `value` as a `0x`-hex string.
    ///
    /// # Errors
    /// Only the serializer's own.
    pub fn serialize<T: LowerHex, S: Serializer>(value: &T, s: S) -> Result<S::Ok, S::Error> {
        let mut text = Text { bytes: [0; MOST], len: 0 };
        let fits = write!(text, "{value:#x}").is_ok();
        match std::str::from_utf8(&text.bytes[..text.len]) {
            Ok(text) if fits => s.serialize_str(text),
            _ => s.serialize_str(&format!("{value:#x}")),
        }
    }

    /// Characters of the largest number: `0x` and 128 bits.
    const MOST: usize = 34;

    /// Text on the stack: there are many numbers in many rows.
    struct Text {
        bytes: [u8; MOST],
        len: usize,
    }

    impl Write for Text {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            let end = self.len + text.len();
            let free = self.bytes.get_mut(self.len..end).ok_or(fmt::Error)?;
            free.copy_from_slice(text.as_bytes());
            self.len = end;
            Ok(())
        }
    }

    /// Reads a `0x`-hex string that fits `T`.
    ///
    /// # Errors
    /// When the string has no `0x`, is no number, or does not fit.
    pub fn deserialize<'de, T: TryFrom<u128>, D: Deserializer<'de>>(d: D) -> Result<T, D::Error> {
        let text = String::deserialize(d)?;
        text.strip_prefix("0x")
            .and_then(|digits| u128::from_str_radix(digits, 16).ok())
            .and_then(|number| T::try_from(number).ok())
            .ok_or_else(|| D::Error::custom(format!("not a hex number that fits: {text:?}")))
    }
}

/// A number that is written in hex: `0x..` in text, a `"0x.."` string in JSON.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hex<T>(pub T);

impl<T> From<T> for Hex<T> {
    fn from(number: T) -> Self {
        Self(number)
    }
}

impl<T: fmt::LowerHex> fmt::Display for Hex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

impl<T: fmt::LowerHex> fmt::LowerHex for Hex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::LowerHex::fmt(&self.0, f)
    }
}

impl<T: fmt::LowerHex> Serialize for Hex<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        hex::serialize(&self.0, serializer)
    }
}

impl<'de, T: TryFrom<u128>> Deserialize<'de> for Hex<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        hex::deserialize(deserializer).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_hex_strings_in_json() {
        let json = serde_json::to_string(&Gva(u64::MAX)).expect("serialises");
        assert_eq!(json, "\"0xffffffffffffffff\"");
        assert_eq!(serde_json::from_str::<Gva>(&json).expect("parses"), Gva(u64::MAX));
        assert!(serde_json::from_str::<Gva>("\"0x10000000000000000\"").is_err());
        assert!(serde_json::from_str::<Gva>("\"12\"").is_err());
        let largest = serde_json::to_string(&Hex(u128::MAX)).expect("serialises");
        assert_eq!(largest, format!("\"{:#x}\"", u128::MAX));
    }

    #[test]
    fn adding_past_the_end_of_the_space_is_none() {
        assert_eq!(Gpa(u64::MAX).checked_add(1), None);
        assert_eq!(Gpa(1).checked_add(2), Some(Gpa(3)));
        assert_eq!(GuestAddress::from(Gva(u64::MAX)).checked_add(1), None);
        assert_eq!(GuestAddress::from(Gpa(1)).checked_add(2), Some(Gpa(3).into()));
        assert_eq!(GuestAddress::from(Gpa(1)).kind(), AddressKind::Gpa);
    }
}
