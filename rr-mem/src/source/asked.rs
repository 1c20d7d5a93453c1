//! What a user asks of a source: which CPU, which registers, which address space.

use crate::regs::{Arch, Register};

use super::SourceError;

/// What is asked of a source. By default: CPU 0 as the source has it.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Asked {
    /// The number of the CPU.
    pub cpu: u64,
    /// The architecture; another than the source's discards the source's registers.
    pub arch: Option<Arch>,
    /// Registers that win one by one over the source's.
    pub registers: Vec<(Register, u64)>,
    /// Bits that are set in registers of which nothing else is said.
    pub bits: Vec<(Register, u64)>,
    /// The address space to look through; by default the one that the CPU uses.
    pub address_space: Option<String>,
}

impl Asked {
    /// CPU `number`.
    #[must_use]
    pub fn cpu(number: u64) -> Self {
        Self { cpu: number, ..Self::default() }
    }

    /// The same with another architecture than the source's, if one is given.
    #[must_use]
    pub fn with_arch(self, arch: Option<Arch>) -> Self {
        Self { arch, ..self }
    }

    /// The same with a register given; the last value of one counts.
    #[must_use]
    pub fn with_register(mut self, register: Register, value: u64) -> Self {
        self.registers.retain(|(known, _)| *known != register);
        self.registers.push((register, value));
        self
    }

    /// The same with a register given by its keyword, such as `cr3`.
    ///
    /// # Errors
    /// When no architecture has it.
    pub fn with_named(self, keyword: &str, value: u64) -> Result<Self, SourceError> {
        Ok(self.with_register(keyword.parse()?, value))
    }

    /// The same through the address space of this name, if one is given.
    #[must_use]
    pub fn through(self, address_space: Option<String>) -> Self {
        Self { address_space, ..self }
    }
}
