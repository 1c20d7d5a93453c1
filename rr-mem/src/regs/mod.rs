//! Plain register sets: what a walk needs of one CPU at one moment, with the
//! CPU features that matter. They never know where they came from.

mod arm;
mod general;
mod regime;
mod x86;

pub use arm::{ArmRegs, ArmState};
pub use general::{Aarch64General, ArmGeneral, GeneralRegs, Segment, X86General};
pub(crate) use regime::{ArmRegime, ArmStatus, HYP, MONITOR, N_RW, PAN, USER};
pub use x86::X86Regs;

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// The architectures that rr-mem walks, by the emulator's names for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Arch {
    /// x86 without long mode.
    I386,
    /// x86 with long mode.
    #[serde(rename = "x86_64")]
    X86_64,
    /// ARM in AArch32 state.
    Arm,
    /// ARM in AArch64 state.
    Aarch64,
}

impl Arch {
    /// Every architecture, in the order of their names in help texts.
    pub const ALL: [Arch; 4] = [Arch::I386, Arch::X86_64, Arch::Arm, Arch::Aarch64];

    /// The emulator's name for it, as in `qemu-system-NAME`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Arch::I386 => "i386",
            Arch::X86_64 => "x86_64",
            Arch::Arm => "arm",
            Arch::Aarch64 => "aarch64",
        }
    }

    /// Bytes of a pointer.
    #[must_use]
    pub const fn pointer_bytes(self) -> usize {
        match self {
            Arch::I386 | Arch::Arm => 4,
            Arch::X86_64 | Arch::Aarch64 => 8,
        }
    }
}

impl fmt::Display for Arch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Arch {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let known = Arch::ALL.into_iter().find(|arch| arch.name() == text);
        known.ok_or_else(|| format!("unknown architecture {text:?}"))
    }
}

/// One CPU's registers, as a source gave them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cpu {
    /// The registers.
    pub regs: Regs,
    /// Registers that the source does not hold: their values are assumed.
    pub missing: &'static [&'static str],
}

impl Cpu {
    /// A CPU of which everything is known.
    #[must_use]
    pub const fn known(regs: Regs) -> Self {
        Self { regs, missing: &[] }
    }

    /// The registers, with the usual value of what dumps leave out: with PAE, NX
    /// is on.
    #[must_use]
    pub fn with_usual_values(&self) -> Regs {
        let mut regs = self.regs;
        if let Regs::X86(x86) = &mut regs
            && self.missing.contains(&"EFER")
            && x86.paging()
            && x86.physical_address_extension()
        {
            x86.efer |= X86Regs::EFER_NXE;
        }
        regs
    }

    /// Whether the base of the tables is among the missing registers, so that
    /// no address can be translated.
    #[must_use]
    pub fn without_tables(&self) -> bool {
        self.missing.iter().any(|name| matches!(*name, "CR3" | "TTBR0" | "TTBR1"))
    }
}

/// The registers of one CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "isa", rename_all = "lowercase")]
pub enum Regs {
    /// An x86 CPU.
    X86(X86Regs),
    /// An ARM CPU.
    Arm(ArmRegs),
}

impl Regs {
    /// What a freshly written `--arch NAME` means: paging on, in the usual
    /// mode of that architecture, the table base still 0.
    #[must_use]
    pub fn defaults(arch: Arch) -> Self {
        match arch {
            Arch::I386 => Regs::X86(X86Regs::protected_mode()),
            Arch::X86_64 => Regs::X86(X86Regs::long_mode()),
            Arch::Arm => Regs::Arm(ArmRegs::new(ArmState::Aarch32)),
            Arch::Aarch64 => Regs::Arm(ArmRegs::new(ArmState::Aarch64)),
        }
    }

    /// The architecture whose mode the CPU is in: an x86 CPU outside long mode
    /// is an i386.
    #[must_use]
    pub fn arch(&self) -> Arch {
        match self {
            Regs::X86(regs) if regs.in_long_mode() => Arch::X86_64,
            Regs::X86(_) => Arch::I386,
            Regs::Arm(ArmRegs { state: ArmState::Aarch32, .. }) => Arch::Arm,
            Regs::Arm(_) => Arch::Aarch64,
        }
    }

    /// Whether the CPU runs with user privilege: CPL 3, or EL0.
    #[must_use]
    pub fn in_user_mode(&self) -> bool {
        match self {
            Regs::X86(regs) => regs.cpl == 3,
            Regs::Arm(regs) => regs.el == 0,
        }
    }

    /// TCR, or TTBCR in AArch32 state; x86 has none.
    #[must_use]
    pub const fn tcr(&self) -> Option<u64> {
        match self {
            Regs::X86(_) => None,
            Regs::Arm(regs) => Some(regs.tcr),
        }
    }

    /// Every register that steers paging, by its manual's name in lower case.
    #[must_use]
    pub fn named(&self) -> Vec<(&'static str, u64)> {
        match self {
            Regs::X86(regs) => regs.named(),
            Regs::Arm(regs) => regs.named(),
        }
    }

    /// What else there is of a CPU that changes a walk, by names that
    /// [`Regs::set`] takes.
    #[must_use]
    pub fn features(&self) -> (&'static str, u64) {
        match self {
            Regs::X86(regs) => ("pages_1g", regs.pages_1g.into()),
            Regs::Arm(regs) => ("state", if regs.arch64() { 64 } else { 32 }),
        }
    }

    /// Sets a register by its manual's name in lower case (`cr3`, `ttbr0`,
    /// `el`, `phys_bits`, ...); `false` when this architecture has none.
    pub fn set(&mut self, name: &str, value: u64) -> bool {
        match self {
            Regs::X86(regs) => regs.set(name, value),
            Regs::Arm(regs) => regs.set(name, value),
        }
    }
}
