//! Rules of the manual, one test each. Tables are built from plain numbers:
//! nothing here uses the walker's own accessors.

use super::*;
use crate::{
    memory::SparseMemory,
    mmu::{AccessKind, Mmu, Query, SpaceLimits, VirtualSpace, Walk, WalkError},
    regs::ArmState,
};

const S: u64 = 1 << 8;
const R: u64 = 1 << 9;
const XP: u64 = 1 << 23;
const EE: u64 = 1 << 25;
/// A section that everybody may read and write, in domain 0.
const SECTION: u32 = 0xc12;

/// TTBR0 at 0x4000, every domain a client.
fn v5() -> ArmRegs {
    ArmRegs { version: 5, xscale: false, ttbr0: 0x4000, ..ArmRegs::new(ArmState::Aarch32) }
}

/// As [`v5`], of ARMv6 with SCTLR.XP = 0; TTBR1 at 0x8000.
fn v6(ttbcr: u64) -> ArmRegs {
    ArmRegs { version: 6, tcr: ttbcr, ttbr1: 0x8000, ..v5() }
}

/// 4-byte words of memory.
fn words<const N: usize>(words: [(u64, u32); N]) -> SparseMemory {
    let mut memory = SparseMemory::default();
    for (at, word) in words {
        memory.put32(at, word);
    }
    memory
}

/// The second megabyte below `first`, whose tables are at 0x10000.
fn below<const N: usize>(first: u32, entries: [(u64, u32); N]) -> SparseMemory {
    let mut memory = words([(0x4004, 0x1_0000 | first)]);
    for (index, entry) in entries {
        memory.put32(0x1_0000 + 4 * index, entry);
    }
    memory
}

fn mmu(regs: &ArmRegs) -> Mmu {
    Mmu::new(&Regs::Arm(*regs)).expect("modelled")
}

fn walk(regs: &ArmRegs, memory: &SparseMemory, gva: u64, query: Query) -> Walk {
    assert!(matches!(mmu(regs), Mmu::ArmLegacy(_)));
    mmu(regs).walk(memory, Gva(gva), query)
}

/// Where an address leads, and log2 of the page's size.
fn page(regs: &ArmRegs, memory: &SparseMemory, gva: u64) -> Option<(u64, u32)> {
    let found = walk(regs, memory, gva, Query::Presence).result.ok()?;
    Some((found.gpa.0, found.page_size.trailing_zeros()))
}

fn rights(regs: &ArmRegs, memory: &SparseMemory, gva: u64) -> String {
    walk(regs, memory, gva, Query::Presence).result.expect("mapped").rights.to_string()
}

fn status(regs: &ArmRegs, memory: &SparseMemory, gva: u64, user: bool) -> Option<u32> {
    let query = Query::Access(Access { kind: AccessKind::Write, user });
    match walk(regs, memory, gva, query).result {
        Err(WalkError::Fault(fault)) => fault.status,
        _ => None,
    }
}

#[test]
fn a_coarse_table_has_large_and_small_pages() {
    let memory = below(0x11, [(0x30, 0x5500_0ff1), (0x31, 0x5500_0ff1), (0x45, 0x6789_affe)]);
    assert_eq!(page(&v5(), &memory, 0x13_0123), Some((0x5500_0123, 16)));
    assert_eq!(page(&v5(), &memory, 0x13_1123), Some((0x5500_1123, 16)));
    assert_eq!(page(&v5(), &memory, 0x14_5fff), Some((0x6789_afff, 12)));
    assert_eq!(page(&v5(), &memory, 0x14_4fff), None);
}

#[test]
fn a_fine_table_has_large_small_and_tiny_pages() {
    let entries = [(0x0c7, 0x5500_0ff1), (0x116, 0x6789_affe), (0x3ff, 0x1234_5c33)];
    let memory = below(0x13, entries);
    assert_eq!(page(&v5(), &memory, 0x13_1c21), Some((0x5500_1c21, 16)));
    assert_eq!(page(&v5(), &memory, 0x14_5900), Some((0x6789_a900, 12)));
    assert_eq!(page(&v5(), &memory, 0x1f_ffff), Some((0x1234_5fff, 10)));
    assert_eq!(page(&v5(), &memory, 0x14_5c00), None, "each entry maps 1 KB");
}

#[test]
fn armv6_has_supersections_and_no_fine_tables() {
    let memory = below(0x13, [(0, 0x1234_5c33)]);
    assert!(page(&v5(), &memory, 0x10_0000).is_some());
    assert_eq!(page(&v6(0), &memory, 0x10_0000), None);
    let memory = words([(0x4000, 0x1230_0000 | 1 << 18 | 0xf << 5 | SECTION)]);
    assert_eq!(page(&v5(), &memory, 0x123), Some((0x1230_0123, 20)));
    assert_eq!(page(&v6(0), &memory, 0x123), Some((0x1200_0123, 24)));
    let regs = ArmRegs { dacr: 1, ..v6(0) };
    assert_eq!(status(&regs, &memory, 0, true), None, "a supersection is in domain 0");
}

