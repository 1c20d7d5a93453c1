//! "Protection Keys".

use super::*;

const PKE: u64 = 1 << 22;
const PKS: u64 = 1 << 24;
/// PK, P of the error code.
const PK: u32 = 1 << 5 | 1;

fn keyed(cr4: u64, rights: u64) -> X86Regs {
    X86Regs { cr4: long_mode().cr4 | cr4, pkru: rights, pkrs: rights, ..long_mode() }
}

/// The error code of an access to a page with key 3, or that it succeeds.
fn code(regs: X86Regs, leaf: u64, kind: AccessKind, user: bool) -> Option<u32> {
    let mmu = Mmu::new(&Regs::X86(regs)).expect("modelled");
    match mmu.query(&plain(0x7000 | P | leaf | 3 << 59), Gva(0), access(kind, user)) {
        Ok(_) => None,
        Err(WalkError::Fault(fault)) => Some(fault.status.expect("a page fault")),
        Err(other) => panic!("{other}"),
    }
}

use AccessKind::{Execute, Read, Write};

#[test]
fn access_disable_forbids_data_of_user_pages_to_both_privileges() {
    let regs = keyed(PKE, 1 << 6);
    assert_eq!(code(regs, U | W, Read, true), Some(PK | 4));
    assert_eq!(code(regs, U | W, Write, true), Some(PK | 4 | 2));
    assert_eq!(code(regs, U | W, Read, false), Some(PK));
    assert_eq!(code(regs, U | W, Execute, true), None, "fetches have no key");
    assert_eq!(code(regs, W, Read, false), None, "a page of the supervisor");
    assert_eq!(code(keyed(PKE, !(0b11 << 6)), U | W, Write, true), None, "other keys");
    assert_eq!(code(keyed(0, 1 << 6), U | W, Read, true), None, "without CR4.PKE");
}

#[test]
fn write_disable_counts_for_the_supervisor_only_with_cr0_wp() {
    let regs = keyed(PKE, 1 << 7);
    let no_wp = X86Regs { cr0: X86Regs::CR0_PG | X86Regs::CR0_PE, ..regs };
    assert_eq!(code(regs, U | W, Read, true), None);
    assert_eq!(code(regs, U | W, Write, true), Some(PK | 4 | 2));
    assert_eq!(code(regs, U | W, Write, false), Some(PK | 2));
    assert_eq!(code(no_wp, U | W, Write, false), None);
    assert_eq!(code(no_wp, U | W, Write, true), Some(PK | 4 | 2));
}

#[test]
fn keys_of_supervisor_pages_are_those_of_pkrs() {
    assert_eq!(code(keyed(PKS, 1 << 6), W, Read, false), Some(PK));
    assert_eq!(code(keyed(PKS, 1 << 7), W, Write, false), Some(PK | 2));
    assert_eq!(code(keyed(PKS, 1 << 7), W, Read, false), None);
    assert_eq!(code(keyed(PKS, 1 << 6), U | W, Read, true), None, "a page of the user");
    assert_eq!(code(keyed(PKS, 1 << 6), W, Execute, false), None);
}

#[test]
fn the_key_is_said_where_keys_count_and_rights_stay_those_of_the_tables() {
    let ram = plain(0x7000 | P | U | W | 11 << 59);
    for (cr4, named) in [(0, false), (PKE, true), (PKS, true)] {
        let mmu = Mmu::new(&Regs::X86(keyed(cr4, !0))).expect("modelled");
        let walk = mmu.walk(&ram, Gva(0), Query::Presence);
        let flags = mmu.flags(walk.steps.last().expect("a leaf"));
        assert_eq!(flags.contains(&"PKEY=11"), named);
        assert_eq!(walk.result.expect("mapped").rights.user.to_string(), "rwx");
    }
}

#[test]
fn keys_are_of_four_and_five_levels_only() {
    let mut ram = SparseMemory::default();
    ram.put64(0x1000, 0x2000 | P);
    ram.put64(0x2000, 0x40_0000 | P | W | U | PS);
    let regs = X86Regs { cr4: X86Regs::CR4_PAE | PKE, pkru: !0, ..pae() };
    let mmu = Mmu::new(&Regs::X86(regs)).expect("modelled");
    assert!(mmu.query(&ram, Gva(0), access(Read, true)).is_ok());
}
