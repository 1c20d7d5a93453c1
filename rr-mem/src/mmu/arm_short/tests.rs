//! Rules of the manual, one test each. Tables are built from plain numbers:
//! nothing here uses the walker's own accessors.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::{
    memory::{Counter, Memory, ReadError},
    mmu::{AccessKind, Fault, Mmu, Query, Walk, WalkError},
    regs::ArmState,
};

/// 4-byte words of guest physical memory; every other word is 0.
struct Words(BTreeMap<u64, u32>);

impl Memory for Words {
    fn read(&self, addr: Gpa, dst: &mut [u8]) -> Result<(), ReadError> {
        for (i, byte) in dst.iter_mut().enumerate() {
            let at = addr.0.wrapping_add(i as u64);
            let word = self.0.get(&(at & !3)).copied().unwrap_or_default();
            *byte = word.to_le_bytes()[(at & 3) as usize];
        }
        Ok(())
    }
}

fn words<const N: usize>(words: [(u64, u32); N]) -> Words {
    Words(words.into())
}

/// A section whose AP\[2:0\] is 0b011: everything is allowed.
const SECTION: u32 = 0xc02;
/// A small page of the same rights.
const SMALL: u32 = 0x32;
/// A large page of the same rights.
const LARGE: u32 = 0x31;
const AFE: u64 = 1 << 29;

const fn access(kind: AccessKind, user: bool) -> Query {
    Query::Access(Access { kind, user })
}
const READ: Query = access(AccessKind::Read, false);
const WRITE: Query = access(AccessKind::Write, false);
const FETCH: Query = access(AccessKind::Execute, false);
const USER_READ: Query = access(AccessKind::Read, true);
const USER_WRITE: Query = access(AccessKind::Write, true);

/// TTBR0 at 0x4000, TTBR1 at 0x8000, every domain a client.
fn regs(ttbcr: u64) -> ArmRegs {
    ArmRegs { tcr: ttbcr, ttbr0: 0x4000, ttbr1: 0x8000, ..ArmRegs::new(ArmState::Aarch32) }
}

fn walk(regs: &ArmRegs, memory: &impl Memory, gva: u64, query: Query) -> Walk {
    Mmu::ArmShort(ShortPaging::new(regs).expect("modelled")).walk(memory, Gva(gva), query)
}

fn gpa(regs: &ArmRegs, memory: &impl Memory, gva: u64) -> Option<u64> {
    walk(regs, memory, gva, Query::Presence).result.ok().map(|found| found.gpa.0)
}

fn fault(regs: &ArmRegs, memory: &impl Memory, gva: u64, query: Query) -> Option<Fault> {
    match walk(regs, memory, gva, query).result {
        Err(WalkError::Fault(fault)) => Some(fault),
        _ => None,
    }
}

fn status(regs: &ArmRegs, memory: &impl Memory, gva: u64, query: Query) -> Option<u32> {
    fault(regs, memory, gva, query).map(|fault| fault.status.expect("every fault has a status"))
}

/// A section at 0, and a small page at 0x10_0000 below a table with `table`'s
/// bits.
fn section_and_page(section: u32, table: u32, page: u32) -> Words {
    words([(0x4000, section), (0x4004, 0x1_0001 | table), (0x1_0000, page)])
}

fn section_rights(regs: &ArmRegs, section: u32) -> String {
    let memory = section_and_page(section, 0, 0);
    walk(regs, &memory, 0, Query::Presence).result.expect("mapped").rights.to_string()
}

fn page_rights(regs: &ArmRegs, table: u32, page: u32) -> String {
    let memory = section_and_page(0, table, page);
    walk(regs, &memory, 0x10_0000, Query::Presence).result.expect("mapped").rights.to_string()
}

#[test]
fn ttbcr_n_divides_the_address_space_at_every_size() {
    for n in 1..=7u64 {
        let border = 1u64 << (32 - n);
        let memory = words([
            (0x4000 + ((border >> 20) - 1) * 4, 0x1110_0000 | SECTION),
            (0x8000 + (border >> 20) * 4, 0x2220_0000 | SECTION),
            (0x8000 + 0xfff * 4, 0x3330_0000 | SECTION),
        ]);
        assert_eq!(gpa(&regs(n), &memory, border - 1), Some(0x111f_ffff), "N = {n}");
        assert_eq!(gpa(&regs(n), &memory, border), Some(0x2220_0000), "N = {n}");
        assert_eq!(gpa(&regs(n), &memory, 0xffff_ffff), Some(0x333f_ffff), "N = {n}");
    }
}

