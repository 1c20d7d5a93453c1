//! Many addresses at once: each walk starts from the last table of a nearby
//! walk, found in a small cache, instead of from the top.

use super::{
    Mmu, Query, Translation, WalkError, each_paging,
    walk::{Paging, Start, Table, descend, start, walk},
};
use crate::{addr::Gva, bits::mask, memory::Memory};

/// The most slots of the cache. They hold 16 GB of neighbouring addresses; of a
/// thousand clusters, few share a slot.
const MOST_SLOTS: usize = 8192;

impl Mmu {
    /// Asks for every address of `gvas`, in order. `each` gets the index and
    /// the answer, which is exactly that of [`Mmu::query`].
    #[inline]
    pub fn query_batch<M: Memory + ?Sized>(
        &self,
        memory: &M,
        gvas: &[Gva],
        query: Query,
        each: impl FnMut(usize, Result<Translation, WalkError>),
    ) {
        each_paging!(self, paging => batch(paging, memory, gvas, query, each));
    }
}

fn batch<P: Paging, M: Memory + ?Sized>(
    paging: &P,
    memory: &M,
    gvas: &[Gva],
    query: Query,
    mut each: impl FnMut(usize, Result<Translation, WalkError>),
) {
    let mut cache = vec![None; gvas.len().next_power_of_two().min(MOST_SLOTS)];
    let slots = cache.len();
    for (i, &gva) in gvas.iter().enumerate() {
        let gva = paging.untagged(gva, query);
        let slot: &mut Option<Known<_>> = &mut cache[slot(gva, slots)];
        let table = match slot {
            Some(known) if known.is_for(gva) => known.table,
            _ => match start(paging, gva, query) {
                Ok(Start::Table(root)) => root,
                _ => {
                    each(i, walk(paging, memory, gva, query, |_| {}));
                    continue;
                }
            },
        };
        let mut last = None;
        let answer =
            descend(paging, memory, gva, query, table, |table| last = Some(*table), |_| {});
        // A table entry that was refused on the way is refused again only if
        // it is read again.
        if let (Some(table), true) = (last, answer.is_ok()) {
            *slot = Known::new(paging, gva, table);
        }
        each(i, answer);
    }
}

/// A table that a walk ended at, and the addresses that share the way there:
/// those with the same upper bits.
#[derive(Clone, Copy)]
struct Known<I> {
    table: Table<I>,
    span: u64,
}

impl<I: Copy + Eq> Known<I> {
    /// The `table` that maps `gva`; `None` if another first table has a part of
    /// its addresses.
    fn new<P: Paging<Inherited = I>>(paging: &P, gva: Gva, table: Table<I>) -> Option<Self> {
        let bits = table.shift + table.bits;
        let inside = mask(u32::from(bits));
        let root = paging.start(gva);
        let whole = [gva.0 & !inside, gva.0 | inside].map(|end| paging.start(Gva(end)) == root);
        (whole == [true; 2]).then_some(Self { table, span: gva.0 >> bits })
    }

    #[inline]
    fn is_for(&self, gva: Gva) -> bool {
        gva.0 >> (self.table.shift + self.table.bits) == self.span
    }
}

/// Neighbouring tables (of 2 MB, in most formats) in neighbouring slots, far
/// ones spread; `slots` is a power of two.
#[inline]
fn slot(gva: Gva, slots: usize) -> usize {
    let table = gva.0 >> 21;
    (table ^ table >> 13 ^ table >> 26) as usize & (slots - 1)
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
        // tables, which have the same upper address bits.
        let (ttbr0, ttbr1) = (0x4000, 0x8000);
        let regs = ArmRegs { ttbr0, ttbr1, tcr: 1, ..ArmRegs::new(ArmState::Aarch32) };
        let mut memory = SparseMemory::default();
        for megabyte in 0..4096 {
            let table = if megabyte < 2048 { ttbr0 } else { ttbr1 };
            memory.put32(table + 4 * megabyte, (megabyte << 20) as u32 | 0b10);
        }
        let gvas: Vec<_> = (0..4096).map(|n| Gva((n * 2049 % 4096) << 20)).collect();
        assert_all_map_themselves(regs, &memory, &gvas);
    }

    #[test]
    fn a_table_that_two_first_tables_share_the_addresses_of_is_not_kept() {
        // TTBCR.T1SZ = 3: TTBR1 maps the last 512 MB, within a level 1 entry.
        let (ttbr0, ttbr1, tcr) = (0x1000, 0x2000, ArmRegs::TTBCR_EAE | 3 << 16);
        let regs = ArmRegs { ttbr0, ttbr1, tcr, ..ArmRegs::new(ArmState::Aarch32) };
        let mut memory = SparseMemory::default();
        memory.put64(ttbr0 + 8 * 3, 0x3000 | 0b11);
        for block in 0..256 {
            memory.put64(0x3000 + 8 * block, (0xc000_0000 + (block << 21)) | 0b01);
            memory.put64(ttbr1 + 8 * block, (0xe000_0000 + (block << 21)) | 0b01);
        }
        let gvas: Vec<_> = (0..512).map(|n| Gva(0xc000_0000 + ((n * 255 % 512) << 21))).collect();
        assert_all_map_themselves(regs, &memory, &gvas);
    }

    fn assert_all_map_themselves(regs: ArmRegs, memory: &SparseMemory, gvas: &[Gva]) {
        let mmu = Mmu::new(&Regs::Arm(regs)).expect("modelled");
        mmu.query_batch(memory, gvas, Query::Presence, |at, answer| {
            let gva = gvas[at];
            assert_eq!(mmu.translate(memory, gva).map(|found| found.gpa), Ok(Gpa(gva.0)));
            assert_eq!(answer.map(|found| found.gpa), Ok(Gpa(gva.0)));
        });
    }
}
