use super::*;
use crate::{
    addr::Gva,
    memory::SliceMemory,
    mmu::{AccessKind, Merge, Mmu, Query, SpaceLimits, Translation, VirtualSpace, WalkError},
    regs::{ArmState, Mpu},
};

const ENABLE: u32 = 1;
const SCTLR_M: u64 = 1;
const SCTLR_BR: u64 = 1 << 17;

/// RASR of `1 << shift` bytes: AP, XN, the mask of disabled subregions.
fn rasr(shift: u32, ap: u32, xn: u32, holes: u32) -> u32 {
    xn << 28 | ap << 24 | holes << 8 | (shift - 1) << 1 | ENABLE
}

fn of(kind: MpuKind, control: u64, regions: &[(u32, u32)]) -> Mmu {
    let list: Vec<_> =
        regions.iter().map(|&(base, attributes)| MpuRegion { base, attributes }).collect();
    let mut mpu = Mpu::new(kind, &list);
    let mut regs = ArmRegs { sctlr: 0, ..ArmRegs::new(ArmState::Aarch32) };
    if kind == MpuKind::V7M {
        mpu.control = control as u32;
    } else {
        regs.sctlr = control;
    }
    Mmu::new(&Regs::Arm(ArmRegs { mpu, ..regs })).expect("modelled")
}

fn memory() -> SliceMemory<'static> {
    SliceMemory::new(Gpa(0), &[])
}

fn present(mmu: &Mmu, address: u64) -> Option<Translation> {
    mmu.translate(&memory(), Gva(address)).ok()
}

fn rights(mmu: &Mmu, address: u64) -> String {
    present(mmu, address).map_or("none".into(), |found| found.rights.to_string())
}

fn refused(mmu: &Mmu, address: u64, kind: AccessKind, user: bool) -> Option<(FaultKind, u32)> {
    match mmu.query(&memory(), Gva(address), Query::access(kind, user)) {
        Err(WalkError::Fault(fault)) => Some((fault.kind, fault.status.expect("a status"))),
        _ => None,
    }
}

#[test]
fn the_highest_region_of_pmsav7_decides() {
    let regions = [(0x2000_0000, rasr(22, 0b011, 0, 0)), (0x2000_1000, rasr(12, 0b101, 1, 0))];
    let mmu = of(MpuKind::V7M, 1, &regions);
    assert_eq!(rights(&mmu, 0x2000_0fff), "kernel rwx user rwx");
    assert_eq!(rights(&mmu, 0x2000_1000), "kernel r-- user ---");
    assert_eq!(rights(&mmu, 0x2000_2000), "kernel rwx user rwx");
    let found = present(&mmu, 0x2000_1234).expect("a region has it");
    assert_eq!((found.gpa, found.page_size), (Gpa(0x2000_1234), 0x1000));
    let walk = mmu.walk(&memory(), Gva(0x2000_1234), Query::Presence);
    assert_eq!((walk.steps[0].level, walk.steps[0].index), (Level::Region, 1));
}

#[test]
fn what_no_region_has_is_not_present_without_a_background_region() {
    let regions = [(0x2000_0000, rasr(22, 0b011, 0, 0))];
    for (kind, on, background) in
        [(MpuKind::V7M, 1, 0b101), (MpuKind::V7R, SCTLR_M, SCTLR_M | SCTLR_BR)]
    {
        assert_eq!(present(&of(kind, on, &regions), 0x6000_0000), None);
        assert_eq!(rights(&of(kind, background, &regions), 0x6000_0000), "kernel rwx user ---");
    }
}

#[test]
fn a_disabled_subregion_is_a_hole_and_small_regions_have_none() {
    let holes = of(MpuKind::V7R, SCTLR_M, &[(0x100, rasr(8, 0b011, 0, 0b1000_0010))]);
    let having: Vec<_> =
        (0x100..0x200).step_by(32).map(|at| present(&holes, at).is_some()).collect();
    assert_eq!(having, [true, false, true, true, true, true, true, false]);
    let small = of(MpuKind::V7R, SCTLR_M, &[(0x100, rasr(7, 0b011, 0, 0xff))]);
    assert!(present(&small, 0x100).is_some());
}

#[test]
fn below_a_hole_the_next_lower_region_decides() {
    let regions = [(0, rasr(16, 0b101, 0, 0)), (0, rasr(8, 0b011, 0, 0b10))];
    let mmu = of(MpuKind::V7M, 1, &regions);
    assert_eq!(rights(&mmu, 0x1f), "kernel rwx user rwx");
    assert_eq!(rights(&mmu, 0x20), "kernel r-x user ---");
}

#[test]
fn a_region_that_is_not_aligned_counts_as_disabled() {
    let mmu = of(MpuKind::V7R, SCTLR_M, &[(0x800, rasr(12, 0b011, 0, 0))]);
    assert_eq!(present(&mmu, 0x800), None);
}

#[test]
fn the_largest_region_is_all_of_the_address_space() {
    let mmu = of(MpuKind::V7R, SCTLR_M, &[(0, rasr(32, 0b110, 0, 0))]);
    assert_eq!(rights(&mmu, 0xffff_ffff), "kernel r-x user r-x");
    assert_eq!(present(&mmu, 1 << 32), None);
}

#[test]
fn permissions_are_those_of_the_profile() {
    let by_ap = |kind, ap| {
        let on = of(kind, 1, &[(0, rasr(12, ap, 0, 0))]);
        rights(&on, 0)
    };
    let rows = [
        "kernel --- user ---",
        "kernel rwx user ---",
        "kernel rwx user r-x",
        "kernel rwx user rwx",
        "kernel --- user ---",
        "kernel r-x user ---",
        "kernel r-x user r-x",
    ];
    for (ap, row) in (0..).zip(rows) {
        assert_eq!([by_ap(MpuKind::V7R, ap), by_ap(MpuKind::V7M, ap)], [row, row], "{ap}");
    }
    assert_eq!(by_ap(MpuKind::V7M, 7), "kernel r-x user r-x");
    assert_eq!(by_ap(MpuKind::V7R, 7), "kernel --- user ---");
}

