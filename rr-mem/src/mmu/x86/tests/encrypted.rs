//! AMD64 Architecture Programmer's Manual volume 2, "Secure Memory Encryption": the
//! C-bit of entries and of CR3.

use super::*;

fn with_bit(encryption_bit: u8, ram: &SparseMemory) -> Result<Translation, WalkError> {
    let cr3 = 0x1000 | 1 << encryption_bit;
    walk(X86Regs { cr3, encryption_bit, ..long_mode() }, ram, 0)
}

#[test]
fn the_encryption_bit_is_no_address_bit_of_cr3_nor_of_any_entry() {
    for bit in [47, 51] {
        let c = 1 << bit;
        let ram = four_levels(0x2000 | P | c, 0x3000 | P | c, 0x4000 | P | c, 0x7000 | P | c);
        assert_eq!(with_bit(bit, &ram).expect("mapped").gpa, Gpa(0x7000));
        let large = four_levels(0x2000 | P | c, 0x3000 | P | c, 0x60_0000 | P | PS | c, 0);
        assert_eq!(with_bit(bit, &large).expect("mapped").gpa, Gpa(0x60_0000));
    }
}

#[test]
fn it_is_not_reserved_above_maxphyaddr_and_other_bits_are() {
    let regs = X86Regs { phys_bits: 40, encryption_bit: 47, ..long_mode() };
    let read = |pte| {
        let mmu = Mmu::new(&Regs::X86(regs)).expect("modelled");
        mmu.query(&plain(pte), Gva(0), access(AccessKind::Read, false)).is_ok()
    };
    assert!(read(0x7000 | P | 1 << 47));
    assert!(!read(0x7000 | P | 1 << 46));
}

#[test]
fn a_page_is_encrypted_as_its_own_entry_says() {
    for (pte, encrypted) in [(0x7000 | P, false), (0x7000 | P | 1 << 51, true)] {
        let regs = X86Regs { encryption_bit: 51, ..long_mode() };
        let mmu = Mmu::new(&Regs::X86(regs)).expect("modelled");
        let walk = mmu.walk(&plain(pte), Gva(0), Query::Presence);
        let flags = mmu.flags(walk.steps.last().expect("a leaf"));
        assert_eq!(flags.contains(&"ENCRYPTED"), encrypted);
        assert_eq!(mmu.encrypts(&walk.result.expect("mapped")), Some(encrypted));
    }
}

#[test]
fn nobody_says_what_is_encrypted_without_the_bit_or_eight_byte_entries() {
    let found = walk(long_mode(), &plain(0x7000 | P), 0).expect("mapped");
    for regs in [long_mode(), X86Regs { encryption_bit: 51, ..bits32() }] {
        let mmu = Mmu::new(&Regs::X86(regs)).expect("modelled");
        assert_eq!(mmu.encrypts(&found), None);
    }
}
