//! Enumeration against single walks, and on tables made to hurt.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::{
    memory::{Counter, SparseMemory},
    mmu::WalkError,
    regs::{Regs, X86Regs},
};

const P: u64 = 1;

fn mmu() -> Mmu {
    Mmu::new(&Regs::X86(X86Regs { cr3: 0x1000, ..X86Regs::long_mode() })).expect("modelled")
}

fn space(ram: &SparseMemory) -> VirtualSpace {
    VirtualSpace::new(&mmu(), ram, SpaceLimits::default())
}

/// Every entry of the table at `gpa` is `entry`.
fn fill(ram: &mut SparseMemory, gpa: u64, entry: u64) {
    for i in 0..512 {
        ram.put64(gpa + i * 8, entry);
    }
}

#[test]
fn a_zero_page_mapped_by_512_to_the_4th_entries_is_one_run() {
    let mut ram = SparseMemory::default();
    for (table, next) in [(0x1000, 0x2000), (0x2000, 0x3000), (0x3000, 0x4000), (0x4000, 0x7000)] {
        fill(&mut ram, table, next | P);
    }
    let counted = Counter::new(&ram);
    let space = VirtualSpace::new(&mmu(), &counted, SpaceLimits::default());
    assert!(counted.reads() <= 5, "each table is read once");
    let all: Vec<_> = space.mappings(Merge::Rights).collect();
    assert_eq!(all.len(), 2, "the lower and the upper half");
    assert_eq!(all[0].len(), 1 << 47);
    assert_eq!(all[1].last, Gva(u64::MAX));
    assert_eq!(all[1].progression, Progression::Same(4096));
    let pages = space.mappings(Merge::None).skip(1000).take(1).next();
    assert_eq!(pages.map(|page| (page.gva, page.gpa)), Some((Gva(1000 << 12), Gpa(0x7000))));
    let (aliases, more) = space.aliases().of(Gpa(0x7123), 10);
    assert!(!more);
    assert_eq!(aliases.iter().map(|alias| alias.count).sum::<u64>(), 1 << 36);
    assert_eq!(aliases[1].gva, Gva(0xffff_8000_0000_0123));
}

#[test]
fn a_self_referencing_table_is_listed_like_any_other() {
    let mut ram = SparseMemory::default();
    ram.put64(0x1000 + 0x1ed * 8, 0x1000 | P);
    ram.put64(0x1000, 0x2000 | P);
    ram.put64(0x2000, 0x8000_0000 | P | 1 << 7);
    let space = space(&ram);
    for mapping in space.mappings(Merge::None) {
        let walked = mmu().translate(&ram, mapping.gva).expect("listed addresses are mapped");
        assert_eq!((walked.gpa, walked.rights), (mapping.gpa, mapping.rights));
    }
    // The page of the table itself, through 1 to 4 levels of itself.
    let (aliases, _) = space.aliases().of(Gpa(0x1000), 100);
    assert!(aliases.iter().any(|alias| alias.gva == Gva(0xffff_f6fb_7dbe_d000)));
}

#[test]
fn alternating_aliases_are_listed_lazily_and_counted_up_to_the_limit() {
    let mut ram = SparseMemory::default();
    for (table, next) in [(0x1000, 0x2000), (0x2000, 0x3000), (0x3000, 0x4000)] {
        fill(&mut ram, table, next | P);
    }
    for i in 0..512 {
        ram.put64(0x4000 + i * 8, if i % 2 == 0 { 0x7000 } else { 0x9000 } | P);
    }
    let space = space(&ram);
    assert_eq!(space.tables(), 4 + 1, "one a level, and the root once a half");
    assert_eq!(space.mappings(Merge::Physical).take(1000).count(), 1000);
    let (aliases, more) = space.aliases().of(Gpa(0x9000), 50);
    assert_eq!((aliases.len(), more), (50, true));
}

#[test]
fn what_is_one_range_by_rights_is_found_without_listing_its_pages() {
    let mut ram = SparseMemory::default();
    for (table, next) in [(0x1000, 0x2000), (0x2000, 0x3000), (0x3000, 0x4000)] {
        fill(&mut ram, table, next | P);
    }
    for i in 0..512 {
        ram.put64(0x4000 + i * 8, if i % 2 == 0 { 0x7000 } else { 0x9000 } | P);
    }
    let ranges = |ram: &SparseMemory| space(ram).mappings(Merge::Rights).collect::<Vec<_>>();
    let all = ranges(&ram);
    assert_eq!(all.iter().map(|range| range.len()).collect::<Vec<_>>(), [1 << 47; 2]);
    assert!(all.iter().all(|range| range.progression == Progression::Scattered));
    // A page table without its first page makes borders.
    ram.put64(0x3000, 0x5000 | P);
    for i in 1..512 {
        ram.put64(0x5000 + i * 8, 0x7000 | P);
    }
    let first = space(&ram).mappings(Merge::Rights).next().expect("mapped");
    assert_eq!((first.gva, first.last), (Gva(0x1000), Gva((1 << 30) - 1)));
}

#[test]
fn a_limit_that_was_hit_is_said() {
    let mut ram = SparseMemory::default();
    for i in 0..512 {
        ram.put64(0x1000 + i * 8, (0x10_0000 + i * 0x1000) | P);
        ram.put64(0x10_0000 + i * 0x1000, P | 1 << 7);
    }
    let limits = SpaceLimits { tables: 100, ..SpaceLimits::default() };
    assert!(VirtualSpace::new(&mmu(), &ram, limits).truncated());
    assert!(!space(&ram).truncated());
}

