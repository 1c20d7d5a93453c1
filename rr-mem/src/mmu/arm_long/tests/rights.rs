//! Who may do what.

use super::*;

#[test]
fn read_only_is_bit_7_and_bit_10_is_the_access_flag() {
    assert_eq!(rights(0, PAGE), "kernel rwx user --x");
    assert_eq!(rights(0, PAGE | 0x80), "kernel r-x user --x");
    assert_eq!(rights(0, PAGE | 0x40), "kernel rw- user rwx");
    assert_eq!(rights(0, PAGE | 0xc0), "kernel r-x user r-x");
    let regs = el1(tcr(4, 39));
    let clear = three_levels(0, 0x5003);
    assert_eq!(gpa(&regs, &clear, 0), Some(0x5000));
    assert_eq!(status(&regs, &clear, 0, READ), Some(0b001011));
    // The access flag is looked at before the rights.
    assert_eq!(status(&regs, &three_levels(0, 0x5083), 0, WRITE), Some(0b001011));
    assert_eq!(status(&regs, &three_levels(0, 0x5483), 0, WRITE), Some(0b001111));
    assert_eq!(status(&regs, &three_levels(0, 0x5403), 0, USER_READ), Some(0b001111));
}

#[test]
fn what_el0_may_write_el1_may_not_execute() {
    let regs = el1(tcr(4, 39));
    let memory = three_levels(0, 0x5000 | PAGE | 0x40);
    assert_eq!(status(&regs, &memory, 0, FETCH), Some(0b001111));
}

#[test]
fn uxn_and_pxn_each_stop_one_privilege() {
    assert_eq!(rights(0, PAGE | 0xc0 | 1 << 54), "kernel r-x user r--");
    assert_eq!(rights(0, PAGE | 0xc0 | 1 << 53), "kernel r-- user r-x");
}

#[test]
fn table_descriptors_limit_everything_below() {
    let open = PAGE | 0x40;
    assert_eq!(rights(1 << 62, open), "kernel r-x user r-x");
    assert_eq!(rights(1 << 61, open), "kernel rwx user --x");
    assert_eq!(rights(1 << 60, open), "kernel rw- user rw-");
    assert_eq!(rights(1 << 59, PAGE | 0xc0), "kernel r-- user r-x");
    assert_eq!(rights(1 << 63, PAGE | 0xc0), "kernel r-x user r-x");
}

#[test]
fn hpd_turns_off_the_limits_of_its_half_only() {
    let regs = el1(tcr(4, 39) | 1 << 41);
    let memory = three_levels(0xf << 59, 0x5000 | PAGE | 0xc0);
    let open = |gva| walk(&regs, &memory, gva, Query::Presence).result.expect("mapped").rights;
    assert_eq!(open(0).to_string(), "kernel r-x user r-x");
    assert_eq!(open(0xffff_ff80_0000_0000).to_string(), "kernel r-- user ---");
    let el2 = ArmRegs { el: 2, ..el1(25 | 5 << 16 | 1 << 24) };
    assert_eq!(rights_with(&el2, 0xf << 59, PAGE).to_string(), "kernel rwx user ---");
}

#[test]
fn wxn_takes_execution_from_what_can_be_written() {
    let regs = ArmRegs { sctlr: 1 | 1 << 19, ..el1(tcr(4, 39)) };
    assert_eq!(rights_with(&regs, 0, PAGE | 0x40).to_string(), "kernel rw- user rw-");
    assert_eq!(rights_with(&regs, 0, PAGE | 0xc0).to_string(), "kernel r-x user r-x");
    assert_eq!(rights_with(&regs, 1 << 62, PAGE).to_string(), "kernel r-x user --x");
}

#[test]
fn pan_refuses_privileged_data_accesses_to_user_pages_only() {
    let regs = ArmRegs { pan: true, ..el1(tcr(4, 39)) };
    let user = three_levels(0, 0x5000 | PAGE | 0xc0);
    assert_eq!(status(&regs, &user, 0, READ), Some(0b001111));
    assert_eq!(status(&regs, &user, 0, USER_READ), None);
    assert_eq!(status(&regs, &user, 0, FETCH), None);
    assert_eq!(status(&regs, &three_levels(0, 0x5000 | PAGE), 0, WRITE), None);
    // APTable hides the page from the user, so PAN has nothing to say.
    assert_eq!(status(&regs, &three_levels(1 << 61, 0x5000 | PAGE | 0x40), 0, READ), None);
}

