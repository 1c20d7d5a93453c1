//! All registers of all architectures. The tables (`x86.rs`, `arm.rs`, ...) are the only
//! lists: names in answers, flags, keywords and the notes of slices come from there.

use std::{fmt, str::FromStr};

use serde::{Serialize, Serializer};
use thiserror::Error;

use super::{
    Arch,
    register::{Info, Register, RegisterSet},
    tables,
};
use crate::advice::Setting;

/// A register that cannot have a value.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RegisterError {
    /// The architecture has none of that name.
    #[error("{arch} has no register {keyword} that steers paging")]
    NotOf {
        /// The word it was given by.
        keyword: String,
        /// The architecture.
        arch: Arch,
    },
    /// The value is out of its range.
    #[error("{register} is {least} to {most}, not {value:#x}")]
    Value {
        /// Which.
        register: Register,
        /// The value.
        value: u64,
        /// The least it can be.
        least: u64,
        /// The most it can be.
        most: u64,
    },
}

impl RegisterError {
    /// A short stable name for scripts.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::NotOf { .. } => "no_such_register",
            Self::Value { .. } => "register_value",
        }
    }
}

/// Every register of every architecture once, in the order of help texts.
pub fn all() -> impl Iterator<Item = &'static Info> {
    let mut all: Vec<&Info> = Vec::new();
    for info in tables().into_iter().flatten() {
        all.retain(|known| known.register != info.register);
        all.push(info);
    }
    all.into_iter()
}

impl Register {
    /// What is known of it.
    #[must_use]
    pub fn info(self) -> &'static Info {
        // Every variant is in a table, which a test holds.
        all().find(|info| info.register == self).unwrap_or(tables()[0][0])
    }

    /// The manual's name, without the suffix of an exception level.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.info().name
    }

    /// The word it is given by: `cr3`, `phys_bits`.
    #[must_use]
    pub fn keyword(self) -> &'static str {
        self.info().keyword
    }

    /// What a face has a name for.
    #[must_use]
    pub fn setting(self) -> Setting {
        Setting::Register(self.keyword())
    }

    /// Whether it holds the base of tables.
    #[must_use]
    pub fn is_table_base(self) -> bool {
        self.info().table_base
    }
}

impl fmt::Display for Register {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl Serialize for Register {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.keyword())
    }
}

impl FromStr for Register {
    type Err = UnknownRegister;

    /// By its keyword, or its other word.
    fn from_str(keyword: &str) -> Result<Self, UnknownRegister> {
        let found = all().find(|info| info.keyword == keyword || info.alias == Some(keyword));
        found.map(|info| info.register).ok_or_else(|| UnknownRegister(keyword.to_owned()))
    }
}

/// No register of any architecture has this keyword.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("no register {0} steers paging")]
pub struct UnknownRegister(pub String);

impl RegisterSet {
    /// Its registers, in the order of help texts.
    pub fn iter(self) -> impl Iterator<Item = Register> {
        all().map(|info| info.register).filter(move |register| self.contains(*register))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_register_is_found_by_its_keyword() {
        for info in all() {
            assert_eq!(info.keyword.parse(), Ok(info.register));
            assert_eq!(info.register.info().keyword, info.keyword);
        }
        assert_eq!("eax".parse::<Register>(), Err(UnknownRegister("eax".into())));
    }

    #[test]
    fn every_variant_is_in_a_table() {
        let last = Register::PhysBits as u8;
        let found: RegisterSet = all().map(|info| info.register).collect();
        assert_eq!(found.iter().count(), usize::from(last) + 1);
    }

    #[test]
    fn sets_hold_what_was_put_in() {
        let set: RegisterSet = [Register::Cr3, Register::PhysBits].into_iter().collect();
        assert!(set.contains(Register::Cr3) && !set.contains(Register::Cr4));
        assert_eq!(set.without(Register::Cr3).iter().collect::<Vec<_>>(), [Register::PhysBits]);
        assert!(set.except(&[Register::Cr3, Register::PhysBits]).is_empty());
    }
}
