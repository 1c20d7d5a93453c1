//! Rights by index: permission indirection and overlays.

use super::*;

/// PIIndex in bits 54, 53, 51 and 6, and POIndex in bits 62:60, of a page.
fn page(permission: u64, overlay: u64) -> u64 {
    let [b3, b2, b1, b0] = [3, 2, 1, 0].map(|bit| permission >> bit & 1);
    0x5000 | PAGE | b3 << 54 | b2 << 53 | b1 << 51 | b0 << 6 | overlay << 60
}

/// Each index n of PIR means n; PIRE0 means `user` for all of them.
fn indirect(user: u64) -> ArmRegs {
    let pire0 = 0x1111_1111_1111_1111 * user;
    ArmRegs { tcr2: 0b10, pir: 0xfedc_ba98_7654_3210, pire0, ..el1(tcr(4, 39)) }
}

#[test]
fn every_permission_of_pir_has_its_rights() {
    let kernel: [&str; 16] = [
        "---", "r--", "--x", "r-x", "---", "rw-", "rw-", "rwx", "r--", "r--", "r-x", "---", "rw-",
        "---", "rwx", "---",
    ];
    for (index, rights) in (0u64..).zip(kernel) {
        let found = rights_with(&indirect(0b0001), 0, page(index, 0)).to_string();
        assert_eq!(found, format!("kernel {rights} user r--"), "{index:#06b}");
        let el2 = ArmRegs { el: 2, ..indirect(0b0111) };
        let el2 = ArmRegs { tcr: 25 | 5 << 16, ..el2 };
        assert_eq!(rights_with(&el2, 0, page(index, 0)).kernel.to_string(), rights);
    }
}

#[test]
fn what_el0_may_write_and_el1_execute_nobody_may_touch() {
    for (index, user, rights) in [
        (0b0111, 0b0101, "kernel --- user ---"),
        (0b0110, 0b0111, "kernel --- user ---"),
        (0b1001, 0b1001, "kernel --- user ---"),
        (0b1000, 0b1001, "kernel r-- user r--"),
        (0b0101, 0b0101, "kernel rw- user rw-"),
        (0b0011, 0b0011, "kernel r-x user r-x"),
    ] {
        assert_eq!(rights_with(&indirect(user), 0, page(index, 0)).to_string(), rights);
    }
}

#[test]
fn the_limits_of_tables_and_wxn_do_not_count_with_indices() {
    let regs = ArmRegs { sctlr: 1 | 1 << 19, ..indirect(0) };
    assert_eq!(rights_with(&regs, 0xf << 59, page(7, 0)).to_string(), "kernel rwx user ---");
}

#[test]
fn a_page_that_is_not_dirty_is_written_by_a_cpu_that_notes_it_alone() {
    let clean = page(0b0101, 0) | 0x80;
    assert_eq!(rights_with(&indirect(0), 0, clean).to_string(), "kernel r-- user ---");
    let ha_hd = ArmRegs { tcr: tcr(4, 39) | 3 << 39, ..indirect(0) };
    assert_eq!(rights_with(&ha_hd, 0, clean).to_string(), "kernel rw- user ---");
    let ha = ArmRegs { tcr: tcr(4, 39) | 1 << 39, ..indirect(0) };
    assert_eq!(status(&ha, &three_levels(0, clean), 0, WRITE), Some(0b001111));
}

#[test]
fn pan_keeps_from_every_page_that_pire0_names() {
    for (user, refused) in [(0, false), (0b0010, true), (0b1000, true)] {
        let regs = ArmRegs { pan: true, ..indirect(user) };
        let found = status(&regs, &three_levels(0, page(1, 0)), 0, READ);
        assert_eq!(found, refused.then_some(0b001111), "{user:#06b}");
    }
}

/// Overlay index n leaves n.
const OVERLAY: u64 = 0x7654_3210;

#[test]
fn an_overlay_takes_rights_of_the_first_eight_permissions_only() {
    let regs = ArmRegs { tcr2: 0b1010, por: OVERLAY, ..indirect(0) };
    let kernel = |index, overlay| rights_with(&regs, 0, page(index, overlay)).kernel.to_string();
    let left = ["---", "r--", "--x", "r-x", "-w-", "rw-", "-wx", "rwx"];
    for (overlay, rights) in (0u64..).zip(left) {
        assert_eq!(kernel(0b0111, overlay), rights);
        assert_eq!(kernel(0b1110, overlay), "rwx");
    }
    // Write and execute at once is what 0b0110 never is.
    assert_eq!([kernel(0b0110, 7), kernel(0b0110, 5)], ["r-x", "rw-"]);
    assert_eq!(kernel(0b0110, 4), "-w-");
}

#[test]
fn an_overlay_of_direct_rights_comes_before_wxn() {
    let regs = ArmRegs { tcr2: 0b1100, por: OVERLAY, por_el0: OVERLAY, ..el1(tcr(4, 39)) };
    let open = |overlay: u64| 0x5000 | PAGE | 0x40 | overlay << 60;
    assert_eq!(rights_with(&regs, 0, open(1)).to_string(), "kernel r-- user r--");
    assert_eq!(rights_with(&regs, 0xf << 59, open(7)).to_string(), "kernel rw- user rwx");
    let wxn = ArmRegs { sctlr: 1 | 1 << 19, ..regs };
    assert_eq!(rights_with(&wxn, 0, open(7)).to_string(), "kernel rw- user r-x");
    assert_eq!(rights_with(&wxn, 0, open(5)).to_string(), "kernel rw- user rw-");
}

#[test]
fn each_privilege_has_an_overlay_of_its_own() {
    let regs = |tcr2| ArmRegs { tcr2, ..el1(tcr(4, 39)) };
    let open = 0x5000 | PAGE | 0x40;
    assert_eq!(rights_with(&regs(0b0100), 0, open).to_string(), "kernel rw- user ---");
    assert_eq!(rights_with(&regs(0b1000), 0, open).to_string(), "kernel --- user rwx");
}

#[test]
fn el3_has_its_switches_in_its_own_tcr() {
    let regs = ArmRegs { el: 3, tcr2: 0, tcr: 25 | 5 << 16, ..indirect(0) };
    assert_eq!(rights_with(&regs, 0, page(0b0101, 0)).to_string(), "kernel rwx user ---");
    let pie = ArmRegs { tcr: regs.tcr | 1 << 35, ..regs };
    assert_eq!(rights_with(&pie, 0, page(0b0101, 0)).to_string(), "kernel rw- user ---");
    let poe = ArmRegs { tcr: pie.tcr | 1 << 36, por: 1, ..pie };
    assert_eq!(rights_with(&poe, 0, page(0b0101, 0)).to_string(), "kernel r-- user ---");
}

#[test]
fn a_page_with_an_index_says_which() {
    let mmu = Mmu::ArmLong(LongPaging::new(&indirect(0)).expect("modelled"));
    let memory = three_levels(0xf << 59, page(13, 0) | 0x80);
    let steps = mmu.walk(&memory, Gva(0), Query::Presence).steps;
    assert_eq!(mmu.flags(&steps[0]), ["TABLE"]);
    assert_eq!(mmu.flags(&steps[2]), ["PAGE", "nDIRTY", "AF", "PI13"]);
}
