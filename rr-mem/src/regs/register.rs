//! A register as a type, and what a line of an architecture's table says of it: its
//! name, the word it is given by, the values it takes.

/// A register, or another property of a CPU, that steers paging.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
#[allow(missing_docs)]
pub enum Register {
    Cr0,
    Cr3,
    Cr4,
    Efer,
    Cpl,
    Ac,
    A20,
    Pages1g,
    Pkru,
    Pkrs,
    NestedPaging,
    EncryptionBit,
    El,
    Ttbr0,
    Ttbr1,
    Tcr,
    Sctlr,
    Dacr,
    Hcr,
    Vttbr,
    Vtcr,
    Pan,
    FcseIdr,
    Tcr2,
    Sctlr2,
    Pir,
    Pire0,
    Por,
    PorEl0,
    Gpccr,
    ArmVersion,
    Pmsa,
    Xscale,
    MpuCtrl,
    NegativePriority,
    State,
    PhysBits,
}

/// What is known of a register, whoever owns it.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Info {
    /// Which it is.
    pub register: Register,
    /// The manual's name, without the suffix of an exception level.
    pub name: &'static str,
    /// The word that gives it: a keyword of Python, a key of a slice's note; a
    /// flag, with `-` for `_`.
    pub keyword: &'static str,
    /// Another word for it, in another state of the CPU.
    pub alias: Option<&'static str>,
    /// What it is, for people.
    pub about: &'static str,
    /// The values it takes.
    pub values: Values,
    /// Whether it holds the base of tables.
    pub table_base: bool,
    /// Whether it decides the format of tables.
    pub chooses_mode: bool,
    /// Whether a user may give it by hand.
    pub given: bool,
    /// Whether it is a feature of the CPU, not a register that dumps show.
    pub feature: bool,
    /// Whether an unknown value is worth a remark: it could change an answer.
    pub remarkable: bool,
    /// Whether most sources do not tell it.
    pub rare: bool,
}

/// The values that a register takes.
#[derive(Clone, Debug, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Values {
    /// Any number of 64 bits.
    Any,
    /// 0 or 1.
    Switch,
    /// From the first to the second, both included.
    Range(u64, u64),
    /// The first or the second.
    Either(u64, u64),
    /// 0, or from the first to the second.
    ZeroOr(u64, u64),
}

impl Values {
    /// The least and the most of them.
    #[must_use]
    pub const fn ends(self) -> (u64, u64) {
        match self {
            Self::Any => (0, u64::MAX),
            Self::Switch => (0, 1),
            Self::Range(least, most) | Self::Either(least, most) | Self::ZeroOr(least, most) => {
                (least, most)
            }
        }
    }

    /// Whether `value` is one of them.
    #[must_use]
    pub const fn contains(self, value: u64) -> bool {
        let (least, most) = self.ends();
        match self {
            Self::Either(..) => value == least || value == most,
            Self::ZeroOr(..) => value == 0 || (least <= value && value <= most),
            _ => least <= value && value <= most,
        }
    }
}

impl Info {
    /// A register of 64 bits that a user may give.
    pub(super) const fn new(
        register: Register,
        name: &'static str,
        keyword: &'static str,
        about: &'static str,
    ) -> Self {
        Self {
            register,
            name,
            keyword,
            alias: None,
            about,
            values: Values::Any,
            table_base: false,
            chooses_mode: false,
            given: true,
            feature: false,
            remarkable: true,
            rare: false,
        }
    }

    /// The base of tables.
    pub(super) const fn table_base(self) -> Self {
        Self { table_base: true, ..self }
    }

    /// Decides the format of tables.
    pub(super) const fn chooses_mode(self) -> Self {
        Self { chooses_mode: true, ..self }
    }

    /// Has another word too.
    pub(super) const fn or(self, alias: &'static str) -> Self {
        Self { alias: Some(alias), ..self }
    }

    /// Takes these values only.
    pub(super) const fn takes(self, values: Values) -> Self {
        Self { values, ..self }
    }

    /// Not given by hand.
    pub(super) const fn not_given(self) -> Self {
        Self { given: false, ..self }
    }

    /// A feature of the CPU.
    pub(super) const fn feature(self) -> Self {
        Self { feature: true, given: false, ..self }
    }

    /// Told by few sources, and given by hand.
    pub(super) const fn rare(self) -> Self {
        Self { rare: true, feature: true, given: true, ..self }
    }

    /// Its usual value is what nearly every CPU has.
    pub(super) const fn unremarkable(self) -> Self {
        Self { remarkable: false, ..self }
    }
}

/// A line of an architecture's table: a register and where it is in `R`.
pub(super) struct Entry<R> {
    pub info: Info,
    pub get: fn(&R) -> u64,
    pub set: fn(&mut R, u64),
    /// The value to take where nobody knows it; otherwise what `R` begins with.
    pub usual: Option<fn(&R) -> u64>,
}

impl<R> Entry<R> {
    pub const fn new(info: Info, get: fn(&R) -> u64, set: fn(&mut R, u64)) -> Self {
        Self { info, get, set, usual: None }
    }

    pub const fn usually(self, usual: fn(&R) -> u64) -> Self {
        Self { usual: Some(usual), ..self }
    }
}

/// Some registers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct RegisterSet(u64);

impl RegisterSet {
    /// No register.
    pub const NONE: Self = Self(0);

    /// The same and one more.
    #[must_use]
    pub const fn with(self, register: Register) -> Self {
        Self(self.0 | 1 << register as u8)
    }

    /// The same without one.
    #[must_use]
    pub const fn without(self, register: Register) -> Self {
        Self(self.0 & !(1 << register as u8))
    }

    /// The same without those of `others`.
    #[must_use]
    pub fn except(self, others: &[Register]) -> Self {
        others.iter().fold(self, |set, register| set.without(*register))
    }

    /// Whether it has `register`.
    #[must_use]
    pub const fn contains(self, register: Register) -> bool {
        self.0 >> register as u8 & 1 != 0
    }

    /// Whether it has none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Those of both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl FromIterator<Register> for RegisterSet {
    fn from_iter<I: IntoIterator<Item = Register>>(registers: I) -> Self {
        registers.into_iter().fold(Self::NONE, Self::with)
    }
}