#[test]
fn xscale_and_armv6_have_extended_small_pages() {
    let memory = below(0x11, [(2, 0x1234_5fd3)]);
    assert_eq!(page(&v5(), &memory, 0x10_2123), None);
    assert_eq!(status(&v5(), &memory, 0x10_2123, false), Some(0x7));
    for regs in [ArmRegs { xscale: true, ..v5() }, v6(0)] {
        assert_eq!(page(&regs, &memory, 0x10_2123), Some((0x1234_5123, 12)));
        assert_eq!(rights(&regs, &memory, 0x10_2123), "kernel rwx user ---", "AP is bits 5:4");
    }
}

#[test]
fn every_subpage_has_rights_of_its_own() {
    // AP3 to AP0: 00, 01, 10, 11.
    let memory = below(0x11, [(0, 0x5000_01b2), (0x1f, 0x6000_01b1)]);
    let all = ["kernel rwx user rwx", "kernel rwx user r-x", "kernel rwx user ---"];
    for (number, expected) in all.into_iter().chain(["kernel --- user ---"]).enumerate() {
        let small = 0x10_0000 + number as u64 * 0x400;
        assert_eq!(rights(&v5(), &memory, small), expected);
        assert_eq!(page(&v5(), &memory, small + 5), Some((0x5000_0005 + (small & 0xc00), 10)));
    }
    // Of a large page each entry maps one subpage; here 0x1f maps the last.
    assert_eq!(rights(&v5(), &memory, 0x11_f000), "kernel --- user ---");
    assert_eq!(page(&v5(), &memory, 0x11_f123), Some((0x6000_f123, 14)));
}

#[test]
fn enumeration_lists_subpages_apart_where_their_rights_differ() {
    // In a coarse and in a fine table a small page with AP3 to AP0 00, 00, 01, 11.
    for (first, copies) in [(0x11, 1), (0x13, 4)] {
        let mut memory = below(first, [(0x80 * copies, 0x6000_0ff2)]);
        for copy in 0..copies {
            memory.put32(0x1_0000 + 4 * copy, 0x5000_0072);
        }
        let space = VirtualSpace::new(&mmu(&v5()), &memory, SpaceLimits::default());
        let found: Vec<_> = space
            .mappings(crate::mmu::Merge::Rights)
            .map(|m| (m.gva.0, m.last.0, m.gpa.0, m.rights.to_string()))
            .collect();
        let expected = [
            (0x10_0000, 0x10_03ff, 0x5000_0000, "kernel rwx user rwx"),
            (0x10_0400, 0x10_07ff, 0x5000_0400, "kernel rwx user ---"),
            (0x10_0800, 0x10_0fff, 0x5000_0800, "kernel --- user ---"),
        ];
        let expected = expected.map(|(a, b, c, text)| (a, b, c, text.to_owned()));
        assert_eq!(found[..3], expected);
    }
}

#[test]
fn s_and_r_decide_where_ap_is_0() {
    let memory = words([(0x4000, 0x002)]);
    let cases = [
        (0, "kernel --- user ---"),
        (S, "kernel r-x user ---"),
        (R, "kernel r-x user r-x"),
        (S | R, "kernel --- user ---"),
    ];
    for (bits, expected) in cases {
        for regs in [v5(), v6(0)] {
            let regs = ArmRegs { sctlr: 1 | bits, ..regs };
            assert_eq!(rights(&regs, &memory, 0), expected, "{bits:#x}");
            assert_eq!(status(&regs, &memory, 0, false), Some(0xd));
        }
        let short = ArmRegs { sctlr: 1 | bits | XP, ..v6(0) };
        assert!(matches!(mmu(&short), Mmu::ArmShort(_)));
        let found = mmu(&short).translate(&memory, Gva(0)).expect("mapped");
        assert_eq!(found.rights.to_string(), expected, "XP = 1, {bits:#x}");
    }
}

#[test]
fn a_domain_refuses_or_allows_everything() {
    // Domain 3; AP 01, only the kernel.
    let memory = words([(0x4000, 0x412 | 3 << 5), (0x4004, 0x1_0071), (0x1_0000, 0x552)]);
    let with = |dacr: u64| ArmRegs { dacr: dacr << 6, ..v5() };
    for (dacr, section, small) in
        [(0, Some(0x9), Some(0xb)), (2, Some(0x9), Some(0xb)), (1, Some(0xd), Some(0xf))]
    {
        assert_eq!(status(&with(dacr), &memory, 0, true), section);
        assert_eq!(status(&with(dacr), &memory, 0x10_0000, true), small);
    }
    assert_eq!(status(&with(3), &memory, 0x10_0000, true), None);
    assert_eq!(rights(&with(3), &memory, 0), "kernel rwx user rwx");
    assert_eq!(rights(&with(2), &memory, 0), "kernel --- user ---");
}

