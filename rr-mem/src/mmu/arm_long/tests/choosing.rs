//! Which table an address starts at.

use super::*;

#[test]
fn the_ttbr_is_chosen_by_bit_55_not_63() {
    let mut memory = three_levels(0, 0x5000 | PAGE);
    memory.words.insert(0x90000, 0x6000_0000 | BLOCK);
    let regs = el1(tcr(4, 39) | 1 << 37 | 1 << 38);
    assert_eq!(gpa(&regs, &memory, 0xab00_0000_0000_0123), Some(0x5123));
    assert_eq!(gpa(&regs, &memory, 0x00ff_ff80_0000_0123), Some(0x4000_0123));
    assert_eq!(gpa(&regs, &memory, 0xffff_ff80_0000_0123), Some(0x4000_0123));
}

#[test]
fn tbi_is_each_halfs_own() {
    let memory = three_levels(0, 0x5000 | PAGE);
    let low_only = el1(tcr(4, 39) | 1 << 37);
    assert!(gpa(&low_only, &memory, 0x5500_0000_0000_0000).is_some());
    assert!(gpa(&low_only, &memory, 0x55ff_ff80_0000_0000).is_none());
    let high_only = el1(tcr(4, 39) | 1 << 38);
    assert!(gpa(&high_only, &memory, 0x5500_0000_0000_0000).is_none());
    assert!(gpa(&high_only, &memory, 0x55ff_ff80_0000_0000).is_some());
}

#[test]
fn bits_above_the_input_size_must_equal_bit_55() {
    let memory = three_levels(0, 0x5000 | PAGE);
    for tbi in [0, 1 << 37 | 1 << 38] {
        let regs = el1(tcr(4, 39) | tbi);
        for hole in [0x80_0000_0000, 0x00ff_ff00_0000_0000, 0xffff_ff7f_ffff_ffff] {
            assert_eq!(status(&regs, &memory, hole, READ), Some(0b000100), "{hole:#x}");
        }
    }
    let fault = fault(&el1(tcr(4, 39)), &memory, 1 << 63, Query::Presence).expect("no tag allowed");
    assert_eq!((fault.kind, fault.entry), (FaultKind::Translation, None));
}

#[test]
fn epd_disables_the_walks_of_one_ttbr() {
    let memory = three_levels(0, 0x5000 | PAGE);
    let (low, high) = (0, 0xffff_ff80_0000_0000);
    let no_low = el1(tcr(4, 39) | 1 << 7);
    assert_eq!(status(&no_low, &memory, low, READ), Some(0b000100));
    assert_eq!(gpa(&no_low, &memory, high), Some(0x5000));
    let no_high = el1(tcr(4, 39) | 1 << 23);
    assert_eq!(status(&no_high, &memory, high, READ), Some(0b000100));
    assert_eq!(gpa(&no_high, &memory, low), Some(0x5000));
    assert_eq!(LongPaging::new(&no_high).expect("modelled").spans().len(), 1);
}

#[test]
fn tg0_and_tg1_number_the_granules_differently() {
    // TG0 = 0b10 is 16 KB, TG1 = 0b10 is 4 KB. 36 bits: 16 KB starts at level
    // 2 (11 index bits), 4 KB at level 1 (6 index bits).
    let regs = el1(28 | 28 << 16 | 0b10 << 14 | 0b10 << 30 | 5 << 32);
    let memory = words([(0x10000 + 8, 0x200_0000 | BLOCK), (0x90000 + 8, 0x4000_0000 | BLOCK)]);
    assert_eq!(gpa(&regs, &memory, 0x200_0004), Some(0x200_0004));
    assert_eq!(gpa(&regs, &memory, 0xffff_fff0_4000_0004), Some(0x4000_0004));
}

#[test]
fn the_granule_and_the_address_size_choose_the_first_level_and_its_index_bits() {
    use Level::{Level0, Level1, Level2, Level3, LevelMinus1};
    let cases = [
        (4, 16, Level3, 4),
        (4, 36, Level1, 6),
        (4, 39, Level1, 9),
        (4, 40, Level0, 1),
        (4, 42, Level0, 3),
        (4, 47, Level0, 8),
        (4, 48, Level0, 9),
        (4, 49, LevelMinus1, 1),
        (4, 52, LevelMinus1, 4),
        (16, 16, Level3, 2),
        (16, 25, Level3, 11),
        (16, 36, Level2, 11),
        (16, 39, Level1, 3),
        (16, 42, Level1, 6),
        (16, 47, Level1, 11),
        (16, 48, Level0, 1),
        (16, 52, Level0, 5),
        (64, 17, Level3, 1),
        (64, 36, Level2, 7),
        (64, 39, Level2, 10),
        (64, 42, Level2, 13),
        (64, 47, Level1, 5),
        (64, 48, Level1, 6),
        (64, 52, Level1, 10),
    ];
    for (kb, size, level, bits) in cases {
        let ds = if kb < 64 && size > 48 { DS } else { 0 };
        let paging = LongPaging::new(&el1(tcr(kb, size) | ds)).expect("modelled");
        let Ok(Start::Table(table)) = paging.start(Gva(0)) else { panic!("no table") };
        assert_eq!((table.level, table.bits), (level, bits), "{kb} KB, {size} bits");
        assert_eq!(u64::from(table.shift + table.bits), size, "{kb} KB, {size} bits");
    }
}

