//! "Linear-Address Masking" and "Linear-Address Space Separation".

use AccessKind::{Execute, Read, Write};

use super::*;

const LAM_U48: u64 = 1 << 62;
const LAM_U57: u64 = 1 << 61;
const LAM_SUP: u64 = 1 << 28;
const LASS: u64 = 1 << 27;
const SMAP: u64 = 1 << 21;

/// The first 512 GB of both halves lead to the same tables.
fn both_halves() -> SparseMemory {
    let mut ram = plain(0x7000 | P | W | U);
    ram.put64(0x1000 + 256 * 8, 0x2000 | P | W | U);
    ram
}

const HIGH: u64 = 0xffff_8000_0000_0000;

fn answer(regs: X86Regs, gva: u64, query: Query) -> Result<u64, (FaultKind, Option<u32>)> {
    let mmu = Mmu::new(&Regs::X86(regs)).expect("modelled");
    match mmu.query(&both_halves(), Gva(gva), query) {
        Ok(found) => Ok(found.gpa.0),
        Err(WalkError::Fault(fault)) => Err((fault.kind, fault.status)),
        Err(other) => panic!("{other}"),
    }
}

const NON_CANONICAL: Result<u64, (FaultKind, Option<u32>)> = Err((FaultKind::NonCanonical, None));

#[test]
fn lam_u48_ignores_bits_62_to_48_of_user_pointers() {
    let regs = X86Regs { cr3: 0x1000 | LAM_U48, ..long_mode() };
    assert_eq!(answer(regs, 0x7fff_0000_0000_0123, Query::Presence), Ok(0x7123));
    assert_eq!(answer(regs, 0x1234_8000_0000_0000, Query::Presence), NON_CANONICAL);
    assert_eq!(answer(regs, 0x8000_0000_0000_0000, Query::Presence), NON_CANONICAL);
    assert_eq!(answer(regs, HIGH, Query::Presence), Ok(0x7000));
}

#[test]
fn lam_u57_ignores_bits_62_to_57_and_wins_over_lam_u48() {
    let regs = X86Regs { cr3: 0x1000 | LAM_U57 | LAM_U48, ..long_mode() };
    assert_eq!(answer(regs, 0x7e00_0000_0000_0123, Query::Presence), Ok(0x7123));
    assert_eq!(answer(regs, 0x0100_0000_0000_0123, Query::Presence), NON_CANONICAL);
    assert_eq!(answer(regs, 0x0001_0000_0000_0123, Query::Presence), NON_CANONICAL);
}

#[test]
fn lam_sup_ignores_as_many_bits_of_supervisor_pointers_as_there_are_levels_for() {
    let regs = X86Regs { cr4: long_mode().cr4 | LAM_SUP, ..long_mode() };
    assert_eq!(answer(regs, 0x8000_8000_0000_0123, Query::Presence), Ok(0x7123));
    assert_eq!(answer(regs, 0x8000_0000_0000_0000, Query::Presence), NON_CANONICAL);
    assert_eq!(answer(regs, 0x7fff_0000_0000_0000, Query::Presence), NON_CANONICAL);
    let five = X86Regs { cr4: regs.cr4 | X86Regs::CR4_LA57, ..regs };
    assert_eq!(answer(five, 0x8000_8000_0000_0123, Query::Presence), NON_CANONICAL);
    let masked = answer(five, 0x8101_0000_0000_0000, Query::Presence);
    assert_eq!(masked, Err((FaultKind::NotPresent, None)), "its PML5E is 257, which maps nothing");
}

#[test]
fn fetches_ignore_no_bits() {
    let regs = X86Regs { cr3: 0x1000 | LAM_U48, ..long_mode() };
    for user in [false, true] {
        assert_eq!(answer(regs, 0x7fff << 48, access(Read, user)), Ok(0x7000));
        assert_eq!(answer(regs, 0x7fff << 48, access(Execute, user)), NON_CANONICAL);
    }
}

#[test]
fn many_addresses_at_once_ignore_the_same_bits() {
    let regs = X86Regs { cr3: 0x1000 | LAM_U48, ..long_mode() };
    let mmu = Mmu::new(&Regs::X86(regs)).expect("modelled");
    let gvas = [0x123, 0x7fff_0000_0000_0123, 0x0001_0000_0000_0123].map(Gva);
    mmu.query_batch(&both_halves(), &gvas, Query::Presence, |_, found| {
        assert_eq!(found.map(|found| found.gpa), Ok(Gpa(0x7123)));
    });
    let mut refused = 0;
    mmu.query_batch(&both_halves(), &gvas, access(Execute, true), |at, found| {
        assert_eq!(found.is_ok(), at == 0);
        refused += u32::from(found.is_err());
    });
    assert_eq!(refused, 2);
}

const SEPARATION: Result<u64, (FaultKind, Option<u32>)> = Err((FaultKind::Separation, None));

#[test]
fn lass_keeps_the_user_off_the_upper_half() {
    let regs = X86Regs { cr4: long_mode().cr4 | LASS, ..long_mode() };
    for kind in [Read, Write, Execute] {
        assert_eq!(answer(regs, HIGH, access(kind, true)), SEPARATION);
        assert_eq!(answer(regs, 0, access(kind, true)), Ok(0x7000));
    }
    assert_eq!(answer(regs, HIGH, Query::Presence), Ok(0x7000), "presence does not ask");
    let legacy = X86Regs { cr4: pae().cr4 | LASS, ..pae() };
    assert!(Mmu::new(&Regs::X86(legacy)).is_ok(), "without long mode it means nothing");
}

#[test]
fn lass_keeps_the_supervisors_fetches_off_the_lower_half_and_data_while_smap_does() {
    let regs = X86Regs { cr4: long_mode().cr4 | LASS, ..long_mode() };
    assert_eq!(answer(regs, 0, access(Execute, false)), SEPARATION);
    assert_eq!(answer(regs, 0, access(Read, false)), Ok(0x7000));
    let smap = X86Regs { cr4: regs.cr4 | SMAP, ..regs };
    assert_eq!(answer(smap, 0, access(Read, false)), SEPARATION);
    let lifted = X86Regs { ac: true, ..smap };
    assert_eq!(answer(lifted, 0, access(Write, false)), Ok(0x7000));
    assert_eq!(answer(lifted, 0, access(Execute, false)), SEPARATION);
}
