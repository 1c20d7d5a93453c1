//! Plain register sets: what a walk needs of one CPU at one moment, with the
//! CPU features that matter. They never know where they came from.

mod arm;
mod cpu;
mod general;
mod model;
mod mpu;
mod other;
mod regime;
mod register;
mod table;
mod x86;

pub use arm::{ArmRegs, ArmState};
pub use cpu::{Assumed, Cpu};
pub use general::{Aarch64General, ArmGeneral, GeneralRegs, Segment, X86General};
pub(crate) use model::ArmModel;
pub use mpu::{Mpu, MpuKind, MpuRegion};
pub use other::OtherArch;
pub(crate) use regime::{ArmRegime, ArmStatus, HYP, MONITOR, N_RW, PAN, USER};
pub use register::{Info, Register, RegisterSet, Values};
pub use table::{RegisterError, UnknownRegister, all};
pub use x86::X86Regs;

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use register::Entry;

/// The architectures that rr-mem walks, by the emulator's names for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
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
    pub const ALL: &[Arch] = &[Arch::I386, Arch::X86_64, Arch::Arm, Arch::Aarch64];

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

    /// Its number in the header of an ELF file: System V ABI, "ELF Header", e_machine.
    #[must_use]
    pub const fn elf_machine(self) -> u16 {
        match self {
            Arch::I386 => 3,
            Arch::X86_64 => 62,
            Arch::Arm => 40,
            Arch::Aarch64 => 183,
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
        let known = Arch::ALL.iter().copied().find(|arch| arch.name() == text);
        known.ok_or_else(|| format!("unknown architecture {text:?}"))
    }
}

/// The registers of one CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "isa", rename_all = "lowercase")]
#[non_exhaustive]
// They are copied; an MPU's regions are few enough.
#[allow(clippy::large_enum_variant)]
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

    /// Whether addresses are translated at all: CR0.PG, SCTLR.M.
    #[must_use]
    pub const fn paging_is_on(&self) -> bool {
        match self {
            Regs::X86(regs) => regs.paging(),
            Regs::Arm(regs) => regs.mmu_on(),
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

    /// Every register that steers paging and its value, in the order of answers;
    /// features of the CPU are not among them.
    #[must_use]
    pub fn named(&self) -> Vec<(Register, u64)> {
        let all = self.entries().into_iter();
        all.filter(|(info, _)| !info.feature).map(|(info, value)| (info.register, value)).collect()
    }

    /// As [`Regs::named`], with those that few sources tell and that are not as on most
    /// CPUs.
    #[must_use]
    pub fn shown(&self) -> Vec<(Register, u64)> {
        let usual = Self::defaults(self.arch());
        let entries = self.entries().into_iter();
        entries
            .filter(|(info, value)| {
                !info.feature || info.rare && usual.get(info.register) != Some(*value)
            })
            .map(|(info, value)| (info.register, value))
            .collect()
    }

    /// As [`Regs::named`], with what else there is of a CPU that changes a walk.
    #[must_use]
    pub fn complete(&self) -> Vec<(Register, u64)> {
        self.entries().into_iter().map(|(info, value)| (info.register, value)).collect()
    }

    /// The value of a register; `None` when this architecture has none.
    #[must_use]
    pub fn get(&self, register: Register) -> Option<u64> {
        let found = self.entries().into_iter().find(|(info, _)| info.register == register);
        found.map(|(_, value)| value)
    }

    /// Sets a register.
    ///
    /// # Errors
    /// When this architecture has none, or the value is out of its range.
    pub fn set(&mut self, register: Register, value: u64) -> Result<(), RegisterError> {
        let arch = self.arch();
        let found = match self {
            Regs::X86(regs) => set(&x86::REGISTERS, regs, register, value),
            Regs::Arm(regs) => set(&arm::REGISTERS, regs, register, value),
        };
        found.unwrap_or_else(|| {
            Err(RegisterError::NotOf { keyword: register.keyword().to_owned(), arch })
        })
    }

    /// Sets a register by its keyword (`cr3`, `ttbr0`, `el`, `phys_bits`, ...).
    ///
    /// # Errors
    /// As [`Regs::set`].
    pub fn set_named(&mut self, keyword: &str, value: u64) -> Result<Register, RegisterError> {
        let arch = self.arch();
        let unknown = |_| RegisterError::NotOf { keyword: keyword.to_owned(), arch };
        let register = keyword.parse().map_err(unknown)?;
        self.set(register, value).map(|()| register)
    }

    /// The value to take for a register that nobody knows.
    fn usual(&self, register: Register) -> Option<u64> {
        match self {
            Regs::X86(regs) => usual(&x86::REGISTERS, regs, register),
            Regs::Arm(regs) => usual(&arm::REGISTERS, regs, register),
        }
    }

    fn entries(&self) -> Vec<(&'static Info, u64)> {
        match self {
            Regs::X86(regs) => {
                x86::REGISTERS.iter().map(|entry| (&entry.info, (entry.get)(regs))).collect()
            }
            Regs::Arm(regs) => {
                arm::REGISTERS.iter().map(|entry| (&entry.info, (entry.get)(regs))).collect()
            }
        }
    }
}

fn set<R>(
    table: &[Entry<R>],
    regs: &mut R,
    register: Register,
    value: u64,
) -> Option<Result<(), RegisterError>> {
    let entry = table.iter().find(|entry| entry.info.register == register)?;
    if !entry.info.values.contains(value) {
        let (least, most) = entry.info.values.ends();
        return Some(Err(RegisterError::Value { register, value, least, most }));
    }
    (entry.set)(regs, value);
    Some(Ok(()))
}

fn usual<R>(table: &[Entry<R>], regs: &R, register: Register) -> Option<u64> {
    let entry = table.iter().find(|entry| entry.info.register == register)?;
    Some(entry.usual.map_or_else(|| (entry.get)(regs), |usual| usual(regs)))
}

/// What x86 calls MAXPHYADDR, and ARM PARange.
const PHYS_BITS: Info = Info::new(
    Register::PhysBits,
    "PHYS_BITS",
    "phys_bits",
    "Physical address bits (x86: MAXPHYADDR; ARM: PARange)",
)
.takes(Values::Range(32, 52));

/// The table of each architecture. A register that several have counts as the last
/// one's.
fn tables() -> [Vec<&'static Info>; 2] {
    [
        x86::REGISTERS.iter().map(|entry| &entry.info).collect(),
        arm::REGISTERS.iter().map(|entry| &entry.info).collect(),
    ]
}

impl Arch {
    /// Those that registers alone speak for, the likeliest first.
    pub(crate) const GUESSED: [Arch; 2] = [Arch::X86_64, Arch::Aarch64];
}
