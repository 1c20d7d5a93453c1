//! The rules of the manual, one test each. Tables are written with plain
//! numbers from the manual, never with the walker's own accessors.

mod encrypted;
mod halves;
mod keys;
mod painted;

use proptest::prelude::*;

use crate::{
    addr::{Gpa, Gva},
    memory::{Counter, SparseMemory},
    mmu::{
        Access, AccessKind, Fault, FaultKind, Level, Mmu, Query, Rights, Rwx, SpaceLimits,
        Translation, VirtualSpace, WalkError,
    },
    regs::{Regs, X86Regs},
};

const P: u64 = 1;
const W: u64 = 2;
const U: u64 = 4;
const PS: u64 = 1 << 7;
const NX: u64 = 1 << 63;

fn long_mode() -> X86Regs {
    X86Regs { cr3: 0x1000, ..X86Regs::long_mode() }
}

fn pae() -> X86Regs {
    X86Regs {
        cr3: 0x1000,
        cr4: X86Regs::CR4_PAE,
        efer: X86Regs::EFER_NXE,
        ..X86Regs::protected_mode()
    }
}

fn bits32() -> X86Regs {
    X86Regs { cr3: 0x1000, ..X86Regs::protected_mode() }
}

fn walk(regs: X86Regs, ram: &SparseMemory, gva: u64) -> Result<Translation, WalkError> {
    Mmu::new(&Regs::X86(regs)).expect("modelled").translate(ram, Gva(gva))
}

fn gpa(regs: X86Regs, ram: &SparseMemory, gva: u64) -> Option<u64> {
    walk(regs, ram, gva).ok().map(|found| found.gpa.0)
}

fn fault(regs: X86Regs, ram: &SparseMemory, gva: u64, query: Query) -> Fault {
    match Mmu::new(&Regs::X86(regs)).expect("modelled").query(ram, Gva(gva), query) {
        Err(WalkError::Fault(fault)) => fault,
        other => panic!("expected a fault, got {other:?}"),
    }
}

fn access(kind: AccessKind, user: bool) -> Query {
    Query::Access(Access { kind, user })
}

/// 4-level tables at 0x1000..0x5000 whose first entries lead to `leaf`.
fn four_levels(pml4e: u64, pdpte: u64, pde: u64, pte: u64) -> SparseMemory {
    let mut ram = SparseMemory::default();
    ram.put64(0x1000, pml4e);
    ram.put64(0x2000, pdpte);
    ram.put64(0x3000, pde);
    ram.put64(0x4000, pte);
    ram
}

fn plain(pte: u64) -> SparseMemory {
    four_levels(0x2000 | P | W | U, 0x3000 | P | W | U, 0x4000 | P | W | U, pte)
}

#[test]
fn without_paging_the_linear_address_is_the_physical_one() {
    let regs = X86Regs::default();
    assert_eq!(gpa(regs, &SparseMemory::default(), 0xfee0_0123), Some(0xfee0_0123));
    assert_eq!(gpa(regs, &SparseMemory::default(), 0x1_0000_0000), None);
}

#[test]
fn with_a20_off_odd_megabytes_show_the_even_ones() {
    let regs = X86Regs { a20: false, ..X86Regs::default() };
    assert_eq!(gpa(regs, &SparseMemory::default(), 0x10_0010), Some(0x10));
    let large = X86Regs { a20: false, ..bits32() };
    let mut ram = SparseMemory::default();
    ram.put32(0x1000, (0x40_0000 | P | PS) as u32);
    assert_eq!(gpa(large, &ram, 0x10_0010), Some(0x40_0010));
}

#[test]
fn a_4k_page_is_found_through_four_levels_with_every_step() {
    let ram = plain(0x7000 | P);
    let walk = Mmu::new(&Regs::X86(long_mode())).expect("modelled").walk(
        &ram,
        Gva(0xabc),
        Query::Presence,
    );
    let steps: Vec<_> = walk.steps.iter().map(|s| (s.level, s.at.0, s.leaf)).collect();
    assert_eq!(
        steps,
        [
            (Level::Pml4, 0x1000, false),
            (Level::Pdpt, 0x2000, false),
            (Level::Pd, 0x3000, false),
            (Level::Pt, 0x4000, true),
        ]
    );
    let found = walk.result.expect("mapped");
    assert_eq!((found.gpa, found.page_size, found.leaf), (Gpa(0x7abc), 4096, 0x7001));
}

#[test]
fn pse36_gives_all_eight_upper_bits() {
    let mut ram = SparseMemory::default();
    ram.put32(0x1000 + 4, (0xffc0_0000 | 0xff << 13 | PS | P) as u32);
    assert_eq!(gpa(bits32(), &ram, 0x40_1234), Some(0xff_ffc0_1234));
}

#[test]
fn without_cr4_pse_a_pde_with_ps_set_is_a_table() {
    let mut ram = SparseMemory::default();
    ram.put32(0x1000, (0x2000 | PS | P) as u32);
    ram.put32(0x2000 + 4, (0x9000 | P) as u32);
    let regs = X86Regs { cr4: 0, ..bits32() };
    assert_eq!(gpa(regs, &ram, 0x1010), Some(0x9010));
}