#[test]
fn without_paging_the_space_is_one_run() {
    let mmu = Mmu::new(&Regs::X86(X86Regs::default())).expect("modelled");
    let space = VirtualSpace::new(&mmu, &SparseMemory::default(), SpaceLimits::default());
    let all: Vec<_> = space.mappings(Merge::Rights).collect();
    assert_eq!((all.len(), all[0].len()), (1, 1 << 32));
    let (aliases, _) = space.aliases().of(Gpa(0x1234), 10);
    assert_eq!(aliases[0].gva, Gva(0x1234));
}

#[test]
fn with_a20_off_every_piece_is_listed_where_it_is() {
    let regs = X86Regs { a20: false, ..X86Regs::default() };
    let mmu = Mmu::new(&Regs::X86(regs)).expect("modelled");
    let ram = SparseMemory::default();
    let space = VirtualSpace::new(&mmu, &ram, SpaceLimits::default());
    let total: u128 = space.mappings(Merge::Physical).map(|mapping| mapping.len()).sum();
    assert_eq!(total, 1 << 32);
    for mapping in space.mappings(Merge::Physical) {
        let walked = mmu.translate(&ram, mapping.gva).expect("mapped");
        assert_eq!(walked.gpa, mapping.gpa);
    }
}

/// Small random tables: few pages, so that aliases and odd shapes abound.
fn tables() -> impl Strategy<Value = SparseMemory> {
    let entry = (0u64..8, 0u64..6, any::<[bool; 3]>(), any::<bool>());
    let slot = (1u64..6, 0u64..8, entry);
    proptest::collection::vec(slot, 1..60).prop_map(|slots| {
        let mut ram = SparseMemory::default();
        (1..6).for_each(|table| ram.put64(table << 12, 0));
        for (table, index, (flags, next, low, nx)) in slots {
            let index = if index >= 4 { 504 + index } else { index };
            let bits = flags | u64::from(low[0]) << 7 | u64::from(nx) << 63;
            ram.put64((table << 12) + index * 8, next << 12 | bits);
        }
        ram
    })
}

proptest! {
    #[test]
    fn listing_merging_and_reversing_agree_with_single_walks(ram in tables()) {
        let space = space(&ram);
        let index = space.aliases();
        let mut seen = BTreeMap::new();
        for page in space.mappings(Merge::None).take(3000) {
            let walked = mmu().translate(&ram, page.gva).expect("listed is mapped");
            prop_assert_eq!((walked.gpa, walked.page_size), (page.gpa, page.page_size));
            prop_assert_eq!(walked.rights, page.rights);
            seen.insert(page.gva, page.last);
            let (aliases, more) = index.of(page.gpa, 5000);
            let hit = |alias: &Alias| {
                let offset = page.gva.0.wrapping_sub(alias.gva.0);
                offset == 0 || alias.stride != 0 && offset % alias.stride == 0 && offset / alias.stride < alias.count
            };
            prop_assert!(more || aliases.iter().any(hit), "{} has no alias {}", page.gpa, page.gva);
            let alone = space.aliases().of(page.gpa, 5000);
            prop_assert!(more || alone == (aliases, more), "the first question is like the others");
        }
        for merge in [Merge::Physical, Merge::Rights] {
            for run in space.mappings(merge).take(300) {
                for gva in [run.gva, Gva(run.gva.0 / 2 + run.last.0 / 2), run.last] {
                    let walked = mmu().translate(&ram, gva).expect("listed is mapped");
                    prop_assert_eq!(walked.rights, run.rights);
                    prop_assert!(run.gpa_of(gva).is_none_or(|gpa| gpa == walked.gpa));
                }
                let next = run.last.0.checked_add(1).map(|gva| mmu().translate(&ram, Gva(gva)));
                if merge == Merge::Rights && let Some(Ok(next)) = next {
                    prop_assert_ne!(next.rights, run.rights, "neighbours are merged");
                }
            }
        }
    }

    #[test]
    fn a_part_of_a_space_lists_what_all_of_it_lists_there(
        ram in tables(), ends in any::<[u32; 2]>(), high in any::<[bool; 2]>(),
    ) {
        let all = space(&ram);
        let end = |i: usize| {
            let low = u64::from(ends[i]) << 9;
            Gva(if high[i] { !low } else { low })
        };
        let (first, last) = (end(0).min(end(1)), end(0).max(end(1)));
        let part = VirtualSpace::within(&mmu(), &ram, first..=last, SpaceLimits::default());
        let in_range = |page: &Mapping| page.clipped(first, last);
        let wanted: Vec<_> = all.mappings(Merge::Physical).filter_map(|m| in_range(&m)).take(200).collect();
        let found: Vec<_> = part.mappings(Merge::Physical).filter_map(|m| in_range(&m)).take(200).collect();
        prop_assert_eq!(wanted, found);
    }

    #[test]
    fn a_batch_answers_as_single_walks_do(
        ram in tables(),
        gvas in proptest::collection::vec((0u64..512, 0u64..16, 0u64..16, any::<u16>()), 1..200),
    ) {
        let gvas: Vec<_> = gvas
            .into_iter()
            .map(|(l4, l3, l2, low)| {
                Gva(crate::bits::sign_extend(l4 << 39 | l3 << 30 | l2 << 21 | u64::from(low), 48))
            })
            .collect();
        let mut answers = vec![None; gvas.len()];
        mmu().query_batch(&ram, &gvas, crate::mmu::Query::Presence, |i, answer| answers[i] = Some(answer));
        for (gva, answer) in gvas.iter().zip(answers) {
            let single = mmu().translate(&ram, *gva);
            match (&single, answer.expect("each address is answered")) {
                (Err(WalkError::Fault(a)), Err(WalkError::Fault(b))) => prop_assert_eq!(a, &b),
                (single, batch) => prop_assert_eq!(single, &batch),
            }
        }
    }
}