#[test]
fn the_system_space_of_the_m_profile_is_never_executed() {
    let mmu = of(MpuKind::V7M, 1, &[(0xe000_0000, rasr(29, 0b011, 0, 0))]);
    assert_eq!(rights(&mmu, 0xe010_0000), "kernel rw- user rw-");
    assert_eq!(rights(&mmu, 0xe000_e000), "kernel rw- user ---", "no region counts there");
}

#[test]
fn without_an_mpu_the_default_memory_map_says_what_is_executed() {
    let map = |mmu: &Mmu| -> Vec<_> {
        let at = |top: u64| present(mmu, top << 28).is_some_and(|found| found.rights.kernel.x);
        (0..16).filter(|top| at(*top)).collect()
    };
    assert_eq!(map(&of(MpuKind::V7M, 0, &[])), [0, 1, 2, 3, 6, 7, 8, 9]);
    assert_eq!(map(&of(MpuKind::V7R, 0, &[])), [0, 1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(map(&of(MpuKind::V7R, 1 << 13, &[])), [0, 1, 2, 3, 4, 5, 6, 7, 15]);
}

#[test]
fn a_negative_priority_switches_the_mpu_off_unless_it_is_asked_not_to() {
    let regs = |control, negative| {
        let mut mpu = Mpu::new(MpuKind::V7M, &[]);
        (mpu.control, mpu.negative) = (control, negative);
        let regs = ArmRegs { sctlr: 0, mpu, ..ArmRegs::new(ArmState::Aarch32) };
        present(&Mmu::new(&Regs::Arm(regs)).expect("modelled"), 0).is_some()
    };
    assert_eq!([regs(1, false), regs(1, true)], [false, true]);
    assert_eq!([regs(3, false), regs(3, true)], [false, false]);
}

#[test]
fn several_regions_of_pmsav8_are_a_fault() {
    let regions = [(0x1000, 0x1fc0 | ENABLE), (0x1f80 | 0b010, 0x2fc0 | ENABLE)];
    let mmu = of(MpuKind::V8R, SCTLR_M | SCTLR_BR, &regions);
    assert_eq!(rights(&mmu, 0x1f7f), "kernel rwx user ---");
    assert_eq!(rights(&mmu, 0x2fff), "kernel rwx user rwx");
    assert_eq!(rights(&mmu, 0x3000), "kernel rwx user ---", "the background");
    let fault = refused(&mmu, 0x1f80, AccessKind::Read, false);
    assert_eq!(fault, Some((FaultKind::Overlap, 0b100)));
    assert_eq!(present(&mmu, 0x1fff), None);
}

#[test]
fn faults_have_the_status_of_their_profile() {
    use AccessKind::{Execute, Read, Write};
    let regions = [(0x2000_0000, rasr(12, 0b010, 1, 0))];
    let r = of(MpuKind::V7R, SCTLR_M | SCTLR_BR, &regions);
    assert_eq!(refused(&r, 0x2000_0000, Write, true), Some((FaultKind::Permission, 0xd)));
    assert_eq!(refused(&r, 0, Read, true), Some((FaultKind::Background, 0)));
    assert_eq!(refused(&r, 0, Read, false), None);
    let m = of(MpuKind::V7M, 1, &regions);
    assert_eq!(refused(&m, 0x2000_0000, Write, true), Some((FaultKind::Permission, 0x82)));
    assert_eq!(refused(&m, 0x2000_0000, Execute, false), Some((FaultKind::Permission, 1)));
    assert_eq!(refused(&m, 0, Read, false), Some((FaultKind::Background, 0x82)));
    assert_eq!(refused(&m, 0xe000_e000, Read, true), Some((FaultKind::PrivateBus, 0x8200)));
}

#[test]
fn what_is_listed_is_what_is_answered_one_by_one() {
    let regions = [
        (0x2000_0000, rasr(22, 0b011, 0, 0b1100)),
        (0x2000_0fe0, rasr(5, 0b101, 1, 0)),
        (0x4000_0000, rasr(30, 0b000, 0, 0)),
        (0, rasr(32, 0b001, 1, 0b1000_0001)),
    ];
    for control in [0, 1, 5] {
        let mmu = of(MpuKind::V7M, control, &regions);
        let space = VirtualSpace::new(&mmu, &memory(), SpaceLimits::default());
        let listed: Vec<_> = space.mappings(Merge::Rights).collect();
        let at = |address: u64| {
            let found = listed.iter().find(|one| (one.gva..=one.last).contains(&Gva(address)));
            found.map(|one| one.rights)
        };
        for region in regions {
            for border in
                Region::new(MpuKind::V7M, MpuRegion { base: region.0, attributes: region.1 })
                    .borders()
            {
                for address in [border.saturating_sub(1), border, border + 1] {
                    let one = present(&mmu, address).map(|found| found.rights);
                    assert_eq!(at(address), one, "{address:#x}, MPU_CTRL {control}");
                }
            }
        }
    }
}

#[test]
fn an_mpu_that_is_not_known_is_refused() {
    let mpu = Mpu::new(MpuKind::Unknown, &[]);
    let regs = ArmRegs { mpu, ..ArmRegs::new(ArmState::Aarch32) };
    let error = Mmu::new(&Regs::Arm(regs)).expect_err("is refused");
    assert_eq!(error.register, Register::Pmsa);
}