#[test]
fn epan_counts_what_the_user_may_only_execute_too() {
    let regs = ArmRegs { pan: true, sctlr: 1 | 1 << 57, ..el1(tcr(4, 39)) };
    let hidden = 0x5000 | PAGE;
    assert_eq!(status(&regs, &three_levels(0, hidden), 0, READ), Some(0b001111));
    assert_eq!(status(&regs, &three_levels(0, hidden), 0, WRITE), Some(0b001111));
    assert_eq!(status(&regs, &three_levels(0, hidden), 0, FETCH), None);
    assert_eq!(status(&regs, &three_levels(0, hidden | 1 << 54), 0, READ), None);
    assert_eq!(status(&regs, &three_levels(1 << 60, hidden), 0, READ), None);
    let calm = ArmRegs { pan: false, ..regs };
    assert_eq!(status(&calm, &three_levels(0, hidden), 0, READ), None);
}

const HIGH: u64 = 0xffff_ff80_0000_0000;

#[test]
fn e0pd_keeps_el0_from_its_half_before_any_table_is_read() {
    for (bit, barred, open) in [(55, 0, HIGH), (56, HIGH, 0)] {
        let regs = el1(tcr(4, 39) | 1 << bit);
        let memory = three_levels(0, 0x5000 | PAGE | 0xc0);
        let fetch = Query::Access(Access { kind: AccessKind::Execute, user: true });
        for query in [USER_READ, fetch] {
            let found = fault(&regs, &memory, barred, query).expect("barred");
            assert_eq!((found.status, found.entry), (Some(0b000100), None));
            assert_eq!(status(&regs, &memory, open, query), None);
        }
        assert_eq!(status(&regs, &memory, barred, READ), None);
        let rights =
            |gva| walk(&regs, &memory, gva, Query::Presence).result.map(|found| found.rights);
        assert_eq!(rights(barred).expect("mapped").to_string(), "kernel r-x user ---");
        assert_eq!(rights(open).expect("mapped").to_string(), "kernel r-x user r-x");
    }
}

#[test]
fn e0pd_leaves_pan_what_the_tables_say() {
    let regs = ArmRegs { pan: true, ..el1(tcr(4, 39) | 1 << 55) };
    let memory = three_levels(0, 0x5000 | PAGE | 0xc0);
    assert_eq!(status(&regs, &memory, 0, READ), Some(0b001111));
}

#[test]
fn with_tbid_tags_are_for_data_alone() {
    let el2 = ArmRegs { el: 2, ..el1(25 | 5 << 16 | 1 << 20 | 1 << 29) };
    let tagged = 0xa5 << 56;
    for regs in [el1(tcr(4, 39) | 1 << 37 | 1 << 51), el2] {
        let memory = three_levels(0, 0x5000 | PAGE);
        assert_eq!(gpa(&regs, &memory, tagged), Some(0x5000));
        assert_eq!(status(&regs, &memory, tagged, READ), None);
        assert_eq!(status(&regs, &memory, tagged, FETCH), Some(0b000100));
        assert_eq!(status(&regs, &memory, 0, FETCH), None);
        let found = walk(&regs, &memory, tagged, Query::Presence).result.expect("mapped");
        assert_eq!(found.rights.kernel.to_string(), "rw-");
        let off = ArmRegs { sctlr: 0, ..regs };
        assert_eq!(status(&off, &memory, tagged, READ), None);
        assert_eq!(status(&off, &memory, tagged, FETCH), Some(0b000000));
    }
}

#[test]
fn hardware_updates_spare_the_access_flag_and_clean_pages() {
    let memory = three_levels(0, 0x5000 | 0x83 | 1 << 51);
    let ha = el1(tcr(4, 39) | 1 << 39);
    assert_eq!(status(&ha, &memory, 0, READ), None);
    assert_eq!(status(&ha, &memory, 0, WRITE), Some(0b001111));
    let hd = el1(ha.tcr | 1 << 40);
    assert_eq!(status(&hd, &memory, 0, WRITE), None);
    // HD without HA, or without DBM, is nothing.
    let hd_only = el1(tcr(4, 39) | 1 << 40);
    assert_eq!(status(&hd_only, &memory, 0, READ), Some(0b001011));
    assert_eq!(status(&hd, &three_levels(0, 0x5083), 0, WRITE), Some(0b001111));
}

#[test]
fn flags_have_the_manuals_names() {
    let regs = el1(tcr(4, 39));
    let memory = three_levels(0xf << 59 | 1 << 63, 0x5000 | PAGE | 0xc0 | 1 << 11 | 3 << 53);
    let mmu = Mmu::ArmLong(LongPaging::new(&regs).expect("modelled"));
    let steps = mmu.walk(&memory, Gva(0), Query::Presence).steps;
    assert_eq!(
        mmu.flags(&steps[0]),
        ["TABLE", "APTABLE_RO", "NSTABLE", "APTABLE_NO_USER", "UXNTABLE", "PXNTABLE"]
    );
    assert_eq!(mmu.flags(&steps[2]), ["PAGE", "RO", "AF", "nG", "USER", "PXN", "UXN"]);
}
