//! One CPU: its registers, and which of them anybody knows.

use super::{Arch, ArmRegs, Register, RegisterError, RegisterSet, Regs};

/// One CPU's registers, as a source gave them. An unknown register holds its
/// usual value, and is not in `known`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cpu {
    /// The registers.
    pub regs: Regs,
    /// Those whose values are the guest's own, or were given.
    pub known: RegisterSet,
}

/// The value that was taken for a register that nobody knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Assumed {
    /// Which register.
    pub register: Register,
    /// The usual value.
    pub value: u64,
}

impl From<Regs> for Cpu {
    /// A CPU of which everything is known.
    fn from(regs: Regs) -> Self {
        let known = regs.complete().iter().map(|(register, _)| *register).collect();
        Self { regs, known }
    }
}

impl Cpu {
    /// A CPU of which everything is known.
    #[must_use]
    pub fn known(regs: Regs) -> Self {
        regs.into()
    }

    /// A CPU as a source tells it that knows no register beyond the usual ones: what
    /// most sources do not tell is unknown.
    #[must_use]
    pub fn told(regs: Regs) -> Self {
        let cpu = Self::known(regs);
        let rare = cpu.known.iter().filter(|register| register.info().rare);
        cpu.without(&rare.collect::<Vec<_>>())
    }

    /// The same of an ARM CPU, by a source that tells every system register that there
    /// is: those of permission indices are known too.
    pub(crate) fn told_with_indices(regs: ArmRegs) -> Self {
        use Register::{Pir, Pire0, Por, PorEl0, Tcr2};
        let told = Self::told(Regs::Arm(regs));
        let known = [Tcr2, Pir, Pire0, Por, PorEl0];
        Self { known: known.into_iter().fold(told.known, RegisterSet::with), ..told }
    }

    /// A CPU of which only the architecture is known.
    #[must_use]
    pub fn unknown(arch: Arch) -> Self {
        Self { regs: Regs::defaults(arch), known: RegisterSet::NONE }
    }

    /// The same, but for registers that nobody knows.
    #[must_use]
    pub fn without(self, registers: &[Register]) -> Self {
        Self { known: self.known.except(registers), ..self }
    }

    /// The same with a register set, which is known then.
    ///
    /// # Errors
    /// As [`Regs::set`].
    pub fn with(mut self, register: Register, value: u64) -> Result<Self, RegisterError> {
        self.regs.set(register, value)?;
        self.known = self.known.with(register);
        Ok(self)
    }

    /// Whether the value of a register is known.
    #[must_use]
    pub fn knows(&self, register: Register) -> bool {
        self.known.contains(register)
    }

    /// Its registers that nobody knows.
    pub fn unknown_registers(&self) -> impl Iterator<Item = Register> + use<> {
        let known = self.known;
        let all = self.regs.complete().into_iter().map(|(register, _)| register);
        all.filter(move |register| !known.contains(*register))
    }

    /// The registers with bases of tables that nobody knows.
    pub fn unknown_tables(&self) -> impl Iterator<Item = Register> + use<> {
        self.unknown_registers().filter(|register| register.is_table_base())
    }

    /// Whether an address can be translated: one base of tables is known, or none
    /// is needed.
    #[must_use]
    pub fn translates(&self) -> bool {
        let known = |(register, _): &(Register, u64)| self.knows(*register);
        let mut bases = self.regs.named().into_iter().filter(|(reg, _)| reg.is_table_base());
        !self.regs.paging_is_on() || bases.any(|base| known(&base))
    }

    /// The unknown register whose value decides where addresses lead, if there is
    /// one: it is not to be guessed.
    #[must_use]
    pub fn undecided(&self) -> Option<Register> {
        let Regs::Arm(regs) = &self.regs else { return None };
        let unknown = |register| !self.knows(register);
        if !regs.mmu_on() {
            return None;
        }
        // EL2 has one half or two, by HCR_EL2.E2H.
        if regs.arch64() && regs.el == 2 && unknown(Register::Hcr) {
            return Some(Register::Hcr);
        }
        // Before ARMv7, SCTLR.XP = 0 means other tables. Later, bit 23 is 1, or SPAN.
        let short = !regs.long_descriptors() && !regs.xp();
        match (short, unknown(Register::ArmVersion), unknown(Register::Sctlr)) {
            (true, true, false) => Some(Register::ArmVersion),
            (true, false, true) if regs.version == 6 => Some(Register::Sctlr),
            _ => None,
        }
    }

