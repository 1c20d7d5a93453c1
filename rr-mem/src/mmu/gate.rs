//! The gate: what no walker models is refused by name, before a table is read.
//!
//! Each architecture's `controls` lists every bit of every register that could
//! change what a table means, and says what a walk makes of it. A bit that no list
//! has is refused too: nobody here knows what it means.

use std::fmt;

use thiserror::Error;

use crate::{
    bits::{field, mask},
    regs::Register,
};

/// A CPU whose translation no walker models.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{feature} is not modelled: {register} is {value:#x}")]
#[non_exhaustive]
pub struct NotModelled {
    /// What it is, by the manual's name.
    pub feature: Feature,
    /// The register that switches it on.
    pub register: Register,
    /// Its value.
    pub value: u64,
    /// The highest and the lowest bit of the field.
    pub bits: (u32, u32),
}

/// What is not modelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Feature {
    /// A feature of the architecture, and its field.
    Named {
        /// What it does.
        name: &'static str,
        /// The field.
        field: &'static str,
    },
    /// A bit of the register that no manual known here defines.
    Bit(u32),
}

impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named { name, field } => write!(f, "{name} ({field})"),
            Self::Bit(number) => write!(f, "bit {number}"),
        }
    }
}

/// What a walk makes of a control.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Verdict<R> {
    /// The walk does what the manual says.
    Modelled,
    /// It changes no answer.
    Harmless,
    /// Refused where this holds.
    Refused(fn(&R) -> bool),
}

/// A field of a register, and what a walk makes of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Control<R> {
    register: Register,
    /// The highest and the lowest bit.
    bits: (u32, u32),
    /// The manual's names.
    field: &'static str,
    verdict: Verdict<R>,
    /// What it does, or why it does not matter.
    about: &'static str,
}

impl<R> Control<R> {
    pub const fn modelled(
        register: Register,
        bits: (u32, u32),
        field: &'static str,
        about: &'static str,
    ) -> Self {
        Self { register, bits, field, verdict: Verdict::Modelled, about }
    }

    pub const fn harmless(
        register: Register,
        bits: (u32, u32),
        field: &'static str,
        about: &'static str,
    ) -> Self {
        Self { register, bits, field, verdict: Verdict::Harmless, about }
    }

    /// Refused where `when` holds of the registers.
    pub const fn refused(
        register: Register,
        bits: (u32, u32),
        field: &'static str,
        about: &'static str,
        when: fn(&R) -> bool,
    ) -> Self {
        Self { register, bits, field, verdict: Verdict::Refused(when), about }
    }

    const fn mask(&self) -> u64 {
        mask(self.bits.0 + 1) & !mask(self.bits.1)
    }

    fn refusal(&self, regs: &R, value: u64) -> Option<NotModelled> {
        let Verdict::Refused(when) = self.verdict else { return None };
        let feature = Feature::Named { name: self.about, field: self.field };
        (field(value, self.bits.0, self.bits.1) != 0 && when(regs)).then_some(NotModelled {
            feature,
            register: self.register,
            value,
            bits: self.bits,
        })
    }
}

/// Lets registers through whose every control is modelled or harmless; `get` has
/// their values.
///
/// # Errors
/// The first control that is not, or a bit that no control has.
pub(crate) fn check<R>(
    controls: &[Control<R>],
    regs: &R,
    get: impl Fn(Register) -> Option<u64>,
) -> Result<(), NotModelled> {
    for control in controls {
        let value = get(control.register).unwrap_or_default();
        control.refusal(regs, value).map_or(Ok(()), Err)?;
        let listed = controls.iter().filter(|other| other.register == control.register);
        let unlisted = value & !listed.fold(0, |all, other| all | other.mask());
        if unlisted != 0 {
            let bit = unlisted.trailing_zeros();
            let (feature, bits) = (Feature::Bit(bit), (bit, bit));
            return Err(NotModelled { feature, register: control.register, value, bits });
        }
    }
    Ok(())
}

/// A line of the tables in docs/limits.md.
#[derive(Clone, Debug, PartialEq, Eq)]
#[doc(hidden)]
pub struct ControlLine {
    /// The register and the field.
    pub field: String,
    /// Its bits.
    pub bits: String,
    /// What a walk makes of it.
    pub verdict: &'static str,
    /// What it does, or why it does not matter.
    pub about: &'static str,
}

pub(crate) fn lines<R>(controls: &[Control<R>]) -> Vec<ControlLine> {
    controls.iter().map(line).collect()
}

fn line<R>(control: &Control<R>) -> ControlLine {
    let (high, low) = control.bits;
    ControlLine {
        field: format!("{}.{}", control.register, control.field),
        bits: if high == low { high.to_string() } else { format!("{high}:{low}") },
        verdict: match control.verdict {
            Verdict::Modelled => "modelled",
            Verdict::Harmless => "harmless",
            Verdict::Refused(_) => "refused",
        },
        about: control.about,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type C = Control<u64>;

    const CONTROLS: [C; 3] = [
        C::modelled(Register::Cr4, (1, 0), "AB", "something"),
        C::harmless(Register::Cr4, (2, 2), "C", "nothing"),
        C::refused(Register::Cr4, (3, 3), "D", "a feature", |regs| regs & 1 != 0),
    ];

    fn checked(value: u64) -> Result<(), NotModelled> {
        check(&CONTROLS, &value, |_| Some(value))
    }

    #[test]
    fn what_is_not_modelled_is_refused_by_name_where_it_counts() {
        assert_eq!(checked(0b0111), Ok(()));
        assert_eq!(checked(0b1000), Ok(()), "it counts with bit 0 alone");
        let error = checked(0b1001).expect_err("refused");
        assert_eq!(error.to_string(), "a feature (D) is not modelled: CR4 is 0x9");
    }

    #[test]
    fn a_bit_that_no_list_has_is_refused() {
        let error = checked(1 << 40).expect_err("refused");
        assert_eq!(error.feature, Feature::Bit(40));
        assert_eq!(error.to_string(), "bit 40 is not modelled: CR4 is 0x10000000000");
    }
}
