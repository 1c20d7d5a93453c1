//! What an entry means.

use super::*;

#[test]
fn level_3_descriptor_0b01_is_invalid() {
    let memory = three_levels(0, 0x5000 | BLOCK);
    let found = fault(&el1(tcr(4, 39)), &memory, 0, READ).expect("reserved");
    assert_eq!((found.kind, found.status), (FaultKind::Translation, Some(0b000111)));
}

#[test]
fn an_invalid_descriptor_is_invalid_whatever_its_other_bits() {
    let memory = three_levels(0, 0xffff_ffff_ffff_fffe);
    assert_eq!(gpa(&el1(tcr(4, 39)), &memory, 0), None);
}

#[test]
fn blocks_exist_only_at_the_granules_own_levels() {
    use Level::{Level0, Level1, Level2, LevelMinus1};
    let cases = [
        (4, 52, DS, vec![Level0, Level1, Level2]),
        (4, 48, 0, vec![Level1, Level2]),
        (16, 52, DS, vec![Level1, Level2]),
        (16, 48, 0, vec![Level2]),
        (64, 52, IPS_52, vec![Level1, Level2]),
    ];
    for (kb, bits, extra, allowed) in cases {
        let regs = el1(tcr(kb, bits) | extra);
        for level in [LevelMinus1, Level0, Level1, Level2] {
            // Tables that lead to themselves down to `level`, then a block.
            let Ok(Start::Table(mut table)) =
                LongPaging::new(&regs).expect("modelled").start(Gva(0))
            else {
                panic!("no table")
            };
            if table.level > level {
                continue;
            }
            let mut memory = words([]);
            let mut at = table.base.0;
            while table.level < level {
                memory.words.insert(at, (at + 0x10000) | TABLE);
                at += 0x10000;
                table.level = match table.level {
                    LevelMinus1 => Level0,
                    Level0 => Level1,
                    _ => Level2,
                };
            }
            memory.words.insert(at, BLOCK);
            let mapped = gpa(&regs, &memory, 0x123).is_some();
            assert_eq!(mapped, allowed.contains(&level), "{kb} KB, {bits} bits, {level}");
        }
    }
}

#[test]
fn level_1_blocks_of_64k_need_52_physical_bits() {
    let memory = words([(0x10000, BLOCK)]);
    let regs = el1(tcr(64, 48));
    assert!(gpa(&regs, &memory, 0).is_some());
    assert!(gpa(&ArmRegs { phys_bits: 48, ..regs }, &memory, 0).is_none());
}

#[test]
fn sh_bits_are_address_bits_only_with_ds() {
    // Inner shareable: bits 9:8 = 0b11.
    let memory = three_levels(0, 0x5000 | 0x300 | PAGE);
    assert_eq!(gpa(&el1(tcr(4, 39)), &memory, 0), Some(0x5000));
    assert_eq!(gpa(&el1(tcr(4, 39) | IPS_52), &memory, 0), Some(0x5000));
    let ds = el1(tcr(4, 39) | IPS_52 | DS);
    assert_eq!(gpa(&ds, &memory, 0), Some(0xc_0000_0000_5000));
    // OA[49:48] are bits 49:48 then.
    let memory = three_levels(0, 0x3_0000_0000_5000 | 0x100 | PAGE);
    assert_eq!(gpa(&ds, &memory, 0), Some(0x7_0000_0000_5000));
    assert_eq!(gpa(&el1(tcr(4, 39)), &memory, 0), Some(0x5000));
}

#[test]
fn ds_counts_for_el2_at_bit_32_and_not_with_64k_granules() {
    let memory = three_levels(0, 0x5000 | 0x300 | PAGE);
    let el2 = ArmRegs { el: 2, ..el1(25 | 6 << 16 | 1 << 32) };
    assert_eq!(gpa(&el2, &memory, 0), Some(0xc_0000_0000_5000));
    let memory = words([(0x10000, 0x2000_0000 | 0x300 | BLOCK)]);
    assert_eq!(gpa(&el1(tcr(64, 42) | DS), &memory, 0), Some(0x2000_0000));
}

#[test]
fn pa_51_48_come_from_bits_15_12_with_64k_granules_and_52_bit_output() {
    let memory =
        words([(0x10000, 0x20000 | 0xa000 | TABLE), (0xa_0000_0002_0000, 0x30000 | 0x5000 | PAGE)]);
    let regs = el1(tcr(64, 42) | IPS_52);
    assert_eq!(gpa(&regs, &memory, 0x77), Some(0x5_0000_0003_0077));
    // Otherwise the bits are ignored: the table is at 0x20000.
    let memory = words([(0x10000, 0x20000 | 0xa000 | TABLE), (0x20000, 0x30000 | 0x5000 | PAGE)]);
    assert_eq!(gpa(&el1(tcr(64, 42)), &memory, 0x77), Some(0x3_0077));
}