#[test]
fn with_n_0_ttbr0_has_everything() {
    let memory = words([(0x4000 + 0xfff * 4, 0x1110_0000 | SECTION)]);
    assert_eq!(gpa(&regs(0), &memory, 0xfff0_0008), Some(0x1110_0008));
    assert_eq!(gpa(&regs(0), &memory, 0x1_0000_0000), None);
    assert_eq!(status(&regs(0), &memory, 0x1_0000_0000, READ), Some(0x5));
}

#[test]
fn ttbr0s_table_shrinks_with_n_and_ttbr1s_does_not() {
    // N = 7: 128 bytes, so bit 7 is part of the base; attributes lie below.
    let memory = words([(0x4080, 0x1110_0000 | SECTION), (0x8000 + 32 * 4, 0x2220_0000 | SECTION)]);
    let regs = ArmRegs { ttbr0: 0x4080 | 0x6a, ttbr1: 0xa06a, ..regs(7) };
    assert_eq!(gpa(&regs, &memory, 4), Some(0x1110_0004));
    assert_eq!(gpa(&regs, &memory, 0x200_0000), Some(0x2220_0000));
    let paging = ShortPaging::new(&regs).expect("modelled");
    let spans: Vec<_> = paging.spans().into_iter().map(|s| (s.gva, s.entries())).collect();
    assert_eq!(spans, [(Gva(0), 0..32), (Gva(0), 32..4096)]);
}

#[test]
fn pd0_and_pd1_disable_the_walks_of_one_ttbr() {
    let memory = words([(0x4000, SECTION), (0x8000 + 0xfff * 4, SECTION)]);
    let (low, high) = (0, 0xfff0_0000);
    assert!(gpa(&regs(1), &memory, low).is_some() && gpa(&regs(1), &memory, high).is_some());
    let pd0 = regs(1 | 1 << 4);
    assert_eq!(status(&pd0, &memory, low, READ), Some(0x5));
    assert!(gpa(&pd0, &memory, high).is_some());
    let pd1 = regs(1 | 1 << 5);
    assert_eq!(status(&pd1, &memory, high, READ), Some(0x5));
    assert!(gpa(&pd1, &memory, low).is_some());
    // N = 0: PD0 disables everything, PD1 nothing.
    assert_eq!(gpa(&regs(1 << 4), &memory, low), None);
    assert!(gpa(&regs(1 << 5), &memory, low).is_some());
    assert_eq!(ShortPaging::new(&regs(1 << 5)).expect("modelled").spans().len(), 1);
}

#[test]
fn supersections_carry_physical_bits_39_to_32() {
    // Bit 18; PA[35:32] = 0xa in bits 23:20, PA[39:36] = 0xb in bits 8:5.
    let entry = 0x5500_0000 | 1 << 18 | 0xa << 20 | 0xb << 5 | SECTION;
    let mut memory = words([]);
    for copy in 0..16 {
        memory.0.insert(0x4000 + (0x120 + copy) * 4, entry);
    }
    assert_eq!(gpa(&regs(0), &memory, 0x1200_0000), Some(0xba_5500_0000));
    assert_eq!(gpa(&regs(0), &memory, 0x12ab_cdef), Some(0xba_55ab_cdef));
    let found = walk(&regs(0), &memory, 0x12f0_0000, Query::Presence).result.expect("mapped");
    assert_eq!(found.page_size, 16 << 20);
}

#[test]
fn bit_18_selects_the_supersection_and_frees_the_domain() {
    // Bits 8:5 are domain 1 of a section, but an address of a supersection.
    let entry = 0x5510_0000 | 1 << 5 | SECTION;
    let memory = words([(0x4000, entry), (0x4004, entry | 1 << 18)]);
    let no_domain_1 = ArmRegs { dacr: 0b0001, ..regs(0) };
    assert_eq!(gpa(&no_domain_1, &memory, 0x123), Some(0x5510_0123));
    assert_eq!(status(&no_domain_1, &memory, 0, READ), Some(0x9));
    assert_eq!(status(&no_domain_1, &memory, 0x10_0000, READ), None);
    let no_domain_0 = ArmRegs { dacr: 0b0100, ..regs(0) };
    assert_eq!(status(&no_domain_0, &memory, 0, READ), None);
    assert_eq!(status(&no_domain_0, &memory, 0x10_0000, READ), Some(0x9));
}

