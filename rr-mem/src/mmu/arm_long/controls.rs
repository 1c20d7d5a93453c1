//! What steers a walk of long descriptors, and what a walk here makes of it: Arm
//! Architecture Reference Manual for A-profile (DDI 0487), "TCR_EL1", "TCR_EL2",
//! "TCR_EL3", "TCR2_EL1", "TTBCR", "HTCR", "SCTLR_EL1".

use crate::{
    bits::bit,
    mmu::gate::Control,
    regs::{ArmRegs, Register},
};

const SCTLR: Register = Register::Sctlr;
const TCR: Register = Register::Tcr;
const TCR2: Register = Register::Tcr2;

type C = Control<ArmRegs>;

/// SCTLR of AArch64: EL1, EL2, EL3.
pub(super) static SCTLR64: [C; 11] = [
    C::modelled(SCTLR, (0, 0), "M", "the MMU is on"),
    C::modelled(SCTLR, (19, 19), "WXN", "what can be written is not executed"),
    C::modelled(SCTLR, (25, 25), "EE", "descriptors are big-endian"),
    C::modelled(SCTLR, (57, 57), "EPAN", "PAN for what EL0 may only execute"),
    C::harmless(SCTLR, (18, 1), "A to nTWE", "alignment, caches, traps"),
    C::harmless(SCTLR, (22, 20), "TSCXT, IESB, EIS", "exceptions"),
    C::harmless(SCTLR, (23, 23), "SPAN", "what an exception makes of PAN"),
    C::harmless(SCTLR, (24, 24), "E0E", "EL0's data"),
    C::harmless(SCTLR, (34, 26), "UCI to EnFPM", "traps, pointer authentication"),
    C::harmless(SCTLR, (56, 35), "BT0 to EnALS", "branch targets, tags, transactions"),
    C::harmless(SCTLR, (63, 58), "TCSO0 to TIDCP", "tags, traps"),
];

/// TCR_EL1, and TCR_EL2 while HCR_EL2.E2H = 1.
pub(super) static TCR_EL1: [C; 20] = [
    C::modelled(TCR, (5, 0), "T0SZ", "the size of the lower half"),
    C::harmless(TCR, (13, 8), "IRGN0, ORGN0, SH0", "caches of the walk"),
    C::modelled(TCR, (7, 7), "EPD0", "no walks with TTBR0"),
    C::modelled(TCR, (15, 14), "TG0", "the granule"),
    C::modelled(TCR, (21, 16), "T1SZ", "the size of the upper half"),
    C::harmless(TCR, (22, 22), "A1", "which TTBR holds the ASID"),
    C::modelled(TCR, (23, 23), "EPD1", "no walks with TTBR1"),
    C::harmless(TCR, (29, 24), "IRGN1, ORGN1, SH1", "caches of the walk"),
    C::modelled(TCR, (31, 30), "TG1", "the granule"),
    C::modelled(TCR, (34, 32), "IPS", "the size of output addresses"),
    C::harmless(TCR, (36, 36), "AS", "the size of the ASID"),
    C::modelled(TCR, (42, 37), "TBI, HA, HD, HPD", "tags, access flags, limits of tables"),
    C::harmless(TCR, (50, 43), "HWU", "bits of descriptors for hardware of its own"),
    C::modelled(TCR, (52, 51), "TBID", "fetches do not ignore tags"),
    C::harmless(TCR, (54, 53), "NFD", "loads that do not fault"),
    C::modelled(TCR, (56, 55), "E0PD", "halves that EL0 has no access to"),
    C::harmless(TCR, (58, 57), "TCMA", "unchecked tags"),
    C::modelled(TCR, (59, 59), "DS", "52-bit addresses with small granules"),
    C::refused(TCR, (60, 60), "MTX0", "canonical memory tags", |regs| !bit(regs.tcr, 37)),
    C::refused(TCR, (61, 61), "MTX1", "canonical memory tags", |regs| !bit(regs.tcr, 38)),
];