#[test]
fn pae_cr3_is_32_byte_aligned_and_bases_may_lie_above_4_gb() {
    let mut ram = SparseMemory::default();
    ram.put64(0x1fe0 + 3 * 8, 0x1_2345_6000 | P);
    ram.put64(0x1_2345_6000 + 8, 0x3f_ffe0_0000 | P | PS);
    let regs = X86Regs { cr3: 0x1fe0, ..pae() };
    // An odd 2 MB, and a physical address at 2^36 and above.
    assert_eq!(gpa(regs, &ram, 0xc020_0123), Some(0x3f_ffe0_0123));
}

#[test]
fn pat_in_a_large_page_does_not_leak_into_the_address() {
    let ram = four_levels(0x2000 | P, 0x3000 | P, 0x60_0000 | P | PS | 1 << 12, 0);
    assert_eq!(gpa(long_mode(), &ram, 0x1000), Some(0x60_1000));
    let ram = four_levels(0x2000 | P, 0x8000_0000 | P | PS | 1 << 12, 0, 0);
    let found = walk(long_mode(), &ram, 0x3fff_ffff).expect("mapped");
    assert_eq!((found.gpa.0, found.page_size), (0xbfff_ffff, 1 << 30));
}

#[test]
fn ps_in_a_pml4e_is_reserved_not_a_page() {
    let ram = four_levels(0x2000 | P | PS, 0x3000 | P, 0x4000 | P, 0x7000 | P);
    assert_eq!(gpa(long_mode(), &ram, 0), Some(0x7000));
    let fault = fault(long_mode(), &ram, 0, access(AccessKind::Read, false));
    assert_eq!((fault.kind, fault.status), (FaultKind::ReservedBit, Some(0b1001)));
}

#[test]
fn a_swap_entry_is_not_a_mapping_and_shows_its_raw_value() {
    let fault = fault(long_mode(), &plain(0x1234_5678_9abc_def0), 0, Query::Presence);
    let entry = fault.entry.expect("an entry was read");
    assert_eq!((fault.kind, entry.raw), (FaultKind::NotPresent, 0x1234_5678_9abc_def0));
    assert_eq!((entry.level, entry.at), (Level::Pt, Gpa(0x4000)));
}

#[test]
fn write_and_user_need_every_level_and_nx_needs_any() {
    let all = P | W | U;
    for (drop, want) in [(W, "r-x"), (U, "---")] {
        for level in 0..4 {
            let mut e = [0x2000 | all, 0x3000 | all, 0x4000 | all, 0x7000 | all];
            e[level] &= !drop;
            let found = walk(long_mode(), &four_levels(e[0], e[1], e[2], e[3]), 0);
            assert_eq!(found.expect("mapped").rights.user.to_string(), want, "level {level}");
        }
    }
    for level in 0..4 {
        let mut e = [0x2000 | all, 0x3000 | all, 0x4000 | all, 0x7000 | all];
        e[level] |= NX;
        let ram = four_levels(e[0], e[1], e[2], e[3]);
        let found = walk(long_mode(), &ram, 0).expect("mapped");
        assert_eq!(found.rights.to_string(), "kernel rw- user rw-", "level {level}");
        let off = X86Regs { efer: X86Regs::EFER_LMA, ..long_mode() };
        let found = walk(off, &ram, 0).expect("mapped");
        assert_eq!(found.rights.to_string(), "kernel rwx user rwx", "level {level}");
        let fault = fault(off, &ram, 0, access(AccessKind::Read, false));
        assert_eq!(fault.kind, FaultKind::ReservedBit, "XD is reserved while NXE is 0");
    }
}

#[test]
fn pae_pdptes_hold_no_rights() {
    let mut ram = SparseMemory::default();
    ram.put64(0x1000, 0x2000 | P);
    ram.put64(0x2000, 0x40_0000 | P | W | U | PS);
    let found = walk(pae(), &ram, 0).expect("mapped");
    assert_eq!(found.rights, Rights::ALL);
    let wrong = X86Regs { cr3: 0x1000, ..pae() };
    ram.put64(0x1000, 0x2000 | P | W);
    let fault = fault(wrong, &ram, 0, access(AccessKind::Read, false));
    assert_eq!(fault.kind, FaultKind::ReservedBit);
}

#[test]
fn supervisor_writes_honour_read_only_pages_only_with_cr0_wp() {
    let ram = plain(0x7000 | P | U);
    let rwx = |regs| walk(regs, &ram, 0).expect("mapped").rights.kernel;
    assert_eq!(rwx(long_mode()), Rwx { r: true, w: false, x: true });
    let no_wp = X86Regs { cr0: X86Regs::CR0_PG | X86Regs::CR0_PE, ..long_mode() };
    assert_eq!(rwx(no_wp), Rwx { r: true, w: true, x: true });
}