#[test]
fn bit_18_of_a_table_is_an_address_bit_and_its_domain_stays() {
    let memory = words([(0x4000, 0x4_0001 | 2 << 5), (0x4_0000, 0x9_9000 | SMALL)]);
    let no_domain_2 = ArmRegs { dacr: !(0b11 << 4), ..regs(0) };
    assert_eq!(gpa(&no_domain_2, &memory, 0), Some(0x9_9000));
    assert_eq!(status(&no_domain_2, &memory, 0, READ), Some(0xb));
}

#[test]
fn large_pages_are_found_through_each_of_their_16_entries() {
    let mut memory = words([(0x4000, 0x1_0001)]);
    for copy in 0..16 {
        memory.0.insert(0x1_0000 + (0x30 + copy) * 4, 0x7ff0_0000 | LARGE);
    }
    for copy in 0..16u64 {
        let gva = 0x3_0000 + copy * 0x1000 + 0xabc;
        let found = walk(&regs(0), &memory, gva, Query::Presence).result.expect("mapped");
        assert_eq!((found.gpa.0, found.page_size), (0x7ff0_0000 + (gva & 0xffff), 0x1_0000));
    }
    assert_eq!(gpa(&regs(0), &memory, 0x4_0000), None);
}

#[test]
fn second_level_tables_are_1_kb_aligned() {
    let memory = words([(0x4000, 0x1_0401), (0x1_0400 + 0xff * 4, 0x9_9000 | SMALL)]);
    assert_eq!(gpa(&regs(0), &memory, 0xf_f123), Some(0x9_9123));
    assert_eq!(status(&regs(0), &memory, 0, READ), Some(0x7));
    assert_eq!(status(&regs(0), &memory, 0x10_0000, READ), Some(0x5));
}

#[test]
fn first_level_type_0b11_is_a_section_that_the_kernel_cannot_execute() {
    let regs = regs(0);
    assert_eq!(section_rights(&regs, SECTION), "kernel rwx user rwx");
    assert_eq!(section_rights(&regs, SECTION | 1), "kernel rw- user rwx");
    assert_eq!(
        gpa(&regs, &section_and_page(0x7770_0000 | SECTION | 1, 0, 0), 8),
        Some(0x7770_0008)
    );
}

#[test]
fn a_small_pages_bit_0_is_xn_not_its_type() {
    assert_eq!(page_rights(&regs(0), 0, SMALL), "kernel rwx user rwx");
    assert_eq!(page_rights(&regs(0), 0, SMALL | 1), "kernel rw- user rw-");
    assert_eq!(page_rights(&regs(0), 0, LARGE | 1 << 15), "kernel rw- user rw-");
    assert_eq!(section_rights(&regs(0), SECTION | 1 << 4), "kernel rw- user rw-");
}

#[test]
fn pxn_of_a_table_is_its_pages() {
    assert_eq!(page_rights(&regs(0), 1 << 2, SMALL), "kernel rw- user rwx");
}

#[test]
fn the_full_access_permissions_have_eight_values() {
    let expected = [
        "kernel --- user ---",
        "kernel rwx user ---",
        "kernel rwx user r-x",
        "kernel rwx user rwx",
        "kernel --- user ---",
        "kernel r-x user ---",
        "kernel r-x user r-x",
        "kernel r-x user r-x",
    ];
    for (ap, expected) in (0u32..).zip(expected) {
        let (high, low) = (ap >> 2, ap & 3);
        assert_eq!(section_rights(&regs(0), 2 | high << 15 | low << 10), expected, "AP {ap:#b}");
        assert_eq!(page_rights(&regs(0), 0, 2 | high << 9 | low << 4), expected, "AP {ap:#b}");
        assert_eq!(page_rights(&regs(0), 0, 1 | high << 9 | low << 4), expected, "AP {ap:#b}");
    }
}