#[test]
fn ttbr_5_2_are_base_bits_51_48_only_with_52_bit_tables() {
    let at = |base: u64| words([(base, 0x2000_0000 | BLOCK)]);
    let regs = |tcr| ArmRegs { ttbr0: 0x10000 | 0b1010 << 2, ..el1(tcr) };
    assert!(gpa(&regs(tcr(64, 42) | IPS_52), &at(0xa_0000_0001_0000), 0).is_some());
    assert!(gpa(&regs(tcr(64, 42)), &at(0x10000), 0).is_some());
    let ds = tcr(4, 39) | IPS_52 | DS;
    let block = words([(0xa_0000_0001_0000, 0x4000_0000 | BLOCK)]);
    assert_eq!(gpa(&regs(ds), &block, 4), Some(0x4000_0004));
    // A root of two entries (64 KB granule, 43 bits) is aligned to 64 bytes.
    assert!(gpa(&regs(tcr(64, 43) | IPS_52), &at(0xa_0000_0001_0000), 0).is_some());
}

#[test]
fn a_52_bit_address_walks_five_levels_of_4k() {
    let regs = el1(tcr(4, 52) | IPS_52 | DS);
    let memory = words([
        (0x10000 + 8 * 15, 0x20000 | TABLE),
        (0x20000, 0x21000 | TABLE),
        (0x21000, 0x22000 | TABLE),
        (0x22000, 0x23000 | TABLE),
        (0x23000 + 8, 0x5000 | PAGE),
    ]);
    let walk = walk(&regs, &memory, 0xf_0000_0000_1042, Query::Presence);
    assert_eq!(walk.result.expect("mapped").gpa, Gpa(0x5042));
    assert_eq!(walk.steps.len(), 5);
    assert_eq!((walk.steps[0].level, walk.steps[0].index), (Level::LevelMinus1, 15));
    assert_eq!(status(&regs, &memory, 0, READ), Some(0b101011));
}

#[test]
fn a_52_bit_address_of_64k_has_a_level_1_of_1024_entries() {
    let regs = el1(tcr(64, 52) | IPS_52);
    let memory = words([(0x10000 + 8 * 1023, 0x400_0000_0000 | BLOCK)]);
    assert_eq!(gpa(&regs, &memory, 0xf_fc00_0000_0007), Some(0x400_0000_0007));
}

#[test]
fn an_output_above_ips_is_an_address_size_fault_and_no_mapping() {
    // IPS = 36 bits.
    let regs = el1(tcr(4, 39) & !(7 << 32) | 1 << 32);
    let page = three_levels(0, 0x10_0000_5000 | PAGE);
    assert_eq!(gpa(&regs, &page, 0), None);
    assert_eq!(status(&regs, &page, 0, READ), Some(0b000011));
    let table = three_levels(0x10_0000_0000, 0x5000 | PAGE);
    assert_eq!(status(&regs, &table, 0, READ), Some(0b000001));
    // So is one above the CPU's own size.
    let small = ArmRegs { phys_bits: 32, ..el1(tcr(4, 39)) };
    assert_eq!(status(&small, &page, 0, READ), Some(0b000011));
}

#[test]
fn the_contiguous_bit_moves_nothing() {
    let regs = el1(tcr(4, 39));
    let memory = three_levels(0, 1 << 52 | 0x15000 | PAGE);
    assert_eq!(gpa(&regs, &memory, 0x123), Some(0x15123));
    let walk = walk(&regs, &memory, 0, Query::Presence);
    assert_eq!(walk.result.expect("mapped").page_size, 4096);
    let flags = Mmu::ArmLong(LongPaging::new(&regs).expect("modelled")).flags(&walk.steps[2]);
    assert!(flags.contains(&"CONTIGUOUS"));
}

#[test]
fn sctlr_ee_makes_descriptors_big_endian() {
    let mut memory = three_levels(0, 0x5000 | PAGE);
    memory.words.values_mut().for_each(|word| *word = word.swap_bytes());
    let regs = ArmRegs { sctlr: 1 | 1 << 25, ..el1(tcr(4, 39)) };
    assert_eq!(gpa(&regs, &memory, 0x10), Some(0x5010));
}

#[test]
fn a_table_that_leads_to_itself_ends_after_the_last_level() {
    // Recursive mapping: the last "page" is the table itself.
    let memory = words([(0x10000, 0x10000 | PAGE)]);
    let walk = walk(&el1(tcr(4, 48)), &memory, 0x8, Query::Presence);
    assert_eq!((walk.steps.len(), walk.result.expect("mapped").gpa), (4, Gpa(0x10008)));
}
