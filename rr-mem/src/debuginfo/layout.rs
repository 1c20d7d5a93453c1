//! Where a struct's members are.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The members of some structs of a program, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layout {
    /// Whose layout it is, for people.
    #[serde(default)]
    pub emulator: String,
    /// The host architecture.
    #[serde(default)]
    pub host: String,
    /// Where it was read from, for people.
    #[serde(default)]
    pub source: String,
    /// Structs by name.
    pub structs: BTreeMap<String, StructLayout>,
}

/// The members of a struct.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StructLayout {
    /// Bytes of the struct, where known.
    #[serde(default)]
    pub size: Option<u64>,
    /// Members by name; those of inner structs as `outer.inner`.
    pub fields: BTreeMap<String, Field>,
}

/// A member: `[offset, size]` in JSON, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "(u64, u64)", into = "(u64, u64)")]
pub struct Field {
    /// From the start of the struct.
    pub offset: u64,
    /// Bytes.
    pub size: u64,
}

impl From<(u64, u64)> for Field {
    fn from((offset, size): (u64, u64)) -> Self {
        Self { offset, size }
    }
}

impl From<Field> for (u64, u64) {
    fn from(field: Field) -> Self {
        (field.offset, field.size)
    }
}

impl Layout {
    /// The member `field` of `of`, where the program has it.
    #[must_use]
    pub fn field(&self, of: &str, field: &str) -> Option<Field> {
        self.structs.get(of)?.fields.get(field).copied()
    }
}
