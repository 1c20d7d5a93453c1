//! LPAE and Hyp mode.

use super::*;
use crate::{
    mmu::{Merge, SpaceLimits, VirtualSpace},
    regs::Regs,
};

/// LPAE level 1 entries 0..4 of both TTBRs, and level 2 entries 0 of both:
/// 1 GB (or 2 MB) blocks at addresses that tell which one was used.
fn lpae_blocks() -> Words {
    let low = (0..512).map(|i| (0x10000 + 8 * i, (0x10_0000_0000 + (i << 30)) | BLOCK));
    let high = (0..512).map(|i| (0x90000 + 8 * i, (0x20_0000_0000 + (i << 30)) | BLOCK));
    Words { words: low.chain(high).collect(), elsewhere: 0 }
}

/// Which TTBR an address uses, and the level its walk starts at.
fn lpae_start(t0sz: u64, t1sz: u64, gva: u64) -> Option<(u8, Level)> {
    match LongPaging::new(&lpae(t0sz | t1sz << 16)).expect("modelled").start(Gva(gva)) {
        Ok(Start::Table(table)) => Some((u8::from(table.base.0 == 0x90000), table.level)),
        _ => None,
    }
}

#[test]
fn lpae_sizes_choose_the_ttbr_and_the_first_level() {
    use Level::{Level1, Level2};
    // Both 0: TTBR0 has everything.
    assert_eq!(lpae_start(0, 0, 0xffff_ffff), Some((0, Level1)));
    // T1SZ only: TTBR1 has the top, TTBR0 the rest.
    assert_eq!(lpae_start(0, 2, 0xbfff_ffff), Some((0, Level1)));
    assert_eq!(lpae_start(0, 2, 0xc000_0000), Some((1, Level2)));
    assert_eq!(lpae_start(0, 1, 0x8000_0000), Some((1, Level1)));
    // T0SZ only: TTBR0 has the bottom, TTBR1 the rest, with a whole table.
    assert_eq!(lpae_start(2, 0, 0x3fff_ffff), Some((0, Level2)));
    assert_eq!(lpae_start(2, 0, 0x4000_0000), Some((1, Level1)));
    // Both: a gap between them.
    assert_eq!(lpae_start(1, 2, 0x7fff_ffff), Some((0, Level1)));
    assert_eq!(lpae_start(1, 2, 0x8000_0000), None);
    assert_eq!(lpae_start(1, 2, 0xbfff_ffff), None);
    assert_eq!(lpae_start(7, 7, 0x01ff_ffff), Some((0, Level2)));
    assert_eq!(lpae_start(7, 7, 0xfe00_0000), Some((1, Level2)));
    assert_eq!(lpae_start(0, 0, 0x1_0000_0000), None);
    let gap = status(&lpae(1 | 2 << 16), &lpae_blocks(), 0x9000_0000, READ);
    assert_eq!(gap, Some(0b000101));
}

#[test]
fn lpae_blocks_reach_40_bits() {
    let memory = lpae_blocks();
    assert_eq!(gpa(&lpae(0), &memory, 0xc000_1234), Some(0x10_c000_1234));
    // T0SZ = 2: TTBR1's entry 1 is for 1 GB, its entry 0 is unused.
    assert_eq!(gpa(&lpae(2), &memory, 0x4000_1234), Some(0x20_4000_1234));
}

#[test]
fn the_lpae_root_of_four_entries_is_32_byte_aligned() {
    let memory = words([(0x10520 + 24, 0x8000_0000 | BLOCK)]);
    let regs = ArmRegs { ttbr0: 0x001b_0000_0001_0520, ..lpae(0) };
    assert_eq!(gpa(&regs, &memory, 0xc000_0040), Some(0x8000_0040));
}

#[test]
fn lpae_descriptor_bits_47_40_are_an_address_size_fault_and_no_address() {
    let memory = words([(0x10000, 0x0100_8000_0000 | BLOCK)]);
    assert_eq!(gpa(&lpae(0), &memory, 0), Some(0x8000_0000));
    assert_eq!(status(&lpae(0), &memory, 0, READ), Some(0b000001));
}

#[test]
fn lpae_walks_can_be_disabled_for_each_ttbr() {
    let memory = lpae_blocks();
    let no_low = lpae(2 << 16 | 1 << 7);
    assert_eq!(status(&no_low, &memory, 0, READ), Some(0b000101));
    assert!(gpa(&no_low, &memory, 0xc000_0000).is_some());
    let no_high = lpae(2 << 16 | 1 << 23);
    assert_eq!(status(&no_high, &memory, 0xc000_0000, READ), Some(0b000101));
    assert!(gpa(&no_high, &memory, 0).is_some());
}

