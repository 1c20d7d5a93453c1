//! Makes structs of a declaration of rows, and describes rows.
//!
//! A declaration is a macro that hands its rows to another macro. The library
//! makes structs of them with [`row_structs`], Python makes classes. Types say
//! how a value is written: [`Hex`] and addresses are hex strings, so that no
//! field needs an attribute.

use serde::{Serialize, Serializer, ser::SerializeMap};

use crate::{
    addr::{Gpa, Gva, Hex, Hva},
    bits::hex_digits,
    regs::Arch,
};

/// A row: what its struct, its class and its JSON object are made from.
#[derive(Debug)]
pub struct RowSchema {
    /// The struct in [`crate::report`].
    pub name: &'static str,
    /// The class in Python; the second one, if any, is that of a row whose
    /// [`Found`] fields may be unknown.
    pub classes: &'static [&'static str],
    /// What it is, line by line.
    pub doc: &'static [&'static str],
    /// Its fields, in the order of the JSON object.
    pub fields: &'static [FieldSchema],
    /// Fields that JSON leaves out.
    pub beside: &'static [FieldSchema],
}

/// A field of a row.
#[derive(Debug)]
pub struct FieldSchema {
    /// Its name: the key in JSON, the attribute in Python.
    pub name: &'static str,
    /// What it holds.
    pub shape: &'static Shape,
    /// Declared as [`Found`].
    pub found: bool,
    /// What it is, line by line.
    pub doc: &'static [&'static str],
}

/// What a field holds.
#[derive(Debug)]
pub enum Shape {
    /// True or false.
    Bool,
    /// A number.
    Number,
    /// A number that JSON has as a `"0x.."` string.
    Hex,
    /// Text.
    Text,
    /// Bytes; JSON has two hexadecimal digits for each.
    Bytes,
    /// A value, or nothing: `null`, `None`.
    Optional(&'static Shape),
    /// A value, or no key at all.
    IfAsked(&'static Shape),
    /// Any number of values.
    List(&'static Shape),
    /// Values by name: an object, a list of pairs.
    Named(&'static Shape),
    /// Another row.
    Row(&'static RowSchema),
}

/// A type that a field may have.
pub trait Shaped {
    /// How it is written.
    const SHAPE: Shape;

    /// Whether JSON has no key for it.
    fn absent(&self) -> bool {
        false
    }
}

/// What a row says if there is an answer; a row that says there is none has
/// `None`.
pub type Found<T> = Option<T>;

/// What a row says only if it was asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct IfAsked<T>(pub Option<T>);

/// Bytes: in JSON two hexadecimal digits each, lowest address first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Bytes(pub Vec<u8>);

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex_digits(&self.0))
    }
}

/// Values by name, in their order; in JSON an object of hex strings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Named<T>(pub Vec<(&'static str, T)>);

impl<T> std::ops::Deref for Named<T> {
    type Target = [(&'static str, T)];

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl<T: Serialize> Serialize for Named<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        self.0.iter().try_for_each(|(name, value)| map.serialize_entry(name, value))?;
        map.end()
    }
}

macro_rules! shapes {
    ($($shape:ident: $($type:ty),*;)*) => {
        $($(impl Shaped for $type {
            const SHAPE: Shape = Shape::$shape;
        })*)*
    };
}

shapes! {
    Bool: bool;
    Number: u32, u64, usize, i32;
    Hex: Gva, Gpa, Hva;
    Text: String, &'static str, Arch;
    Bytes: Bytes;
}

impl<T> Shaped for Hex<T> {
    const SHAPE: Shape = Shape::Hex;
}

impl<T: Shaped> Shaped for Option<T> {
    const SHAPE: Shape = Shape::Optional(&T::SHAPE);
}

impl<T: Shaped> Shaped for Vec<T> {
    const SHAPE: Shape = Shape::List(&T::SHAPE);
}

impl<T: Shaped> Shaped for Named<T> {
    const SHAPE: Shape = Shape::Named(&T::SHAPE);
}

impl<T: Shaped> Shaped for IfAsked<T> {
    const SHAPE: Shape = Shape::IfAsked(&T::SHAPE);

    fn absent(&self) -> bool {
        self.0.is_none()
    }
}

/// Whether a type, as it is written, is [`Found`].
pub(super) const fn is_found(declared: &str) -> bool {
    matches!(declared.as_bytes(), [b'F', b'o', b'u', b'n', b'd', b' ' | b'<', ..])
}

/// The key of a field; a word of Rust's own is written `r#word`.
pub(super) const fn key(name: &'static str) -> &'static str {
    match name.as_bytes() {
        [b'r', b'#', ..] => name.split_at(2).1,
        _ => name,
    }
}

/// Makes structs of rows: documentation, `struct Name as Class, whole Class {
/// fields } beside { fields that JSON leaves out }`. Classes and `beside` are
/// optional.
macro_rules! row_structs {
    ($($(#[doc = $doc:literal])*
    struct $row:ident $(as $class:ident $(, whole $whole:ident)?)? {
        $($(#[doc = $field_doc:literal])* $field:ident: $type:ty,)*
    } $(beside {
        $($(#[doc = $beside_doc:literal])* $beside:ident: $beside_type:ty,)*
    })?)*) => {
        $(
            $(#[doc = $doc])*
            #[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize)]
            pub struct $row {
                $(
                    $(#[doc = $field_doc])*
                    #[serde(skip_serializing_if = "crate::report::Shaped::absent")]
                    pub $field: $type,
                )*
                $($(
                    $(#[doc = $beside_doc])*
                    #[serde(skip)]
                    pub $beside: $beside_type,
                )*)?
            }

            impl $row {
                /// What it is made from.
                pub const SCHEMA: crate::report::RowSchema = crate::report::RowSchema {
                    name: stringify!($row),
                    classes: &[$(stringify!($class), $(stringify!($whole))?)?],
                    doc: &[$($doc),*],
                    fields: &[$(crate::report::declare::field!($field: $type, [$($field_doc),*])),*],
                    beside: &[$($(
                        crate::report::declare::field!($beside: $beside_type, [$($beside_doc),*])
                    ),*)?],
                };
            }

            impl crate::report::Shaped for $row {
                const SHAPE: crate::report::Shape = crate::report::Shape::Row(&Self::SCHEMA);
            }
        )*

        /// What the rows are made from, in their order.
        pub const SCHEMAS: &[crate::report::RowSchema] = &[$($row::SCHEMA),*];
    };
}

macro_rules! field {
    ($field:ident: $type:ty, [$($doc:literal),*]) => {
        crate::report::FieldSchema {
            name: crate::report::declare::key(stringify!($field)),
            shape: &<$type as crate::report::Shaped>::SHAPE,
            found: crate::report::declare::is_found(stringify!($type)),
            doc: &[$($doc),*],
        }
    };
}

pub(crate) use {field, row_structs};
