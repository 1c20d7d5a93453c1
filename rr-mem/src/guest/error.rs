//! What a question to a guest can fail by: the guest's answer, a failure of ours, or
//! something that the source lacks.

use thiserror::Error;

use crate::{
    addr::GuestAddress,
    advice::{Advice, Part, Setting},
    memory::ReadError,
    mmu::{Fault, NotModelled, TableUnreadable, WalkError},
    regs::{OtherArch, Register, RegisterSet},
};

/// Something that the question needs and the source does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Missing {
    /// The unknown registers that steer paging, of a CPU of which some are known.
    #[error("{}", no_registers(*.0))]
    Registers(RegisterSet),
    /// The register that holds the base of the tables of an address.
    #[error("{0} is not known, which translates this address")]
    Table(Register),
    /// A register that decides the answer.
    #[error("{0} is not known, which decides the answer")]
    Undecided(Register),
    /// A walker for what the registers switch on.
    #[error("{0}")]
    NotModelled(NotModelled),
    /// A walker of the guest's architecture.
    #[error("the guest is of {0}, which no walker models")]
    Walker(OtherArch),
    /// Guest memory.
    #[error("the source holds no guest memory")]
    Memory,
    /// The region map.
    #[error("the source holds no memory-region map")]
    Regions,
    /// The flat view: the source holds a tree that does not say what hides what.
    #[error(
        "this is the tree of `info mtree`, which does not say what hides what: no address can be found in it"
    )]
    FlatView,
    /// The address space of the CPUs in the region map.
    #[error("the memory-region map has no address space \"memory\"")]
    AddressSpace,
}

crate::advice::explain!(Missing);

impl Missing {
    /// A short stable name for scripts.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Registers(_) => "no_registers",
            Self::Table(_) => "no_table_base",
            Self::Undecided(_) => "undecided",
            Self::NotModelled(_) => "not_modelled",
            Self::Walker(_) => "architecture",
            Self::Memory => "no_memory",
            Self::Regions => "no_regions",
            Self::FlatView => "tree_form",
            Self::AddressSpace => "no_address_space",
        }
    }

    /// Whether the answer to an address says it: something of the CPU hides where
    /// that leads.
    #[must_use]
    pub const fn is_of_addresses(&self) -> bool {
        matches!(self, Self::Table(_) | Self::Undecided(_) | Self::NotModelled(_))
    }

    /// Whether the user could have given it. Otherwise the source cannot be read so.
    #[must_use]
    pub const fn is_usage(&self) -> bool {
        !matches!(self, Self::NotModelled(_) | Self::Walker(_))
    }

    /// The option that provides it.
    #[must_use]
    pub fn advice(&self) -> Advice {
        match self {
            Self::Registers(_) => Advice::Parts(&[
                Part::Say("give "),
                Part::Name(Setting::Registers),
                Part::Say("; `rr-mem roots` finds candidates"),
            ]),
            Self::Table(register) | Self::Undecided(register) => Advice::Give(register.setting()),
            Self::NotModelled(_) => {
                Advice::Say("physical addresses and regions can be asked for all the same")
            }
            Self::Walker(_) => Advice::Parts(&[
                Part::Say(
                    "physical addresses and regions can be asked for all the same; its tables are walked as another architecture's only with ",
                ),
                Part::Name(Setting::Arch),
            ]),
            Self::Memory => {
                Advice::Parts(&[Part::Say("give guest memory with "), Part::Name(Setting::Image)])
            }
            Self::Regions => Advice::Parts(&[
                Part::Say("give the text of the monitor's `info mtree -f` with "),
                Part::Name(Setting::RegionMap),
            ]),
            Self::FlatView => Advice::Say("give the text of `info mtree -f`"),
            Self::AddressSpace => {
                Advice::Say("give the whole text of `info mtree -f`: its blocks come in any order")
            }
        }
    }
}

fn no_registers(unknown: RegisterSet) -> String {
    let names: Vec<_> = unknown.iter().map(Register::name).collect();
    match names.is_empty() {
        true => "the source holds no paging registers".to_owned(),
        false => format!("the source holds none of {}", names.join(", ")),
    }
}

/// Why guest memory could not be read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{at}: {cause}")]
#[non_exhaustive]
pub struct GuestReadError {
    /// The first address that could not be read; everything before it was.
    pub at: GuestAddress,
    /// Why.
    pub cause: GuestReadCause,
}

/// See [`GuestReadError`].
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum GuestReadCause {
    /// It is not mapped: the guest's answer.
    #[error("not mapped: {0}")]
    Fault(Fault),
    /// A table on the way to it could not be read.
    #[error("{0}")]
    Table(Box<TableUnreadable>),
    /// Its bytes cannot be had; a virtual address is mapped.
    #[error("{0}")]
    Data(ReadError),
    /// The source lacks what the question needs.
    #[error("{0}")]
    Missing(Missing),
    /// The address space ends.
    #[error("the address space ends before it")]
    End,
}

impl From<ReadError> for GuestReadCause {
    fn from(error: ReadError) -> Self {
        Self::Data(error)
    }
}

impl From<WalkError> for GuestReadCause {
    fn from(error: WalkError) -> Self {
        match error {
            WalkError::Fault(fault) => Self::Fault(fault),
            WalkError::Unreadable(table) => Self::Table(table),
        }
    }
}
