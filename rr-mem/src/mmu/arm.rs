//! What steers walks of ARM whatever the format of descriptors, and what a walk here
//! makes of it: Arm Architecture Reference Manual for A-profile (DDI 0487), "HCR_EL2",
//! "GPCCR_EL3", "SCTLR", "Memory access control"; for ARMv7-A (DDI 0406C.d), "SCTLR,
//! System Control Register"; what two formats share, "TTBCR" and (DDI 0100I) "Fast
//! Context Switch Extension", "Access permissions".
//!
//! Refused by the gate: a second stage (VM), a first stage that the hypervisor switches
//! off (DC), EL0 without EL1 (TGE), descriptors of a nested hypervisor (NV1), an MPU
//! whose regions nobody knows (PMSA), FCSEIDR's PID where no tables of its time are,
//! granule protection checks (GPC), access flags that the CPU sets (HA).

use super::{
    Access, AccessKind, FaultKind, Level, Rights,
    gate::Control,
    walk::{Page, Span, Start, Table},
};
use crate::{
    addr::{Gpa, Gva},
    bits::{bit, field, keep, mask},
    regs::{ArmRegs, MpuKind, Register},
};

const HCR: Register = Register::Hcr;
const FCSEIDR: Register = Register::FcseIdr;
const SCTLR: Register = Register::Sctlr;

type C = Control<ArmRegs>;

/// EL0 and EL1: below a hypervisor.
const fn guest(regs: &ArmRegs) -> bool {
    regs.el < 2
}

/// HCR_EL2 and the registers above all regimes.
pub(super) static ABOVE: [C; 18] = [
    C::refused(HCR, (0, 0), "VM", "a second stage of translation", guest),
    C::refused(HCR, (12, 12), "DC", "a first stage that is off, by the hypervisor", guest),
    C::refused(HCR, (27, 27), "TGE", "EL0 under EL2 without EL1", |regs| {
        // With E2H, EL0 belongs to the EL2&0 regime, whose registers these are.
        guest(regs) && !bit(regs.hcr, 34)
    }),
    C::modelled(HCR, (31, 31), "RW", "EL1 is AArch64"),
    C::modelled(HCR, (34, 34), "E2H", "EL2 has two halves"),
    C::harmless(HCR, (42, 42), "NV", "traps"),
    C::refused(HCR, (43, 43), "NV1", "descriptors of a nested hypervisor", |regs| {
        guest(regs) && bit(regs.hcr, 42)
    }),
    C::harmless(HCR, (11, 1), "SWIO to VSE", "interrupts, and the second stage"),
    C::harmless(HCR, (26, 13), "TWI to TVM", "traps"),
    C::harmless(HCR, (30, 28), "TDZ, HCD, TRVM", "traps"),
    C::harmless(HCR, (33, 32), "CD, ID", "caches of the second stage"),
    C::harmless(HCR, (41, 35), "TLOR to APK, API", "traps"),
    C::harmless(HCR, (63, 44), "AT to TWEDEL", "traps, and how long the TLB keeps a page"),
    C::refused(
        Register::Pmsa,
        (2, 0),
        "PMSA",
        "an MPU of which the regions are not known",
        |regs| regs.mpu.kind == MpuKind::Unknown,
    ),
    C::modelled(FCSEIDR, (31, 25), "PID", "before ARMv8: another place for the lowest 32 MB"),
    C::refused(
        FCSEIDR,
        (31, 25),
        "PID",
        "the lowest 32 MB elsewhere, without tables or with long descriptors",
        |regs| fcse(regs) != 0 && (!regs.mmu_on() || regs.long_descriptors()),
    ),
    C::harmless(FCSEIDR, (24, 0), "0", "no field"),
    C::refused(Register::Gpccr, (16, 16), "GPC", "granule protection checks", |_| true),
];

/// SCTLR in AArch32 state, and HSCTLR, from ARMv6 on.
pub(super) static SCTLR32: [C; 14] = [
    C::modelled(SCTLR, (0, 0), "M", "the MMU is on"),
    C::modelled(SCTLR, (19, 19), "WXN", "what can be written is not executed"),
    C::modelled(SCTLR, (20, 20), "UWXN", "what the user can write, the kernel does not execute"),
    C::modelled(SCTLR, (23, 23), "XP", "before ARMv7: short descriptors of ARMv6"),
    C::modelled(Register::ArmVersion, (3, 0), "below 7", "tables with subpages"),
    C::modelled(SCTLR, (25, 25), "EE", "descriptors are big-endian"),
    C::modelled(SCTLR, (29, 29), "AFE", "AP[0] is the access flag"),
    C::refused(SCTLR, (17, 17), "HA", "access flags that the CPU sets", |regs| {
        let short = !regs.long_descriptors() && regs.version < 8;
        short && regs.sctlr & ArmRegs::SCTLR_AFE != 0
    }),
    C::harmless(SCTLR, (16, 1), "A to nTWI", "alignment, caches, vectors, traps"),
    C::harmless(SCTLR, (18, 18), "nTWE", "traps"),
    C::harmless(SCTLR, (22, 21), "FI, U", "interrupts, alignment"),
    C::harmless(SCTLR, (24, 24), "VE", "vectors"),
    C::harmless(SCTLR, (28, 26), "NMFI, TRE", "interrupts; memory attributes"),
    C::harmless(SCTLR, (63, 30), "TE, DSSBS", "exceptions; the upper half is no register's"),
];