#[test]
fn absence_has_the_status_of_its_level() {
    let memory = below(0x11, [(1, 0x5000_0ff0)]);
    assert_eq!(status(&v5(), &memory, 0, false), Some(0x5));
    assert_eq!(status(&v5(), &memory, 0x10_0000, false), Some(0x7));
    assert_eq!(status(&v5(), &memory, 0x10_1000, false), Some(0x7));
    assert_eq!(status(&v5(), &memory, 0x1_0000_0000, false), Some(0x5));
}

#[test]
fn the_base_of_armv5_is_16_kb_and_ttbcr_divides_in_armv6() {
    let memory = words([
        (0x4000, SECTION),
        (0x4000 + 0xfff * 4, 0x1110_0000 | SECTION),
        (0x8000 + 0xfff * 4, 0x2220_0000 | SECTION),
    ]);
    let regs = ArmRegs { ttbr0: 0x7fff, ..v5() };
    assert_eq!(page(&regs, &memory, 0xffff_ffff), Some((0x111f_ffff, 20)));
    assert_eq!(page(&v6(0), &memory, 0xffff_ffff), Some((0x111f_ffff, 20)));
    assert_eq!(page(&v6(1), &memory, 0xffff_ffff), Some((0x222f_ffff, 20)));
    assert_eq!(page(&v6(1 | 1 << 5), &memory, 0xffff_ffff), None, "PD1");
    assert_eq!(page(&v6(1 | 1 << 4), &memory, 0), None, "PD0");
}

#[test]
fn fcseidr_moves_the_lowest_32_mb() {
    let process = 0x0600_0000; // PID 3
    let memory = words([
        (0x4000, 0x1110_0000 | SECTION),
        (0x4000 + 0x60 * 4, 0x2220_0000 | SECTION),
        (0x4000 + 0x7f * 4, 0x3330_0000 | SECTION),
    ]);
    let regs = ArmRegs { fcseidr: process, ..v5() };
    assert_eq!(page(&regs, &memory, 0x123), Some((0x2220_0123, 20)));
    assert_eq!(page(&regs, &memory, 0x1ff_ffff), Some((0x333f_ffff, 20)));
    assert_eq!(page(&regs, &memory, process | 0x123), Some((0x2220_0123, 20)));
    let space = VirtualSpace::new(&mmu(&regs), &memory, SpaceLimits::default());
    let found: Vec<_> =
        space.mappings(crate::mmu::Merge::Rights).map(|m| (m.gva.0, m.gpa.0)).collect();
    let expected = [
        (0, 0x2220_0000),
        (0x1f0_0000, 0x3330_0000),
        (process, 0x2220_0000),
        (0x7f0_0000, 0x3330_0000),
    ];
    assert_eq!(found, expected, "what is at 0 cannot be reached");
    let off = ArmRegs { sctlr: 0, ..regs };
    assert!(Mmu::new(&Regs::Arm(off)).is_err());
    assert!(Mmu::new(&Regs::Arm(ArmRegs { fcseidr: 0, ..off })).is_ok());
}

#[test]
fn descriptors_of_armv6_may_be_big_endian() {
    let memory = words([(0x4000, (0x1110_0000 | SECTION).swap_bytes())]);
    let regs = ArmRegs { sctlr: 1 | EE, ..v6(0) };
    assert_eq!(page(&regs, &memory, 5), Some((0x1110_0005, 20)));
}

#[test]
fn what_an_older_cpu_lacks_is_refused_if_it_is_set() {
    let refused = |regs: ArmRegs| Mmu::new(&Regs::Arm(regs)).expect_err("refused").to_string();
    let text = refused(ArmRegs { tcr: 1, ..v5() });
    assert_eq!(text, "a register of ARMv6 in an older CPU (all) is not modelled: TCR is 0x1");
    refused(ArmRegs { sctlr: 1 | XP, ..v5() });
    refused(ArmRegs { sctlr: 1 | EE, ..v5() });
    refused(ArmRegs { sctlr: 1 | 1 << 29, ..v6(0) });
    refused(ArmRegs { tcr: 1 << 31, ..v6(0) });
}

#[test]
fn without_the_mmu_addresses_are_physical() {
    let regs = ArmRegs { sctlr: 0, ..v5() };
    assert_eq!(page(&regs, &words([]), 0xffff_f123), Some((0xffff_f123, 32)));
}