#[test]
fn smep_and_smap_keep_the_supervisor_off_user_pages() {
    let ram = plain(0x7000 | P | W | U);
    let regs = X86Regs { cr4: X86Regs::CR4_PAE | 1 << 20 | 1 << 21, ..long_mode() };
    let code = |regs, kind| fault(regs, &ram, 0, access(kind, false)).status;
    assert_eq!(code(regs, AccessKind::Execute), Some(0b1_0001));
    assert_eq!(code(regs, AccessKind::Read), Some(0b0_0001));
    assert_eq!(code(regs, AccessKind::Write), Some(0b0_0011));
    let ac = X86Regs { ac: true, ..regs };
    let mmu = Mmu::new(&Regs::X86(ac)).expect("modelled");
    assert!(mmu.query(&ram, Gva(0), access(AccessKind::Write, false)).is_ok());
}

#[test]
fn error_codes_say_what_the_access_was() {
    let code = |pte, kind, user| fault(long_mode(), &plain(pte), 0, access(kind, user)).status;
    assert_eq!(code(0, AccessKind::Read, false), Some(0));
    assert_eq!(code(0, AccessKind::Write, true), Some(0b0_0110));
    assert_eq!(code(0, AccessKind::Execute, true), Some(0b1_0100));
    assert_eq!(code(0x7000 | P, AccessKind::Read, true), Some(0b0_0101));
    assert_eq!(code(0x7000 | P | NX | U, AccessKind::Execute, true), Some(0b1_0101));
}

#[test]
fn address_bits_above_maxphyaddr_are_reserved() {
    let regs = X86Regs { phys_bits: 40, ..long_mode() };
    let ram = plain(0x7000 | P | 1 << 51);
    let fault = fault(regs, &ram, 0, access(AccessKind::Read, false));
    assert_eq!((fault.kind, fault.status), (FaultKind::ReservedBit, Some(0b1001)));
    assert!(walk(regs, &ram, 0).is_ok(), "presence does not ask");
}

#[test]
fn canonical_addresses_have_48_or_57_bits() {
    let ram = plain(0x7000 | P);
    assert_eq!(fault(long_mode(), &ram, 1 << 47, Query::Presence).kind, FaultKind::NonCanonical);
    let regs = X86Regs { cr4: long_mode().cr4 | X86Regs::CR4_LA57, ..long_mode() };
    let mut ram = SparseMemory::default();
    // PML5[0] with PML4 index 256: not sign-extended at bit 47.
    ram.put64(0x1000, 0x2000 | P);
    ram.put64(0x2000 + 256 * 8, 0x3000 | P);
    ram.put64(0x3000, 0x4000 | P);
    ram.put64(0x4000, 0x60_0000 | P | PS);
    // The upper half's root entries.
    ram.put64(0x1000 + 511 * 8, 0x2000 | P);
    assert_eq!(gpa(regs, &ram, 1 << 47), Some(0x60_0000));
    assert_eq!(gpa(regs, &ram, 0xffff_8000_0000_0000), Some(0x60_0000));
    assert_eq!(fault(regs, &ram, 1 << 56, Query::Presence).kind, FaultKind::NonCanonical);
}

#[test]
fn physical_addresses_reach_bit_51() {
    let ram = plain(0xf_ffff_ffff_f000 | P);
    assert_eq!(gpa(long_mode(), &ram, 0xfff), Some(0xf_ffff_ffff_ffff));
}

#[test]
fn an_unreadable_table_is_never_not_mapped() {
    let ram = four_levels(0x2000 | P, 0x3000 | P, 0x9_9000 | P, 0);
    match walk(long_mode(), &ram, 0x1000) {
        Err(WalkError::Unreadable(error)) => {
            assert_eq!((error.level, error.at), (Level::Pt, Gpa(0x9_9008)));
        }
        other => panic!("expected an unreadable table, got {other:?}"),
    }
    let mmu = Mmu::new(&Regs::X86(long_mode())).expect("modelled");
    let space = VirtualSpace::new(&mmu, &ram, SpaceLimits::default());
    assert_eq!(space.unreadable().len(), 1);
}

proptest! {
    #[test]
    fn any_walk_over_any_bytes_ends_after_five_entries(
        bytes in proptest::collection::vec(any::<u8>(), 4096 * 2),
        cr0: u64, cr3 in 0u64..0x3000, lam in 0u64..4, cr4: u64, efer: u64, gva: u64, a20: bool,
        encryption_bit in 0u8..52,
    ) {
        let mut ram = SparseMemory::default();
        ram.put(0, &bytes);
        // Without what is refused.
        let (cr3, cr4, efer) = (cr3 | lam << 61, cr4 & 0x1_1bff_7fff, efer & 0x26_fdff);
        let regs = X86Regs { cr0, cr3, cr4, efer, a20, encryption_bit, ..X86Regs::default() };
        let counted = Counter::new(ram);
        let mmu = Mmu::new(&Regs::X86(regs)).expect("modelled");
        for query in [Query::Presence, access(AccessKind::Write, true)] {
            let before = counted.reads();
            let _ = mmu.query(&counted, Gva(gva), query);
            prop_assert!(counted.reads() - before <= 5);
        }
    }
}