/// TCR2_ELx.
pub(super) static TCR2_CONTROLS: [C; 7] = [
    C::harmless(TCR2, (0, 0), "PnCH", "a hint"),
    C::modelled(TCR2, (1, 1), "PIE", "rights by PIR and PIRE0"),
    C::modelled(TCR2, (3, 2), "POE, E0POE", "rights by POR and POR_EL0"),
    C::harmless(TCR2, (4, 4), "AIE", "memory attributes"),
    C::refused(TCR2, (5, 5), "D128", "128-bit descriptors", |_| true),
    C::harmless(TCR2, (13, 10), "PTTWI, HAFT, AMEC", "memory order, flags of tables, keys"),
    C::harmless(TCR2, (19, 14), "DisCH, A2, FNG", "hints, ASIDs"),
];

/// TCR_EL2 while HCR_EL2.E2H = 0, and TCR_EL3.
pub(super) static TCR_EL2: [C; 18] = [
    C::modelled(TCR, (5, 0), "T0SZ", "the size of the address space"),
    C::harmless(TCR, (13, 8), "IRGN0, ORGN0, SH0", "caches of the walk"),
    C::modelled(TCR, (15, 14), "TG0", "the granule"),
    C::modelled(TCR, (18, 16), "PS", "the size of output addresses"),
    C::modelled(TCR, (22, 20), "TBI, HA, HD", "tags, access flags"),
    C::harmless(TCR, (23, 23), "RES1", "no meaning"),
    C::modelled(TCR, (24, 24), "HPD", "tables limit nothing"),
    C::harmless(TCR, (28, 25), "HWU", "bits of descriptors for hardware of its own"),
    C::modelled(TCR, (29, 29), "TBID", "fetches do not ignore tags"),
    C::harmless(TCR, (30, 30), "TCMA", "unchecked tags"),
    C::harmless(TCR, (31, 31), "RES1", "no meaning"),
    C::modelled(TCR, (32, 32), "DS", "52-bit addresses with small granules"),
    C::refused(TCR, (33, 33), "MTX", "canonical memory tags", |regs| !bit(regs.tcr, 20)),
    C::harmless(TCR, (34, 34), "PnCH", "a hint"),
    C::modelled(TCR, (36, 35), "PIE, POE", "rights by PIR and POR, in TCR_EL3"),
    C::harmless(TCR, (37, 37), "AIE", "memory attributes"),
    C::refused(TCR, (38, 38), "D128", "128-bit descriptors", |_| true),
    C::harmless(TCR, (43, 41), "PTTWI, HAFT, DisCH", "memory order, flags of tables, hints"),
];

/// TTBCR with EAE = 1; its upper half is TTBCR2.
pub(super) static TTBCR: [C; 11] = [
    C::modelled(TCR, (2, 0), "T0SZ", "the size of the lower part"),
    C::modelled(TCR, (6, 6), "T2E", "TTBCR2 counts"),
    C::modelled(TCR, (7, 7), "EPD0", "no walks with TTBR0"),
    C::harmless(TCR, (13, 8), "IRGN0, ORGN0, SH0", "caches of the walk"),
    C::modelled(TCR, (18, 16), "T1SZ", "the size of the upper part"),
    C::harmless(TCR, (22, 22), "A1", "which TTBR holds the ASID"),
    C::modelled(TCR, (23, 23), "EPD1", "no walks with TTBR1"),
    C::harmless(TCR, (30, 24), "IRGN1, ORGN1, SH1", "caches of the walk"),
    C::modelled(TCR, (31, 31), "EAE", "long descriptors"),
    C::modelled(TCR, (42, 41), "HPD", "tables limit nothing"),
    C::harmless(TCR, (50, 43), "HWU", "bits of descriptors for hardware of its own"),
];

/// HTCR.
pub(super) static HTCR: [C; 6] = [
    C::modelled(TCR, (2, 0), "T0SZ", "the size of the address space"),
    C::harmless(TCR, (13, 8), "IRGN0, ORGN0, SH0", "caches of the walk"),
    C::harmless(TCR, (23, 23), "RES1", "no meaning"),
    C::modelled(TCR, (24, 24), "HPD", "tables limit nothing"),
    C::harmless(TCR, (28, 25), "HWU", "bits of descriptors for hardware of its own"),
    C::harmless(TCR, (31, 31), "RES1", "no meaning"),
];
