//! Two moments of a guest: what is compared, and what it costs nothing to miss.

use std::ops::ControlFlow;

use proptest::prelude::*;
use rr_mem::{
    addr::{Gpa, Gva, RangeSet},
    guest::diff::{self, Change, ChangedMapping},
    memory::SliceMemory,
    mmu::{Mmu, SpaceLimits, VirtualSpace},
    regs::{Regs, X86Regs},
};

fn all(len: usize) -> RangeSet {
    std::iter::once(0..=len as u64 - 1).collect()
}

proptest! {
    #[test]
    fn exactly_the_pages_with_changed_bytes_are_found(
        changes in proptest::collection::vec((0usize..0x30_0000, any::<u8>()), 0..30),
    ) {
        let old: Vec<u8> = (0..0x30_0000u64).map(|i| (i / 4096) as u8).collect();
        let mut new = old.clone();
        changes.iter().for_each(|(at, byte)| new[*at] = *byte);
        let (a, b) = (SliceMemory::new(Gpa(0), &old), SliceMemory::new(Gpa(0), &new));
        let found = diff::pages(&a, &b, &all(old.len()), &|_| {});
        prop_assert!(found.unread.is_empty());
        let mut expected = Vec::new();
        for (number, (old, new)) in old.chunks(4096).zip(new.chunks(4096)).enumerate() {
            let differ: Vec<_> = (0..4096).filter(|i| old[*i] != new[*i]).collect();
            if let Some(first) = differ.first() {
                let gpa = Gpa(number as u64 * 4096);
                let (first, bytes) = (*first as u64, differ.len() as u64);
                expected.push(diff::ChangedPage { gpa, first, bytes });
            }
        }
        prop_assert_eq!(found.pages, expected);
    }
}

#[test]
fn pages_that_one_of_both_lacks_are_told_and_the_others_compared() {
    let (long, short) = (vec![1; 0x5000], vec![2; 0x2800]);
    let (a, b) = (SliceMemory::new(Gpa(0), &long), SliceMemory::new(Gpa(0), &short));
    let found = diff::pages(&a, &b, &all(0x5000), &|_| {});
    assert_eq!(found.pages.len(), 2);
    assert_eq!(found.unread.iter().collect::<Vec<_>>(), [(0x2000, 0x4fff)]);
}

/// 32-bit tables: page n of the first 1024 is entry n.
fn tables(entries: &[u32]) -> Vec<u8> {
    let mut ram = vec![0; 0x3000];
    ram[0x1000..0x1004].copy_from_slice(&0x2007u32.to_le_bytes());
    for (number, entry) in entries.iter().enumerate() {
        ram[0x2000 + number * 4..][..4].copy_from_slice(&entry.to_le_bytes());
    }
    ram
}

fn space(ram: &[u8]) -> VirtualSpace {
    let regs = X86Regs { cr3: 0x1000, ..X86Regs::protected_mode() };
    let memory = SliceMemory::new(Gpa(0), ram);
    VirtualSpace::new(
        &Mmu::new(&Regs::X86(regs)).expect("modelled"),
        &memory,
        SpaceLimits::default(),
    )
}

fn changed(old: &[u32], new: &[u32]) -> Vec<ChangedMapping> {
    let mut found = Vec::new();
    let (old, new) = (space(&tables(old)), space(&tables(new)));
    let _ = diff::mappings(&old, &new, Gva(0)..=Gva(u64::MAX), |change| {
        found.push(*change);
        ControlFlow::Continue(())
    });
    found
}

#[test]
fn each_way_in_which_a_mapping_changes_has_its_name() {
    let found = changed(
        &[0x5007, 0x6007, 0x7007, 0, 0x9007, 0xa007],
        &[0x5007, 0x6005, 0x8007, 0x3007, 0, 0xa007],
    );
    let names: Vec<_> = found.iter().map(|one| (one.gva.0, one.last.0, one.change)).collect();
    assert_eq!(
        names,
        [
            (0x1000, 0x1fff, Change::Rights),
            (0x2000, 0x2fff, Change::Remapped),
            (0x3000, 0x3fff, Change::Mapped),
            (0x4000, 0x4fff, Change::Unmapped),
        ]
    );
}

proptest! {
    #[test]
    fn every_page_is_in_a_change_just_if_its_entries_differ(
        old in proptest::collection::vec((0u32..4, 0u32..4), 40),
        new in proptest::collection::vec((0u32..4, 0u32..4), 40),
    ) {
        // Few frames and rights, so that neighbours merge and repeat.
        let entry = |&(frame, bits): &(u32, u32)| (0x10 + frame) << 12 | bits << 1 | u32::from(bits > 0);
        let (old, new): (Vec<_>, Vec<_>) = (old.iter().map(entry).collect(), new.iter().map(entry).collect());
        let found = changed(&old, &new);
        for page in 0..40u64 {
            let (was, is) = (old[page as usize], new[page as usize]);
            let expected = match (was & 1, is & 1) {
                (0, 0) => None,
                (0, _) => Some(Change::Mapped),
                (_, 0) => Some(Change::Unmapped),
                _ if was >> 12 != is >> 12 => Some(Change::Remapped),
                _ if was != is => Some(Change::Rights),
                _ => None,
            };
            let here: Vec<_> = found.iter().filter(|one| one.gva.0 <= page << 12 && page << 12 <= one.last.0).collect();
            prop_assert!(here.len() <= 1);
            prop_assert_eq!(here.first().map(|one| one.change), expected);
        }
    }
}
