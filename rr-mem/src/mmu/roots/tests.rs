//! Scans of small generated memories.

use proptest::prelude::*;

use super::*;
use crate::{
    memory::{Counter, SparseMemory},
    regs::{Arch, ArmRegs, ArmState, Register, X86Regs},
};

/// No roots.
const NONE: [u64; 0] = [];

/// Bits of x86 entries: P, R/W, U/S, PS, XD.
const P: u64 = 1;
const W: u64 = 1 << 1;
const U: u64 = 1 << 2;
const PS: u64 = 1 << 7;
const XD: u64 = 1 << 63;

fn long_mode() -> Regs {
    Regs::defaults(Arch::X86_64)
}

fn scan(regs: &[Regs], ram: &SparseMemory) -> Roots {
    find_roots(regs, ram, &[(Gpa(0), 4 << 20)], &mut |_| {})
}

fn roots(regs: &[Regs], ram: &SparseMemory) -> Vec<u64> {
    scan(regs, ram).candidates.iter().map(|candidate| candidate.root.0).collect()
}

/// 128 KB of zeroes, and the first page of each megabyte up to 4.
fn empty() -> SparseMemory {
    let mut ram = SparseMemory::default();
    ram.put(0, &[0; 128 << 10]);
    for megabyte in 1..4 {
        ram.put(megabyte << 20, &[0; 4096]);
    }
    ram
}

/// A 4-level kernel: PML4\[273\] -> 0x2000 -> 0x3000, two 2 MB pages; processes'
/// first tables at `firsts`.
fn kernel(firsts: &[u64]) -> SparseMemory {
    let mut ram = empty();
    for first in firsts {
        ram.put64(first + 273 * 8, 0x2000 | P | W);
    }
    ram.put64(0x2000, 0x3000 | P | W);
    ram.put64(0x3000, P | W | PS | XD);
    ram.put64(0x3008, 0x20_0000 | P | W | PS | XD);
    ram
}

/// Adds a user page to the process at `first`, its tables from `at` on.
fn with_user(ram: &mut SparseMemory, first: u64, at: u64) {
    ram.put64(first, at | P | W | U);
    ram.put64(at, (at + 0x1000) | P | W | U);
    ram.put64(at + 0x1000, (at + 0x2000) | P | W | U);
    ram.put64(at + 0x2000 + 8, 0x30_0000 | P | W | U);
}

#[test]
fn a_first_table_maps_itself_in_the_kernel_half() {
    let found = scan(&[long_mode()], &kernel(&[0x1000]));
    assert!(!found.truncated);
    let [root] = &found.candidates[..] else { panic!("{found:?}") };
    assert_eq!((root.root, root.register, root.kernel_pages), (Gpa(0x1000), Register::Cr3, 1024));
    let Regs::X86(regs) = root.regs else { panic!("{root:?}") };
    assert_eq!(regs.cr3, 0x1000);
    let mut elsewhere = kernel(&[0x1000]);
    elsewhere.put64(0x3000, 0);
    assert_eq!(roots(&[long_mode()], &elsewhere), NONE);
}

#[test]
fn tables_of_processes_share_their_kernel_half_and_the_busiest_comes_first() {
    let mut ram = kernel(&[0x1000, 0x8000, 0x9000]);
    with_user(&mut ram, 0x8000, 0x10_0000);
    // The accessed flag, which a CPU sets as it goes, is no difference.
    ram.put64(0x9000 + 273 * 8, 0x2000 | P | W | 1 << 5);
    let found = scan(&[long_mode()], &ram);
    assert_eq!(found.candidates[0].root, Gpa(0x8000));
    assert_eq!(found.candidates.iter().map(|root| root.shared_by).collect::<Vec<_>>(), [3; 3]);
}

#[test]
fn a_table_that_maps_all_memory_in_the_user_half_comes_behind_processes() {
    let mut ram = kernel(&[0x1000, 0x8000]);
    ram.put64(0x1000, 0x2000 | P | W);
    with_user(&mut ram, 0x8000, 0x10_0000);
    assert_eq!(roots(&[long_mode()], &ram), [0x8000, 0x1000]);
}