#[test]
fn with_afe_ap_0_is_the_access_flag_and_ap_2_1_the_rights() {
    let afe = ArmRegs { sctlr: 1 | AFE, ..regs(0) };
    let expected = [
        "kernel rwx user ---",
        "kernel rwx user rwx",
        "kernel r-x user ---",
        "kernel r-x user r-x",
    ];
    for (ap, expected) in (0u32..).zip(expected) {
        let section = 2 | (ap >> 1) << 15 | (ap & 1) << 11;
        assert_eq!(section_rights(&afe, section), expected);
        let memory = section_and_page(section, 0, 2);
        assert_eq!(gpa(&afe, &memory, 0), Some(0));
        assert_eq!(status(&afe, &memory, 0, READ), Some(0x3));
        assert_eq!(status(&afe, &memory, 0x10_0000, READ), Some(0x6));
        assert_eq!(status(&afe, &section_and_page(section | 1 << 10, 0, 0), 0, READ), None);
    }
}

#[test]
fn a_domain_without_access_refuses_and_a_manager_ignores_rights() {
    // Domain 3; AP 0b000 forbids everything to a client.
    let memory = section_and_page(2 | 3 << 5, 3 << 5, 2);
    let with = |bits: u64| ArmRegs { dacr: bits << 6, ..regs(0) };
    for (dacr, section, page) in [
        (0b00, Some(0x9), Some(0xb)),
        (0b01, Some(0xd), Some(0xf)),
        (0b10, Some(0x9), Some(0xb)),
        (0b11, None, None),
    ] {
        for query in [READ, WRITE, FETCH, USER_READ, USER_WRITE] {
            assert_eq!(status(&with(dacr), &memory, 0, query), section);
            assert_eq!(status(&with(dacr), &memory, 0x10_0000, query), page);
        }
        assert_eq!(gpa(&with(dacr), &memory, 0x123), Some(0x123));
    }
    assert_eq!(section_rights(&with(0b11), 2 | 3 << 5 | 1 << 4), "kernel rwx user rwx");
    assert_eq!(section_rights(&with(0b00), SECTION | 3 << 5), "kernel --- user ---");
}

#[test]
fn the_access_flag_comes_before_the_domain_and_the_domain_before_permission() {
    let closed = ArmRegs { sctlr: 1 | AFE, dacr: 0, ..regs(0) };
    assert_eq!(status(&closed, &section_and_page(2, 0, 0), 0, READ), Some(0x3));
    assert_eq!(status(&closed, &section_and_page(2 | 1 << 10, 0, 0), 0, USER_READ), Some(0x9));
    let manager = ArmRegs { dacr: 0b11, ..closed };
    assert_eq!(status(&manager, &section_and_page(2, 0, 0), 0, READ), Some(0x3));
}

#[test]
fn wxn_and_uwxn_take_execution_from_what_can_be_written() {
    let wxn = ArmRegs { sctlr: 1 | 1 << 19, ..regs(0) };
    assert_eq!(section_rights(&wxn, SECTION), "kernel rw- user rw-");
    assert_eq!(section_rights(&wxn, 2 | 0b10 << 10), "kernel rw- user r-x");
    let uwxn = ArmRegs { sctlr: 1 | 1 << 20, ..regs(0) };
    assert_eq!(section_rights(&uwxn, SECTION), "kernel rw- user rwx");
    assert_eq!(section_rights(&uwxn, 2 | 0b10 << 10), "kernel rwx user r-x");
}

#[test]
fn pan_refuses_privileged_data_accesses_of_clients_to_user_pages() {
    let pan = ArmRegs { pan: true, ..regs(0) };
    let memory = section_and_page(SECTION, 0, 0x12);
    assert_eq!(status(&pan, &memory, 0, READ), Some(0xd));
    assert_eq!(status(&pan, &memory, 0, FETCH), None);
    assert_eq!(status(&pan, &memory, 0, USER_WRITE), None);
    assert_eq!(status(&pan, &memory, 0x10_0000, WRITE), None);
    assert_eq!(status(&ArmRegs { dacr: 0b11, ..pan }, &memory, 0, READ), None);
}

#[test]
fn sctlr_ee_makes_descriptors_big_endian() {
    let memory = words([(0x4000, (0x1230_0000 | SECTION).swap_bytes())]);
    let regs = ArmRegs { sctlr: 1 | 1 << 25, ..regs(0) };
    assert_eq!(gpa(&regs, &memory, 0x10), Some(0x1230_0010));
}

#[test]
fn without_the_mmu_an_address_is_physical() {
    let off = ArmRegs { sctlr: 0, ..regs(0) };
    assert_eq!(gpa(&off, &words([]), 0xffff_fff0), Some(0xffff_fff0));
    assert_eq!(gpa(&off, &words([]), 0x1_0000_0000), None);
    assert_eq!(ShortPaging::new(&off).expect("modelled").spans().len(), 1);
}

