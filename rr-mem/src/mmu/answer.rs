//! The words of an answer: translations, rights, steps, faults.

use std::fmt;

use thiserror::Error;

use crate::{
    addr::{Gpa, Gva},
    memory::ReadError,
};

/// The structure an entry sits in, from the top of the walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)]
#[non_exhaustive]
pub enum Level {
    Pml5,
    Pml4,
    Pdpt,
    Pd,
    Pt,
    /// ARM long descriptors: level -1, only with FEAT_LPA2.
    LevelMinus1,
    Level0,
    Level1,
    Level2,
    Level3,
    /// ARM short descriptors: first-level table.
    First,
    /// ARM short descriptors: second-level table.
    Second,
    /// An MPU: a region, by its number.
    Region,
}

impl Level {
    /// The manual's name for an entry of this structure.
    #[must_use]
    pub const fn entry_name(self) -> &'static str {
        match self {
            Level::Pml5 => "PML5E",
            Level::Pml4 => "PML4E",
            Level::Pdpt => "PDPTE",
            Level::Pd => "PDE",
            Level::Pt => "PTE",
            Level::LevelMinus1 => "level -1",
            Level::Level0 => "level 0",
            Level::Level1 => "level 1",
            Level::Level2 => "level 2",
            Level::Level3 => "level 3",
            Level::First => "first level",
            Level::Second => "second level",
            Level::Region => "region",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.entry_name())
    }
}

/// What one privilege may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rwx {
    /// Read.
    pub r: bool,
    /// Write.
    pub w: bool,
    /// Execute.
    pub x: bool,
}

impl fmt::Display for Rwx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (set, letter) in [(self.r, "r"), (self.w, "w"), (self.x, "x")] {
            f.write_str(if set { letter } else { "-" })?;
        }
        Ok(())
    }
}

/// Effective rights, combined over all levels of the walk and the control
/// registers that the CPU keeps constant (CR0.WP, CR4.SMEP; SCTLR.WXN). State
/// that changes from one instruction to the next (RFLAGS.AC with SMAP, PKRU and
/// IA32_PKRS, PSTATE.PAN) counts only in [`Query::Access`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rights {
    /// The supervisor; EL1 or the regime's own level.
    pub kernel: Rwx,
    /// CPL 3; EL0.
    pub user: Rwx,
    /// Whether they depend on a register that nobody knows. They are those of its
    /// usual value then, and no answer.
    pub unknown: bool,
}

impl Rights {
    /// Everything, as without an MMU.
    pub const ALL: Rights = {
        let all = Rwx { r: true, w: true, x: true };
        Rights { kernel: all, user: all, unknown: false }
    };

    /// Whether an access is within these rights.
    #[must_use]
    pub const fn allow(&self, access: Access) -> bool {
        let rwx = if access.user { self.user } else { self.kernel };
        match access.kind {
            AccessKind::Read => rwx.r,
            AccessKind::Write => rwx.w,
            AccessKind::Execute => rwx.x,
        }
    }
}

impl fmt::Display for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.unknown {
            true => f.write_str("rights unknown"),
            false => write!(f, "kernel {} user {}", self.kernel, self.user),
        }
    }
}

/// What an access does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AccessKind {
    /// A load.
    Read,
    /// A store.
    Write,
    /// An instruction fetch.
    Execute,
}

impl AccessKind {
    /// Whether it is no instruction fetch.
    #[must_use]
    pub const fn is_data(self) -> bool {
        !matches!(self, Self::Execute)
    }
}

/// One access, as the CPU would make it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Access {
    /// Load, store or fetch.
    pub kind: AccessKind,
    /// Made with user privilege (CPL 3, EL0).
    pub user: bool,
}

/// The question that a walk answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Query {
    /// Is it mapped? Rights and reserved bits do not matter.
    Presence,
    /// Would this access succeed? If not, with which architectural fault?
    Access(Access),
}

impl Query {
    /// Would an access of this kind succeed, made with or without user privilege?
    #[must_use]
    pub const fn access(kind: AccessKind, user: bool) -> Self {
        Self::Access(Access { kind, user })
    }
}

/// Where an address is mapped, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Translation {
    /// The guest physical address of the byte.
    pub gpa: Gpa,
    /// Bytes that the last entry maps: 4096, 2 MB, ...
    pub page_size: u64,
    /// Effective rights.
    pub rights: Rights,
    /// The last entry read, raw; 0 without paging.
    pub leaf: u64,
}

