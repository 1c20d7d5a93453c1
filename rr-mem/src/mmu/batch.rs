//! Many addresses at once: the walk of each goes on from the last table of a
//! walk nearby, found in a small cache, instead of from the top.

use super::{
    Ask, Mmu, Translation, WalkError, each_paging,
    walk::{Paging, Start, Table, descend},
};
use crate::{addr::Gva, memory::Memory};

/// Slots of the cache; with 40 bytes each it stays in the first-level cache.
const SLOTS: usize = 512;

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
    let mut cache = [None; SLOTS];
    for (i, &gva) in gvas.iter().enumerate() {
        let slot = &mut cache[slot(gva)];
        let table = match *slot {
            Some(known) if is_for(&known, gva) => known.table,
            _ => match paging.start(gva) {
                Ok(Start::Table(table)) => table,
                _ => {
                    each(i, super::walk::walk(paging, memory, gva, ask, |_| {}));
                    continue;
                }
            },
        };
        let mut last = None;
        let answer = descend(paging, memory, gva, ask, table, |table| last = Some(*table), |_| {});
        // A table entry that was refused on the way is refused again only if
        // it is read again. First tables are not kept: which one has an address
        // is for `start` to say.
        if let (Ok(_), Some(table)) = (&answer, last) {
            *slot = Some(Known { span: gva.0 >> (table.shift + table.bits), table });
        }
        each(i, answer);
    }
}

/// A table that a walk ended at, and the addresses that share the way there.
#[derive(Clone, Copy)]
struct Known<I> {
    span: u64,
    table: Table<I>,
}

#[inline]
fn is_for<I: Copy>(known: &Known<I>, gva: Gva) -> bool {
    gva.0 >> (known.table.shift + known.table.bits) == known.span
}

/// Neighbouring megabytes in neighbouring slots, far ones spread.
#[inline]
fn slot(gva: Gva) -> usize {
    let megabyte = gva.0 >> 20;
    (megabyte ^ megabyte >> 9 ^ megabyte >> 19) as usize % SLOTS
}