#[test]
fn ttbcr2_hpd_counts_only_with_t2e() {
    let table = |tcr| rights_with(&lpae(tcr), 1 << 62, PAGE).to_string();
    // One level less than AArch64's: level 1 at 0x10000, as with 39 bits.
    assert_eq!(table(1 << 41), "kernel r-x user ---");
    assert_eq!(table(1 << 41 | 1 << 6), "kernel rwx user ---");
}

#[test]
fn hyp_mode_has_one_ttbr_and_one_privilege() {
    // HTCR without EAE: Hyp mode knows no short descriptors.
    let regs = ArmRegs { el: 2, tcr: 0, ..lpae(0) };
    assert!(regs.long_descriptors());
    let memory = lpae_blocks();
    assert_eq!(gpa(&regs, &memory, 0xffff_fff0), Some(0x10_ffff_fff0));
    let half = ArmRegs { tcr: 1, ..regs };
    assert_eq!(gpa(&half, &memory, 0x7fff_fff0), Some(0x10_7fff_fff0));
    assert_eq!(status(&half, &memory, 0x8000_0000, READ), Some(0b000101));
    assert_eq!(rights_with(&regs, 0, PAGE | 0x40).to_string(), "kernel rwx user ---");
}

#[test]
fn aarch32_xn_holds_for_both_and_fetching_needs_reading() {
    let rights = |leaf| rights_with(&lpae(0), 0, leaf).to_string();
    assert_eq!(rights(PAGE), "kernel rwx user ---");
    assert_eq!(rights(PAGE | 0x40), "kernel rwx user rwx");
    assert_eq!(rights(PAGE | 0x40 | 1 << 54), "kernel rw- user rw-");
    assert_eq!(rights(PAGE | 0x40 | 1 << 53), "kernel rw- user rwx");
    let uwxn = ArmRegs { sctlr: 1 | 1 << 20, ..lpae(0) };
    assert_eq!(rights_with(&uwxn, 0, PAGE | 0x40).to_string(), "kernel rw- user rwx");
}

/// `large`, a level 1 table, maps the first and the last gigabyte, by blocks or
/// by a level 2 table; `small` is a level 2 table of blocks at 64 GB.
fn one_half_within_an_entry_of_the_other(large: u64, small: u64, blocks: bool) -> Words {
    let mut memory = words([]);
    for (index, base) in [(0, 0), (3, 0xc000_0000)] {
        let entry = if blocks { base | BLOCK } else { 0x3000 | TABLE };
        memory.words.insert(large + index * 8, entry);
    }
    for (table, gpa) in [(0x3000, 0), (small, 0x10_0000_0000)] {
        memory.words.extend((0..512).map(|i| (table + i * 8, (gpa + (i << 21)) | BLOCK)));
    }
    memory
}

/// "Selecting between TTBR0 and TTBR1, Long-descriptor format": 2^32 - 2^25 and
/// 2^25 lie within a level 1 entry of the table whose size is 0.
#[test]
fn an_entry_that_both_halves_share_is_listed_in_each_up_to_the_border() {
    for (ttbcr, border, large, small) in
        [(7 << 16, 0xfe00_0000, 0x1000, 0x2000), (7, 0x200_0000, 0x2000, 0x1000)]
    {
        for blocks in [true, false] {
            let memory = one_half_within_an_entry_of_the_other(large, small, blocks);
            let regs = ArmRegs { ttbr0: 0x1000, ttbr1: 0x2000, ..lpae(ttbcr) };
            let space = VirtualSpace::new(
                &Mmu::new(&Regs::Arm(regs)).expect("modelled"),
                &memory,
                SpaceLimits::default(),
            );
            let mapped: Vec<_> = space.mappings(Merge::Physical).collect();
            for pair in mapped.windows(2) {
                assert!(pair[0].last < pair[1].gva, "{pair:x?}");
            }
            let ends: Vec<_> = mapped.iter().map(|mapping| mapping.last.0 + 1).collect();
            let starts: Vec<_> = mapped.iter().map(|mapping| mapping.gva.0).collect();
            assert!(ends.contains(&border) && starts.contains(&border), "{mapped:x?}");
            for gva in [0, border - 1, border, border + 0x20_0000, 0xffff_ffff] {
                let Some(gpa) = gpa(&regs, &memory, gva) else { continue };
                let listed = mapped.iter().find_map(|mapping| mapping.gpa_of(Gva(gva)));
                assert_eq!(listed, Some(Gpa(gpa)), "{gva:#x}");
                let (aliases, _) = space.aliases().of(Gpa(gpa), 100);
                assert!(aliases.iter().any(|alias| alias.gva == Gva(gva)), "{gva:#x}");
                for alias in aliases {
                    assert_eq!(super::gpa(&regs, &memory, alias.gva.0), Some(gpa));
                }
            }
        }
    }
}