#[test]
fn kpti_pairs_are_listed_together() {
    let mut ram = kernel(&[0xa000, 0xc000, 0xe000]);
    // The small tables: PML4[273] -> 0x5000 -> 0x6000 -> 0x7000, one 4 KB page.
    for (full, user) in [(0xa000, 0x10_0000), (0xe000, 0x11_0000)] {
        with_user(&mut ram, full, user);
        let small = full + 0x1000;
        ram.put64(small, user | P | W | U);
        ram.put64(full, user | P | W | U | XD);
        ram.put64(small + 273 * 8, 0x5000 | P | W);
    }
    ram.put64(0x5000, 0x6000 | P | W);
    ram.put64(0x6000, 0x7000 | P | W);
    ram.put64(0x7010, 0x2000 | P | XD);
    let found = scan(&[long_mode()], &ram).candidates;
    let listed: Vec<_> = found.iter().map(|root| (root.root.0, root.pair)).collect();
    let expected = [
        (0xa000, Some(Gpa(0xb000))),
        (0xb000, Some(Gpa(0xa000))),
        (0xe000, Some(Gpa(0xf000))),
        (0xf000, Some(Gpa(0xe000))),
        (0xc000, None),
    ];
    assert_eq!(listed, expected);
}

#[test]
fn neighbours_that_both_map_themselves_are_no_pair() {
    let found = scan(&[long_mode()], &kernel(&[0xa000, 0xb000])).candidates;
    assert_eq!(found.iter().map(|root| root.pair).collect::<Vec<_>>(), [None, None]);
}

#[test]
fn a_neighbour_that_maps_other_kernel_pages_is_no_pair() {
    let mut ram = kernel(&[0xa000]);
    ram.put64(0xb000 + 273 * 8, 0x5000 | P | W);
    ram.put64(0x5000, 0x6000 | P | W);
    ram.put64(0x6000, 0x7000 | P | W);
    ram.put64(0x7010, 0x4000 | P | XD);
    assert_eq!(roots(&[long_mode()], &ram), [0xa000]);
}

/// A kernel of 32-bit paging: directories at `firsts`; \[768\] a 4 MB page,
/// \[769\] a page table at 0x4000 that maps the lowest 4 MB again.
fn kernel32(firsts: &[u64]) -> SparseMemory {
    let mut ram = empty();
    for first in firsts {
        ram.put32(first + 768 * 4, (P | W | PS) as u32);
        ram.put32(first + 769 * 4, (0x4000 | P | W) as u32);
    }
    for page in 0..1024 {
        ram.put32(0x4000 + page * 4, (page as u32) << 12 | 3);
    }
    ram
}

#[test]
fn a_page_table_is_not_taken_for_a_first_table() {
    let mut ram = kernel32(&[0x1000, 0x2000]);
    // What the page table maps is not tables.
    for page in 0x300..0x400u64 {
        let text: Vec<u8> = (0..4096u32).map(|n| ((n * n) >> 3) as u8 | 0x20).collect();
        ram.put(page << 12, &text);
    }
    assert_eq!(roots(&[Regs::defaults(Arch::I386)], &ram), [0x1000, 0x2000]);
}

#[test]
fn entries_that_lead_where_no_memory_is_make_no_table() {
    let mut ram = kernel32(&[0x1000]);
    for entry in 800..1000 {
        ram.put32(0x1000 + entry * 4, 0x4000_0000 | (entry << 12) as u32 | 1);
    }
    assert_eq!(roots(&[Regs::defaults(Arch::I386)], &ram), NONE);
}

fn pae() -> Regs {
    let regs = X86Regs::protected_mode();
    let (cr4, efer) = (regs.cr4 | X86Regs::CR4_PAE, X86Regs::EFER_NXE);
    Regs::X86(X86Regs { cr4, efer, ..regs })
}

/// PDPTEs at `first`, the kernel's page directory at 0x3000.
fn kernel_pae(first: u64, flags: u64) -> SparseMemory {
    let mut ram = kernel(&[]);
    ram.put64(first + 24, 0x3000 | flags);
    ram
}

#[test]
fn pae_tables_are_found_at_every_32_bytes() {
    assert_eq!(roots(&[pae()], &kernel_pae(0x1fe0, P)), [0x1fe0]);
}

#[test]
fn the_accessed_flag_that_qemu_sets_in_pdptes_is_forgiven_but_no_other_reserved_bit() {
    assert_eq!(roots(&[pae()], &kernel_pae(0x1fe0, P | 1 << 5)), [0x1fe0]);
    for reserved in [1, 2, 6, 7, 8, 52, 63] {
        assert_eq!(roots(&[pae()], &kernel_pae(0x1fe0, P | 1 << reserved)), NONE, "{reserved}");
    }
}