#[test]
fn flags_have_the_manuals_names() {
    let mmu =
        Mmu::ArmShort(ShortPaging::new(&ArmRegs { sctlr: 1 | AFE, ..regs(0) }).expect("modelled"));
    let flags = |memory: &Words, gva| {
        let steps = mmu.walk(memory, Gva(gva), Query::Presence).steps;
        steps.iter().map(|step| mmu.flags(step)).collect::<Vec<_>>()
    };
    let memory = section_and_page(SECTION | 1 << 17 | 1 << 4, 1 << 2, 0x213);
    assert_eq!(flags(&memory, 0), [["SECTION", "AF", "USER", "XN", "nG"]]);
    let page = flags(&memory, 0x10_0000);
    assert_eq!(page, [vec!["TABLE", "PXN"], vec!["SMALL", "AF", "RO", "XN"]]);
    assert_eq!(flags(&memory, 0x20_0000), [[""; 0]]);
}

/// Every word of memory is one of eight, chosen by its address.
struct Noise([u32; 8]);

impl Memory for Noise {
    fn read(&self, addr: Gpa, dst: &mut [u8]) -> Result<(), ReadError> {
        for (i, byte) in dst.iter_mut().enumerate() {
            let at = addr.0.wrapping_add(i as u64);
            *byte = self.0[(at >> 2 & 7) as usize].to_le_bytes()[(at & 3) as usize];
        }
        Ok(())
    }
}

fn any_regs() -> impl Strategy<Value = ArmRegs> {
    any::<([u64; 5], bool)>().prop_map(|([ttbr0, ttbr1, tcr, sctlr, dacr], pan)| ArmRegs {
        ttbr0,
        ttbr1,
        // TTBCR has N, PD0 and PD1.
        tcr: tcr & 0b11_0111,
        // Mostly with the MMU on; without HA.
        sctlr: (sctlr | u64::from(sctlr & 0xf000 != 0)) & !(1 << 17),
        dacr,
        pan,
        ..ArmRegs::new(ArmState::Aarch32)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_walk_ends_within_two_reads(
        regs in any_regs(),
        noise in any::<[u32; 8]>(),
        gva in any::<u64>(),
        kind in 0..3usize,
        user in any::<bool>(),
    ) {
        let noise = Noise(noise);
        let memory = Counter::new(&noise);
        let kind = [AccessKind::Read, AccessKind::Write, AccessKind::Execute][kind];
        let mmu = Mmu::ArmShort(ShortPaging::new(&regs).expect("modelled"));
        for gva in [gva, gva & 0xffff_ffff] {
            for query in [Query::Presence, access(kind, user)] {
                let before = memory.reads();
                let walk = mmu.walk(&memory, Gva(gva), query);
                prop_assert!(memory.reads() - before <= 2);
                for step in &walk.steps {
                    prop_assert!(mmu.flags(step).len() < 16);
                }
            }
        }
    }

    #[test]
    fn every_megabyte_of_a_span_starts_at_its_table(regs in any_regs()) {
        let paging = ShortPaging::new(&regs).expect("modelled");
        for span in paging.spans() {
            let Start::Table(table) = span.start else { continue };
            for index in span.entries() {
                let Ok(Start::Table(found)) = paging.start(Gva(index << 20)) else {
                    panic!("entry {index} has no table")
                };
                prop_assert_eq!(found, table);
                prop_assert_eq!(table.index(Gva(index << 20)), index);
            }
        }
    }
}

#[test]
fn a_batch_takes_each_half_from_its_own_first_table() {
    // TTBCR.N = 1: TTBR0 maps the lower 2 GB, TTBR1 the upper.
    let regs = regs(1);
    let memory = words([(0x4010, 0x40_0000 | SECTION), (0x8000 + 0x2000, 0x90_0000 | SECTION)]);
    let gvas = [Gva(0x8000_0000), Gva(0x40_0000), Gva(0x8000_0000), Gva(0x50_0000)];
    let mmu = Mmu::ArmShort(ShortPaging::new(&regs).expect("modelled"));
    let mut answers = Vec::new();
    mmu.query_batch(&memory, &gvas, Query::Presence, |_, answer| answers.push(answer));
    let singly: Vec<_> = gvas.iter().map(|gva| mmu.translate(&memory, *gva)).collect();
    assert_eq!(answers, singly);
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 3);
}
