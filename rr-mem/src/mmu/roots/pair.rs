//! Kernel page-table isolation: the table that is in force while user code
//! runs. Linux keeps it beside the full one, so that one bit of CR3, or one
//! addition to TTBR1, leads from one to the other.

use super::{
    Found, Scan, View,
    judge::{Half, words},
};
use crate::{
    addr::{Gpa, Gva},
    memory::Memory,
    mmu::{
        Query,
        walk::{self, Paging, Table},
    },
    regs::Register,
};

/// Kernel mappings of the small table that are looked up in the full one.
const SAMPLES: usize = 256;

impl<P: Paging, M: Memory + ?Sized> Scan<'_, P, M> {
    /// Adds the other table of a pair behind the full one at `full`, which was
    /// found last, if it has one.
    pub(super) fn take_pair(&mut self, view: &View<P::Inherited>, full: &Table<P::Inherited>) {
        let page = self.judge.paging.granule();
        let beside = match view.register {
            // Linux: PTI_USER_PGTABLE_BIT, bit 12; the user's table is the second.
            Register::Cr3 if full.base.0 & page == 0 => [full.base.0.checked_add(page), None],
            Register::Cr3 => [None, None],
            // Linux: tramp_pg_dir, before swapper_pg_dir and perhaps an empty one.
            _ => [2 * page, page].map(|distance| full.base.0.checked_sub(distance)),
        };
        for base in beside.into_iter().flatten() {
            let small = Table { base: Gpa(base), ..*full };
            if let Some(mut found) = self.small(view, full, &small) {
                found.candidate.pair = Some(full.base);
                if let Some(last) = self.found.last_mut() {
                    last.candidate.pair = Some(small.base);
                }
                self.found.push(found);
                return;
            }
        }
    }

    /// `small` as the other table of the pair of `full`, if it is sound and all
    /// of it is in `full` too, but not the table itself.
    fn small(
        &mut self,
        view: &View<P::Inherited>,
        full: &Table<P::Inherited>,
        small: &Table<P::Inherited>,
    ) -> Option<Found> {
        let kernel = self.judge.examine(small, view.kernel.clone(), Half::Kernel)?;
        let user = self.judge.examine(small, view.user.clone(), Half::User)?;
        let is_pair = kernel.held > 0
            && !self.judge.maps(small, view.kernel.clone(), small.base)
            && self.same_user_half(view, full, small)
            && self.kernel_half_is_part(view, full, small)
            && !self.judge.exhausted();
        is_pair.then(|| self.candidate(view, small, kernel, user))
    }

    /// Whether each user entry of `small` leads where that of `full` does.
    fn same_user_half(
        &self,
        view: &View<P::Inherited>,
        full: &Table<P::Inherited>,
        small: &Table<P::Inherited>,
    ) -> bool {
        let bytes = [small, full].map(|table| self.judge.bytes(table, view.user.clone()));
        let [Some(small_bytes), Some(full_bytes)] = bytes else { return false };
        let same = |(a, b): (u64, u64)| {
            a == 0 || self.judge.leads_to(small, a) == self.judge.leads_to(full, b)
        };
        let paging = *self.judge.paging;
        words(paging, &small_bytes).zip(words(paging, &full_bytes)).all(same)
    }

    /// Whether `full` maps what `small` maps to the same places.
    fn kernel_half_is_part(
        &mut self,
        view: &View<P::Inherited>,
        full: &Table<P::Inherited>,
        small: &Table<P::Inherited>,
    ) -> bool {
        let mut pages: Vec<(Gva, Gpa)> = Vec::new();
        self.judge.collect(small, view.kernel.clone(), view.gva, SAMPLES, &mut pages);
        let (paging, memory) = (self.judge.paging, self.judge.memory);
        pages.iter().all(|&(gva, gpa)| {
            walk::descend(paging, memory, gva, Query::Presence, *full, |_| {}, |_| {})
                .is_ok_and(|translation| translation.gpa == gpa)
        })
    }
}