#[test]
fn of_the_usual_modes_the_one_that_fits_is_listed() {
    let found = scan(&usual_shapes(&Regs::defaults(Arch::I386)), &kernel_pae(0x1fe0, P));
    assert_eq!(found.candidates.iter().map(|root| root.mode).collect::<Vec<_>>(), ["PAE paging"]);
    let found = scan(&usual_shapes(&long_mode()), &kernel(&[0x1000]));
    let [root] = &found.candidates[..] else { panic!("{found:?}") };
    assert_eq!(root.mode, "4-level paging");
}

/// Short descriptors: a section with AP = 0b01, kernel only.
const SECTION: u32 = 0b01 << 10 | 0b10;

#[test]
fn short_descriptors_hold_the_kernel_in_every_ttbr0() {
    let mut ram = empty();
    for first in [0x4000, 0x8000] {
        for section in 0..4 {
            ram.put32(first + (0xc00 + section) * 4, (section as u32) << 20 | SECTION);
        }
    }
    let found = scan(&usual_shapes(&Regs::defaults(Arch::Arm)), &ram).candidates;
    let listed: Vec<_> = found.iter().map(|root| (root.root.0, root.register)).collect();
    assert_eq!(listed, [(0x4000, Register::Ttbr0), (0x8000, Register::Ttbr0)]);
}

/// Long descriptors: a block for the kernel with AF.
const BLOCK_AF: u64 = 1 << 10 | 0b01;

#[test]
fn lpae_tables_are_found_for_both_registers() {
    let mut ram = empty();
    // TTBR1 = 0x2000: level 2, 2 MB blocks; a process's level 1 leads there.
    ram.put64(0x2000, BLOCK_AF);
    ram.put64(0x2008, 0x20_0000 | BLOCK_AF);
    ram.put64(0x5040 + 24, 0x2000 | 0b11);
    let found = scan(&usual_shapes(&Regs::defaults(Arch::Arm)), &ram).candidates;
    let listed: Vec<_> = found.iter().map(|root| (root.root.0, root.register)).collect();
    assert_eq!(listed, [(0x2000, Register::Ttbr1), (0x5040, Register::Ttbr0)]);
    let tcr: Vec<_> = found.iter().filter_map(|root| root.regs.tcr()).collect();
    assert_eq!(tcr, [ArmRegs::TTBCR_EAE | 2 << 16, ArmRegs::TTBCR_EAE]);
}

/// A 4 KB-granule kernel of 48 bits: level 0 at 0x1000, blocks of 2 MB.
fn kernel_arm64() -> SparseMemory {
    let mut ram = empty();
    ram.put64(0x1000 + 256 * 8, 0x2000 | 0b11);
    ram.put64(0x1000 + 300 * 8, 0x2000 | 0b11);
    ram.put64(0x2000, 0x3000 | 0b11);
    ram.put64(0x3000, BLOCK_AF);
    ram.put64(0x3008, 0x20_0000 | BLOCK_AF);
    ram
}

#[test]
fn the_kernel_of_aarch64_is_in_ttbr1_and_the_tcr_is_told() {
    let found = scan(&usual_shapes(&Regs::defaults(Arch::Aarch64)), &kernel_arm64()).candidates;
    let [root] = &found[..] else { panic!("{found:?}") };
    assert_eq!((root.root, root.register, root.kernel_pages), (Gpa(0x1000), Register::Ttbr1, 2048));
    assert_eq!(root.regs.tcr(), Some(ArmRegs::new(ArmState::Aarch64).tcr));
}

#[test]
fn a_block_whose_address_is_not_aligned_to_its_size_is_no_block() {
    // Level 2 read as level 1: 2 MB blocks would be blocks of 1 GB.
    let mut ram = kernel_arm64();
    ram.put64(0x1000 + 256 * 8, 0x3000 | 0b11);
    ram.put64(0x1000 + 300 * 8, 0);
    assert_eq!(roots(&[Regs::defaults(Arch::Aarch64)], &ram), NONE);
}