    /// The unknown register that decides all rights, if there is one.
    #[must_use]
    pub fn undecided_rights(&self) -> Option<Register> {
        let Regs::Arm(regs) = &self.regs else { return None };
        if !regs.mmu_on() {
            return None;
        }
        if regs.long_descriptors() {
            let deciding = regs.permission_registers().into_iter();
            return deciding.flatten().find(|register| !self.knows(*register));
        }
        // SCTLR.S and SCTLR.R are of CPUs before ARMv7.
        let deciding = if regs.version < 7 {
            &[Register::Dacr, Register::Sctlr][..]
        } else {
            &[Register::Dacr]
        };
        deciding.iter().copied().find(|register| !self.knows(*register))
    }

    /// Whether it is worth a remark that the value of `register` was assumed.
    pub(crate) fn is_remarkable(&self, register: Register) -> bool {
        match (&self.regs, register) {
            (Regs::Arm(regs), Register::Tcr2) => regs.arch64(),
            (Regs::Arm(regs), Register::FcseIdr) => regs.subpages(),
            // With SCTLR.XP there is hardly a difference.
            (Regs::Arm(regs), Register::ArmVersion) => {
                !regs.arch64() && !regs.long_descriptors() && !regs.xp()
            }
            _ => register.info().remarkable,
        }
    }

    /// Whether what decides the format of tables is known.
    #[must_use]
    pub fn knows_mode(&self) -> bool {
        self.known.iter().any(|register| register.info().chooses_mode)
    }

    /// The same with the usual values of what nobody knows, and which these are.
    #[must_use]
    pub fn with_usual_values(mut self) -> (Self, Vec<Assumed>) {
        let unknown: Vec<_> =
            self.unknown_registers().filter(|register| !register.is_table_base()).collect();
        let mut assumed = Vec::new();
        for register in unknown {
            let Some(value) = self.regs.usual(register) else { continue };
            // A usual value is always in range.
            let _ = self.regs.set(register, value);
            assumed.push(Assumed { register, value });
        }
        (self, assumed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::regs::X86Regs;

    #[test]
    fn nx_is_usual_with_pae_and_only_then() {
        for (cr4, nx) in [(0x6d0, false), (0x6f0, true)] {
            let regs = X86Regs { cr4, ..X86Regs::protected_mode() };
            let (cpu, assumed) =
                Cpu::known(Regs::X86(regs)).without(&[Register::Efer]).with_usual_values();
            let Regs::X86(usual) = cpu.regs else { panic!("an x86 CPU") };
            assert_eq!((usual.no_execute_enable(), usual.in_long_mode()), (nx, false));
            assert_eq!(assumed[0].register, Register::Efer);
            assert!(!cpu.knows(Register::Efer));
        }
    }

    #[test]
    fn a_base_that_nobody_knows_is_never_assumed() {
        let cpu = Cpu::unknown(Arch::Aarch64);
        assert!(!cpu.translates());
        let (_, assumed) = cpu.with_usual_values();
        assert!(assumed.iter().all(|assumed| !assumed.register.is_table_base()));
        let cpu = cpu.with(Register::Ttbr1, 0x2000).expect("an ARM register");
        assert!(cpu.translates());
        assert_eq!(cpu.unknown_tables().collect::<Vec<_>>(), [Register::Ttbr0]);
    }

    #[test]
    fn what_an_architecture_lacks_or_cannot_hold_is_refused() {
        let cpu = Cpu::unknown(Arch::X86_64);
        assert!(matches!(cpu.with(Register::Ttbr0, 1), Err(RegisterError::NotOf { .. })));
        assert!(matches!(cpu.with(Register::Cpl, 4), Err(RegisterError::Value { .. })));
        let arm = Cpu::unknown(Arch::Aarch64);
        assert!(matches!(arm.with(Register::State, 48), Err(RegisterError::Value { .. })));
        assert!(arm.with(Register::State, 32).is_ok());
    }
}