/// log2 of the bytes that FCSEIDR moves.
const FCSE_SHIFT: u32 = 25;

/// Where FCSEIDR puts the lowest 32 MB. ARMv8 has none; QEMU has it up to ARMv7.
const fn fcse(regs: &ArmRegs) -> u64 {
    if regs.version < 8 { keep(regs.fcseidr, 31, FCSE_SHIFT) } else { 0 }
}

/// The modified virtual address, which the tables translate.
#[inline]
pub(super) const fn modified(regs: &ArmRegs, gva: Gva) -> Gva {
    if gva.0 >> FCSE_SHIFT == 0 { Gva(gva.0 | fcse(regs)) } else { gva }
}

/// Without the MMU the 4 GB are one page.
const OFF: Page = Page { base: Gpa(0), shift: 32, rights: Rights::ALL };

/// TTBCR.N, bits 2:0: TTBR0 maps the lowest 2^(32-N) bytes. 0 before ARMv6.
const fn n(regs: &ArmRegs) -> u32 {
    field(regs.tcr, 2, 0) as u32
}

fn first_level<I: Default>(base: u64, bits: u8) -> Table<I> {
    Table { base: Gpa(base), level: Level::First, shift: 20, bits, inherited: I::default() }
}

/// TTBR0's table: 2^(14-N) bytes, aligned to its size. `None` with TTBCR.PD0, bit 4: no
/// walks with TTBR0.
fn low_table<I: Default>(regs: &ArmRegs) -> Option<Table<I>> {
    let base = keep(regs.ttbr0, 31, 14 - n(regs));
    (!bit(regs.tcr, 4)).then(|| first_level(base, 12 - n(regs) as u8))
}

/// TTBR1's table: always 16 KB. `None` with TTBCR.PD1, bit 5: no walks with TTBR1.
fn high_table<I: Default>(regs: &ArmRegs) -> Option<Table<I>> {
    (!bit(regs.tcr, 5)).then(|| first_level(keep(regs.ttbr1, 31, 14), 12))
}

/// Whether TTBR1 maps `gva`: N is not 0 and a bit of VA\[31:32-N\] is set.
const fn is_high(regs: &ArmRegs, gva: Gva) -> bool {
    modified(regs, gva).0 >> (32 - n(regs)) != 0
}

/// The first table of `gva`, of descriptors with two levels.
#[inline]
pub(super) fn start<I: Default>(regs: &ArmRegs, gva: Gva) -> Result<Start<I>, (FaultKind, Level)> {
    const FAULT: (FaultKind, Level) = (FaultKind::Translation, Level::First);
    if gva.0 >> 32 != 0 {
        return Err(FAULT);
    }
    if !regs.mmu_on() {
        return Ok(Start::Off(OFF));
    }
    let table = if is_high(regs, gva) { high_table(regs) } else { low_table(regs) };
    table.map(Start::Table).ok_or(FAULT)
}

/// The register that holds its base.
pub(super) const fn base_register(regs: &ArmRegs, gva: Gva) -> Register {
    if is_high(regs, gva) { Register::Ttbr1 } else { Register::Ttbr0 }
}

/// The address space of the two first tables, as FCSEIDR arranges it.
pub(super) fn spans<I: Copy + Default>(regs: &ArmRegs) -> Vec<Span<I>> {
    if !regs.mmu_on() {
        let addresses = Gva(0)..=Gva(mask(32));
        return vec![Span { gva: Gva(0), addresses, start: Start::Off(OFF) }];
    }
    let (low, high) = (low_table(regs), high_table(regs));
    let (window, place) = (1 << FCSE_SHIFT, fcse(regs));
    let border = 1 << 32 >> n(regs);
    let part = |table: Option<Table<I>>, moved: u64, addresses: [u64; 2]| {
        let start = Start::Table(table?);
        let [first, end] = addresses;
        // Tables have an entry for every megabyte; those of other addresses are unused.
        let gva = Gva(0u64.wrapping_sub(moved));
        (first < end).then(|| Span { gva, addresses: Gva(first)..=Gva(end - 1), start })
    };
    let moved = if place < border { low } else { high };
    let lowest = if place == 0 { 0 } else { window };
    [
        part(moved, place, [0, lowest]),
        part(low, 0, [lowest, border]),
        part(high, 0, [border.max(lowest), 1 << 32]),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Reads and writes of (kernel, user) where AP is 0: SCTLR.S, bit 8, lets the kernel
/// read, SCTLR.R, bit 9, both. Together they are reserved.
pub(super) const fn by_system_and_rom(sctlr: u64) -> [(bool, bool); 2] {
    let (system, rom) = (bit(sctlr, 8), bit(sctlr, 9));
    [(system != rom, false), (rom && !system, false)]
}

/// "Memory access control": each register beside those of indices and domains, and
/// whether it counts for the access.
pub(super) fn deciding(access: Access) -> [(Register, bool); 2] {
    let data = access.kind != AccessKind::Execute;
    [(Register::Sctlr, true), (Register::Pan, !access.user && data)]
}