#[test]
fn the_trampoline_table_of_aarch64_is_listed_with_the_kernels() {
    let mut ram = kernel_arm64();
    let page = |to: u64| to | 1 << 10 | 0b11;
    for (at, entry) in [(0x3010, 0x5000 | 0b11), (0x5000, page(0x7000))] {
        ram.put64(at, entry);
    }
    // tramp_pg_dir = 0xb000, an empty one, swapper_pg_dir = 0xd000.
    ram.put64(0xd000 + 256 * 8, 0x2000 | 0b11);
    ram.put64(0xb000 + 256 * 8, 0x8000 | 0b11);
    ram.put64(0x8000, 0x9000 | 0b11);
    ram.put64(0x9010, 0x5000 | 0b11);
    let found = scan(&[Regs::defaults(Arch::Aarch64)], &ram).candidates;
    let pairs: Vec<_> = found.iter().map(|root| (root.root.0, root.pair)).collect();
    let pair = [(0xd000, Some(Gpa(0xb000))), (0xb000, Some(Gpa(0xd000)))];
    assert_eq!(pairs, [&[(0x1000, None)], &pair[..]].concat());
}

#[test]
fn tables_that_lead_into_each_other_end() {
    // Every page is full of entries that lead to all the others.
    const PAGES: u64 = 32;
    let mut ram = SparseMemory::default();
    for page in 0..PAGES {
        for entry in 0..512 {
            ram.put64(page << 12 | entry << 3, ((page + entry) % PAGES) << 12 | P | W);
        }
    }
    let counted = Counter::new(&ram);
    let found = find_roots(&[long_mode()], &counted, &[(Gpa(0), PAGES << 12)], &mut |_| {});
    assert!(counted.reads() < most_reads(PAGES << 12), "{}", counted.reads());
    assert!(found.candidates.len() <= PAGES as usize);
}

/// What a scan may read in one pass: every entry in memory by itself and those
/// of its budget, each once itself and once where it leads.
fn most_reads(bytes: u64) -> u64 {
    2 * (judge::AT_LEAST + (judge::EFFORT + 1) * bytes / 8)
}

#[test]
fn a_range_with_holes_is_scanned_between_them() {
    let mut ram = SparseMemory::default();
    for at in [0x2000, 0x3000, 0x5000] {
        ram.put(at, &[0; 0x1000]);
    }
    ram.put64(0x5000 + 273 * 8, 0x2000 | P | W);
    ram.put64(0x2000, 0x3000 | P | W);
    ram.put64(0x3000, 0x7000 | P | W);
    ram.put(0x7000, &[0; 0x1000]);
    ram.put64(0x7028, 0x5000 | P | W);
    assert_eq!(roots(&[long_mode()], &ram), [0x5000]);
    let end = [(Gpa(u64::MAX - 0xfff), 0x1000), (Gpa(u64::MAX), 1)];
    assert_eq!(find_roots(&[long_mode()], &ram, &end, &mut |_| {}), Roots::default());
}

fn any_shape() -> impl Strategy<Value = Regs> {
    let shapes = Arch::ALL.iter().flat_map(|arch| usual_shapes(&Regs::defaults(*arch)));
    proptest::sample::select(shapes.collect::<Vec<_>>())
}

/// Entries that look like something: small addresses, any flags.
fn entry() -> impl Strategy<Value = u64> {
    prop_oneof![
        Just(0),
        any::<u64>(),
        (0u64..64, 0u64..4096).prop_map(|(page, flags)| page << 12 | flags),
        (0u64..64, any::<u8>()).prop_map(|(page, high)| page << 12 | u64::from(high) << 56 | 0b11),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn garbage_never_panics_and_reads_are_bounded(
        regs in any_shape(),
        arm_tcr in any::<u64>(),
        any_tcr in any::<bool>(),
        entries in proptest::collection::vec(entry(), 512),
        places in proptest::collection::vec((0u64..32, 0u64..512), 32),
    ) {
        let regs = match regs {
            Regs::Arm(arm) if any_tcr => Regs::Arm(ArmRegs { tcr: arm_tcr, ..arm }),
            regs => regs,
        };
        let mut ram = SparseMemory::default();
        for (page, shift) in places {
            for (n, entry) in (0..).zip(&entries) {
                ram.put64(page << 12 | ((n + shift) % 512) << 3, *entry);
            }
        }
        let counted = Counter::new(&ram);
        let bytes = 32 << 12;
        let found = find_roots(&[regs], &counted, &[(Gpa(0), bytes)], &mut |_| {});
        // LPAE takes two passes.
        prop_assert!(counted.reads() < 2 * most_reads(bytes), "{}", counted.reads());
        for root in found.candidates {
            prop_assert!(root.kernel_pages > 0);
        }
    }
}