/// One table entry read on a walk, or the region of an MPU that decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Step {
    /// The structure it sits in.
    pub level: Level,
    /// Its index there.
    pub index: u64,
    /// Its guest physical address; where a region begins.
    pub at: Gpa,
    /// Its value; of a region its attributes.
    pub raw: u64,
    /// Whether it ended the walk with a page.
    pub leaf: bool,
}

/// A walk with its steps.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Walk {
    /// The address asked for.
    pub gva: Gva,
    /// Every entry that could be read, from the top.
    pub steps: Vec<Step>,
    /// The answer.
    pub result: Result<Translation, WalkError>,
}

/// What kind of answer "no" is, by the manuals' names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FaultKind {
    /// x86: the P bit of an entry is clear.
    NotPresent,
    /// x86: a reserved bit of a present entry is set.
    ReservedBit,
    /// x86: the address is not canonical, or above 4 GB outside long mode.
    NonCanonical,
    /// x86: the access is not within the page's rights.
    Protection,
    /// x86: the page's protection key forbids the access (PKRU, IA32_PKRS).
    ProtectionKey,
    /// x86: the address is of the half that the access may not touch (LASS).
    Separation,
    /// ARM: no valid descriptor, or no table for this address.
    Translation,
    /// ARM: an output address is larger than the regime's.
    AddressSize,
    /// ARM: the access flag is clear.
    AccessFlag,
    /// ARM short descriptors: the domain allows no access.
    Domain,
    /// ARM: the access is not within the page's rights.
    Permission,
    /// An MPU: no region has the address.
    Background,
    /// An MPU of PMSAv8: several regions have the address.
    Overlap,
    /// ARM, M profile: the Private Peripheral Bus is not for the user.
    PrivateBus,
}

impl FaultKind {
    /// A short stable name for scripts.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            FaultKind::NotPresent => "not_present",
            FaultKind::ReservedBit => "reserved_bit",
            FaultKind::NonCanonical => "non_canonical",
            FaultKind::Protection => "protection",
            FaultKind::ProtectionKey => "protection_key",
            FaultKind::Separation => "separation",
            FaultKind::Translation => "translation",
            FaultKind::AddressSize => "address_size",
            FaultKind::AccessFlag => "access_flag",
            FaultKind::Domain => "domain",
            FaultKind::Permission => "permission",
            FaultKind::Background => "background",
            FaultKind::Overlap => "overlap",
            FaultKind::PrivateBus => "private_bus",
        }
    }

    const fn sentence(self) -> &'static str {
        match self {
            FaultKind::NotPresent => "not present",
            FaultKind::ReservedBit => "a reserved bit is set",
            FaultKind::NonCanonical => "the address is not canonical in this mode",
            FaultKind::Protection => "the page's rights forbid this access",
            FaultKind::ProtectionKey => "the page's protection key forbids this access",
            FaultKind::Separation => "linear-address separation (LASS) forbids this access",
            FaultKind::Translation => "no valid translation",
            FaultKind::AddressSize => "the output address is too large",
            FaultKind::AccessFlag => "the access flag is clear",
            FaultKind::Domain => "the domain forbids all access",
            FaultKind::Permission => "the page's rights forbid this access",
            FaultKind::Background => "no region has this address",
            FaultKind::Overlap => "several regions have this address",
            FaultKind::PrivateBus => "the private peripheral bus is not for the user",
        }
    }
}

/// An answer about the guest: the address is not mapped, or this access to it
/// would fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fault {
    /// Why.
    pub kind: FaultKind,
    /// The entry that decided: its structure, address and raw value. `None`
    /// when no entry was read.
    pub entry: Option<Step>,
    /// For [`Query::Access`]: the #PF error code on x86, the fault status (FSC,
    /// FS with short descriptors or an MPU, CFSR in the M profile) on ARM. `None` where the CPU reports
    /// otherwise (#GP) and for [`Query::Presence`].
    pub status: Option<u32>,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.sentence())?;
        if let Some(step) = self.entry {
            write!(f, ": {} {:#x} at {}", step.level, step.raw, step.at)?;
        }
        Ok(())
    }
}

impl std::error::Error for Fault {}

/// A table entry that could not be read: a failure of ours, not of the guest.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TableUnreadable {
    /// The structure the entry sits in.
    pub level: Level,
    /// The entry's guest physical address.
    pub at: Gpa,
    /// Why it could not be read.
    pub source: ReadError,
}

impl fmt::Display for TableUnreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the {} entry at {}: {}", self.level, self.at, self.source)
    }
}

impl std::error::Error for TableUnreadable {}

/// Why a walk gave no translation.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum WalkError {
    /// The guest's answer.
    #[error("{0}")]
    Fault(Fault),
    /// Our failure.
    #[error("{0}")]
    Unreadable(Box<TableUnreadable>),
}