#[test]
fn a_txsz_out_of_range_is_a_level_0_translation_fault() {
    let memory = Words { words: BTreeMap::new(), elsewhere: BLOCK };
    let too_small = [tcr(4, 49), tcr(16, 49), tcr(4, 53) | DS, tcr(64, 53)];
    let too_large = [tcr(4, 15), tcr(16, 15), tcr(64, 16), tcr(4, 1)];
    for tcr in too_small.into_iter().chain(too_large) {
        assert_eq!(status(&el1(tcr), &memory, 0, READ), Some(0b000100), "{tcr:#x}");
        assert!(LongPaging::new(&el1(tcr)).expect("modelled").spans().is_empty());
    }
}

#[test]
fn a_root_smaller_than_a_page_is_aligned_to_its_size_and_has_garbage_neighbours() {
    // 4 KB granule, 36 bits: 64 entries, 512 bytes, here at 0x10200.
    let mut memory =
        words([(0x10200, 0x4000_0000 | BLOCK), (0x10200 + 8 * 63, 0x8000_0000 | BLOCK)]);
    memory.elsewhere = 0x7fff_dead_0000_0000 | BLOCK;
    let regs = ArmRegs { ttbr0: 0x10200, ..el1(tcr(4, 36)) };
    assert_eq!(gpa(&regs, &memory, 0x1234), Some(0x4000_1234));
    assert_eq!(gpa(&regs, &memory, 0xf_ffff_ffff), Some(0xbfff_ffff));
    let span = &LongPaging::new(&regs).expect("modelled").spans()[0];
    assert_eq!((span.gva, span.entries()), (Gva(0), 0..64));
}

#[test]
fn the_16k_48_bit_root_has_two_entries() {
    let regs = ArmRegs { ttbr0: 0x10010, ..el1(tcr(16, 48)) };
    let memory = words([
        (0x10018, 0x20000 | TABLE),
        (0x20000, 0x24000 | TABLE),
        (0x24000, 0x600_0000 | BLOCK),
    ]);
    assert_eq!(gpa(&regs, &memory, 0x8000_0000_0040), Some(0x600_0040));
    assert_eq!(gpa(&regs, &memory, 0x40), None);
}

#[test]
fn asid_and_cnp_are_no_part_of_the_table_base() {
    let memory = three_levels(0, 0x5000 | PAGE);
    let regs = ArmRegs { ttbr0: 0xbeef_0000_0001_0001, ..el1(tcr(4, 39)) };
    assert_eq!(gpa(&regs, &memory, 0), Some(0x5000));
}

#[test]
fn a_table_base_above_the_output_size_is_a_level_0_address_size_fault() {
    let memory = Words { words: BTreeMap::new(), elsewhere: BLOCK };
    let ips_32 = tcr(4, 39) & !(7 << 32);
    let regs = ArmRegs { ttbr0: 0x1_0001_0000, ..el1(ips_32) };
    assert_eq!(status(&regs, &memory, 0, READ), Some(0b000000));
    assert!(gpa(&ArmRegs { ttbr0: 0x1_0001_0000, ..el1(tcr(4, 39)) }, &memory, 0).is_some());
}

#[test]
fn el2_has_one_half_and_its_own_tcr_layout() {
    // T0SZ = 25, PS = 48 bits.
    let regs = ArmRegs { el: 2, ..el1(25 | 5 << 16) };
    let memory = three_levels(0, 0x5000 | PAGE);
    assert_eq!(gpa(&regs, &memory, 0x10), Some(0x5010));
    assert_eq!(gpa(&regs, &memory, 0xffff_ff80_0000_0000), None);
    assert_eq!(gpa(&regs, &memory, 0x5500_0000_0000_0000), None);
    let tagged = ArmRegs { tcr: regs.tcr | 1 << 20, ..regs };
    assert_eq!(gpa(&tagged, &memory, 0x5500_0000_0000_0010), Some(0x5010));
    assert_eq!(gpa(&tagged, &memory, 0x5580_0000_0000_0010), None);
    assert_eq!(rights_with(&regs, 0, 0x40 | PAGE).to_string(), "kernel rwx user ---");
    assert_eq!(rights_with(&regs, 0, 1 << 54 | PAGE).to_string(), "kernel rw- user ---");
    assert_eq!(rights_with(&ArmRegs { el: 3, ..regs }, 0, PAGE).to_string(), "kernel rwx user ---");
}

#[test]
fn e2h_gives_el2_both_halves_with_el1s_layout() {
    let regs = ArmRegs { el: 2, hcr: 1 << 34, ..el1(tcr(4, 39)) };
    let memory = three_levels(0, 0x5000 | PAGE | 0x40);
    assert_eq!(gpa(&regs, &memory, 0xffff_ff80_0000_0010), Some(0x5010));
    assert_eq!(rights_with(&regs, 0, PAGE | 0x40).to_string(), "kernel rw- user rwx");
}

#[test]
fn without_the_mmu_an_address_is_physical_and_its_tag_is_dropped() {
    let memory = words([]);
    let off = ArmRegs { sctlr: 0, phys_bits: 48, ..el1(tcr(4, 39)) };
    assert_eq!(gpa(&off, &memory, 0x1234_5678_9abc), Some(0x1234_5678_9abc));
    assert_eq!(status(&off, &memory, 1 << 48, READ), Some(0b000000));
    assert_eq!(status(&off, &memory, 1 << 60, READ), Some(0b000000));
    let tagged = ArmRegs { tcr: off.tcr | 1 << 37, ..off };
    assert_eq!(gpa(&tagged, &memory, 0xab00_0000_0000_1000), Some(0x1000));
    assert_eq!(status(&tagged, &memory, 0xab80_0000_0000_1000, READ), Some(0b000000));
    let off32 = ArmRegs { sctlr: 0, ..lpae(0) };
    assert_eq!(gpa(&off32, &memory, 0xffff_fff0), Some(0xffff_fff0));
    assert_eq!(gpa(&off32, &memory, 0x1_0000_0000), None);
}
