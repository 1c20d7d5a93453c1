//! Many addresses at once: the walk of each goes on from the last table of a
//! walk nearby, found in a small cache, instead of from the top.

use super::{
    Ask, Mmu, Translation, WalkError, each_paging,
    walk::{Paging, Start, Table, descend, walk},
};
use crate::{addr::Gva, memory::Memory};

/// The most slots of the cache: 4 GB of neighbouring addresses, or as many
/// clusters. Few of them are touched where addresses are few or close.
const MOST_SLOTS: usize = 2048;

impl Mmu {
    /// Asks for every address of `gvas`, in their order; `each` gets the index
    /// and the answer, which is exactly that of [`Mmu::ask`].
    #[inline]
    pub fn ask_batch<M: Memory + ?Sized>(
        &self,
        memory: &M,
        gvas: &[Gva],
        ask: Ask,
        each: impl FnMut(usize, Result<Translation, WalkError>),
    ) {
        each_paging!(self, paging => batch(paging, memory, gvas, ask, each));
    }
}

fn batch<P: Paging, M: Memory + ?Sized>(
    paging: &P,
    memory: &M,
    gvas: &[Gva],
    ask: Ask,
    mut each: impl FnMut(usize, Result<Translation, WalkError>),
) {
    let mut cache = vec![None; gvas.len().next_power_of_two().min(MOST_SLOTS)];
    for (i, &gva) in gvas.iter().enumerate() {
        let Ok(Start::Table(root)) = paging.start(gva) else {
            each(i, walk(paging, memory, gva, ask, |_| {}));
            continue;
        };
        let at = slot(gva, cache.len());
        let known = cache[at].filter(|known: &Known<_>| known.root == root && known.is_for(gva));
        let mut last = known.map_or(root, |known| known.last);
        let answer = descend(paging, memory, gva, ask, last, |table| last = *table, |_| {});
        // A table entry that was refused on the way is refused again only if
        // it is read again.
        if known.is_none() && answer.is_ok() {
            cache[at] = Some(Known { root, last, span: gva.0 >> (last.shift + last.bits) });
        }
        each(i, answer);
    }
}

/// A table that a walk ended at, and the addresses that share the way there:
/// those that start at the same `root` and have the same upper bits.
#[derive(Clone, Copy)]
struct Known<I> {
    root: Table<I>,
    last: Table<I>,
    span: u64,
}

impl<I> Known<I> {
    #[inline]
    fn is_for(&self, gva: Gva) -> bool {
        gva.0 >> (self.last.shift + self.last.bits) == self.span
    }
}

/// Neighbouring megabytes in neighbouring slots, far ones spread; `slots` is a
/// power of two.
#[inline]
fn slot(gva: Gva, slots: usize) -> usize {
    let megabyte = gva.0 >> 20;
    (megabyte ^ megabyte >> 11 ^ megabyte >> 22) as usize & (slots - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        addr::Gpa,
        memory::SparseMemory,
        regs::{ArmRegs, ArmState, Regs},
    };

    #[test]
    fn neighbours_in_the_cache_of_different_first_tables_do_not_share_one() {
        // TTBCR.N = 1: TTBR0 maps the lower 2 GB. Sections end at the first
        // table, which spans all 4 GB.
        let (ttbr0, ttbr1) = (0x4000, 0x8000);
        let regs = ArmRegs { ttbr0, ttbr1, tcr: 1, ..ArmRegs::new(ArmState::Aarch32) };
        let mmu = Mmu::new(&Regs::Arm(regs));
        let mut memory = SparseMemory::default();
        for megabyte in 0..4096 {
            let table = if megabyte < 2048 { ttbr0 } else { ttbr1 };
            memory.put32(table + 4 * megabyte, ((megabyte << 20) as u32 ^ 0x8000_0000) | 0b10);
        }
        let gvas: Vec<_> = (0..4096u64).map(|n| Gva((n * 2049 % 4096) << 20)).collect();
        mmu.ask_batch(&memory, &gvas, Ask::Presence, |at, answer| {
            let expected = Gpa(gvas[at].0 ^ 0x8000_0000);
            assert_eq!(answer.map(|found| found.gpa), Ok(expected), "{}", gvas[at]);
        });
    }
}
