//! What is worth saying of a source and travels with its answers.

use std::fmt;

use crate::{
    addr::Gpa,
    advice::{Advice, Setting},
    guest::Isolated,
    qemu::Misfit,
    regs::{Arch, OtherArch, Register},
};

/// What may make answers wrong, what was assumed, what was chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Remark {
    /// KVM runs the CPU: QEMU's copy of its registers is old.
    StaleRegisters,
    /// What is physical to the CPU is translated once more.
    NestedGuest,
    /// The CPU is in system management mode.
    Smm,
    /// No CPU was found.
    NoCpu,
    /// The guest's memory is encrypted, by an object of this type.
    Encrypted(String),
    /// What the file or the core lacks, as its reader says it.
    File(String),
    /// A register that nobody knows has its usual value.
    Assumed {
        /// Which.
        register: Register,
        /// The value.
        value: u64,
    },
    /// Nobody says which architecture the guest has.
    ArchGuessed(Arch),
    /// No walker models the guest's architecture.
    NoWalker(OtherArch),
    /// The guest is taken for one of another architecture, as was asked.
    ArchGiven {
        /// Its own.
        guest: OtherArch,
        /// What it is taken for.
        taken: Arch,
    },
    /// The address is mapped by the kernel's own tables, which are not in force.
    Isolation(Isolated),
    /// The file has no format of its own.
    Raw {
        /// Where its first byte is.
        base: Gpa,
        /// Its bytes.
        bytes: u64,
    },
    /// The file's format.
    Format {
        /// Its name.
        name: &'static str,
        /// Blocks of memory.
        blocks: usize,
        /// Bytes of memory.
        bytes: u64,
    },
    /// The address space that memory is seen through.
    AddressSpace(String),
    /// A layout that does not fit the emulator.
    Misfit(Misfit),
    /// The layout that fits.
    Layout {
        /// Its name.
        name: String,
        /// Where it was read from.
        from: String,
    },
    /// The emulator.
    Emulator {
        /// Process or core.
        name: String,
        /// The file that has QEMU's symbols.
        module: String,
        /// How many CPUs.
        cpus: usize,
    },
}

impl Remark {
    /// A short stable name for scripts.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::StaleRegisters => "stale_registers",
            Self::NestedGuest => "nested_guest",
            Self::Smm => "smm",
            Self::NoCpu => "no_cpu",
            Self::Encrypted(_) => "encrypted",
            Self::File(_) => "file",
            Self::Assumed { .. } => "assumed",
            Self::ArchGuessed(_) => "arch_guessed",
            Self::NoWalker(_) => "architecture",
            Self::Isolation(_) => "isolation",
            Self::Raw { .. } => "raw",
            Self::ArchGiven { .. } => "arch_given",
            Self::Format { .. } => "format",
            Self::AddressSpace(_) => "address_space",
            Self::Misfit(_) => "misfit",
            Self::Layout { .. } => "layout",
            Self::Emulator { .. } => "emulator",
        }
    }

    /// Whether it only tells how the answer came about. Faces show it only on
    /// request.
    #[must_use]
    pub const fn is_detail(&self) -> bool {
        !matches!(
            self,
            Self::StaleRegisters
                | Self::NestedGuest
                | Self::Smm
                | Self::NoCpu
                | Self::ArchGiven { .. }
                | Self::Isolation(_)
                | Self::Raw { .. }
                | Self::Encrypted(_)
                | Self::File(_)
        )
    }

    /// Whether it goes with each answer: all but how the source was read.
    #[must_use]
    pub const fn goes_with_answers(&self) -> bool {
        !matches!(
            self,
            Self::Format { .. }
                | Self::AddressSpace(_)
                | Self::Misfit(_)
                | Self::Layout { .. }
                | Self::Emulator { .. }
        )
    }

    /// What the user can do about it.
    #[must_use]
    pub fn advice(&self) -> Advice {
        match self {
            Self::Assumed { register, .. } => Advice::Give(register.setting()),
            Self::ArchGuessed(_) => Advice::Give(Setting::Arch),
            Self::Isolation(isolated) => Advice::Give(isolated.register.setting()),
            _ => Advice::Nothing,
        }
    }
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::StaleRegisters => f.write_str(
                "KVM has newer registers: these are of the last time that QEMU asked for them, as when the guest is stopped",
            ),
            Self::NestedGuest => f.write_str(
                "the CPU runs a nested guest: physical addresses are those of that guest where its hypervisor translates them once more",
            ),
            Self::Smm => f.write_str(
                "the CPU is in system management mode: its tables are those of the handler, not of the system that it interrupts",
            ),
            Self::NoCpu => f.write_str(
                "there is no CPU that could confirm the layout: members may be misread",
            ),
            Self::Encrypted(object) => write!(
                f,
                "the guest's memory is encrypted ({object}): outside, its bytes mean nothing, and none is read"
            ),
            Self::File(text) => f.write_str(text),
            Self::Assumed { register, value } => {
                write!(f, "{register} is not known, the usual value {value:#x} is taken")
            }
            Self::ArchGuessed(arch) => {
                write!(f, "the architecture is not known, taking the guest for {arch}")
            }
            Self::NoWalker(arch) => write!(
                f,
                "the guest is of {arch}, which no walker models: no table is read; words of memory are shown with their low byte first"
            ),
            Self::ArchGiven { guest, taken } => {
                write!(f, "the guest is of {guest}, and is taken for {taken} as was asked")
            }
            Self::Isolation(Isolated { register, value, .. }) => write!(
                f,
                "the CPU is in user mode; the kernel's own tables, of {register} {value:#x}, map this address"
            ),
            Self::Raw { base, bytes } => write!(
                f,
                "the file has no known format, and is taken for {bytes:#x} bytes of raw RAM at {base}"
            ),
            Self::Format { name, blocks, bytes } => {
                write!(f, "{name}, {blocks} blocks of memory, {bytes:#x} bytes")
            }
            Self::AddressSpace(name) => write!(f, "address space {name:?}"),
            Self::Misfit(Misfit { layout, why }) => {
                write!(f, "layout of {layout} does not fit: {why}")
            }
            Self::Layout { name, from } => write!(f, "layout of {name} fits, from {from}"),
            Self::Emulator { name, module, cpus } => write!(f, "{name}, {module}: {cpus} CPUs"),
        }
    }
}
