//! What two moments of a guest differ in: registers, where memory is, its bytes.
//! What virtual addresses map is compared by [`crate::guest::diff::mappings`].

use crate::{
    addr::{Gpa, RangeSet},
    guest::{Missing, diff},
    memory::ReadError,
    regs::Register,
    source::Opened,
};

pub use diff::{Change, ChangedMapping, ChangedPage};

/// A register that has another value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChangedRegister {
    /// The CPU.
    pub cpu: u64,
    /// The register.
    pub register: Register,
    /// What it was.
    pub before: u64,
    /// What it is.
    pub after: u64,
}

/// The paging registers that have other values, of CPUs that both moments know;
/// what one of the two does not know is left out.
#[must_use]
pub fn registers(before: &Opened, after: &Opened) -> Vec<ChangedRegister> {
    let mut found = Vec::new();
    for (number, now) in &after.cpus {
        let Some((_, was)) = before.cpus.iter().find(|(old, _)| old == number) else { continue };
        let known = was.known.and(now.known);
        for ((register, was), (same, now)) in was.regs.named().into_iter().zip(now.regs.named()) {
            if register == same && was != now && known.contains(register) {
                found.push(ChangedRegister { cpu: *number, register, before: was, after: now });
            }
        }
    }
    found
}

/// Where only one of two moments has memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChangedRanges {
    /// Where only the older has.
    pub removed: RangeSet,
    /// Where only the newer has.
    pub added: RangeSet,
}

/// Where within `asked` only one of two moments has memory.
#[must_use]
pub fn ranges(before: &Opened, after: &Opened, asked: &RangeSet) -> ChangedRanges {
    let (old, new) = (before.all_memory().and(asked), after.all_memory().and(asked));
    ChangedRanges { removed: old.without(&new), added: new.without(&old) }
}

/// How the bytes of two moments differ.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ChangedBytes {
    /// Pages with other bytes.
    pub pages: Vec<ChangedPage>,
    /// What could not be compared, because one of the two cannot be read there.
    pub lost: RangeSet,
    /// Why the first of it cannot be read.
    pub why: Option<ReadError>,
}

/// Compares the bytes of two moments at `asked`, where both have memory; `progress`
/// hears how many bytes are done, from any thread.
///
/// # Errors
/// When one of the two has no memory at all.
pub fn bytes(
    before: &Opened,
    after: &Opened,
    asked: &RangeSet,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<ChangedBytes, Missing> {
    let both = before.all_memory().and(&after.all_memory()).and(asked);
    let readable = both.and(&before.coverage.readable).and(&after.coverage.readable);
    let (was, is) = (before.guest.memory()?, after.guest.memory()?);
    let changes = diff::pages(&**was, &**is, &readable, progress);
    let lost = both.without(&readable).or(&changes.unread);
    let why = lost.iter().next().and_then(|(first, _)| {
        let read = |side: &Opened| side.guest.read_physical(Gpa(first), &mut [0]).err();
        [before, after].into_iter().find_map(read)
    });
    Ok(ChangedBytes { pages: changes.pages, lost, why })
}
