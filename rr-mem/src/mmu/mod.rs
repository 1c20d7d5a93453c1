//! Paging: from a guest virtual address to a guest physical one.
//!
//! [`Mmu`] is plain data made from registers; walks take any [`Memory`] of
//! guest physical addresses. `answer` has the words of an answer, `walk` the one
//! loop of a walk; `gate` refuses what no walk models. Each architecture's folder reads like its manual's chapter:
//! `mod` chooses the first table, `entry` says what an entry means, `rights`
//! which accesses are allowed, `controls` what steers it all. Nested translation (EPT, NPT, stage 2) would
//! come in as a [`Memory`] whose addresses are walked once more.
//!
//! [`Memory`]: crate::memory::Memory

mod answer;
mod arm;
pub mod arm_legacy;
pub mod arm_long;
pub mod arm_short;
mod batch;
mod gate;
mod paging;
pub mod pmsa;
mod query;
mod roots;
mod space;
mod walk;
pub mod x86;

pub use answer::{
    Access, AccessKind, Fault, FaultKind, Level, Query, Rights, Rwx, Step, TableUnreadable,
    Translation, Walk, WalkError,
};
pub use gate::{ControlLine, Feature, NotModelled};
#[doc(hidden)]
pub use paging::controls;
pub use paging::{Mmu, mode};
pub(crate) use paging::{each_paging, undecided_access};
pub use query::{NoSuchWord, Privilege};

pub use roots::{RootCandidate, Roots, find_roots, usual_shapes};

pub use space::{
    Alias, Aliases, Mapping, Mappings, Merge, Progression, SpaceLimits, Unreadable, VirtualSpace,
};
