//! What steers a walk of tables with subpages, and what a walk here makes of it: ARM
//! Architecture Reference Manual (DDI 0100I), part B, "Register 1: Control registers";
//! "Register 2: Translation table base".

use crate::{
    mmu::gate::Control,
    regs::{ArmRegs, Register},
};

const SCTLR: Register = Register::Sctlr;
const TTBCR: Register = Register::Tcr;

type C = Control<ArmRegs>;

/// What came with ARMv6 means something unknown, if it is set in an older CPU.
const fn old(regs: &ArmRegs) -> bool {
    regs.version < 6
}

/// SCTLR, the control register, of ARMv4, ARMv5, and ARMv6 with XP = 0.
pub(super) static SCTLR_CONTROLS: [C; 14] = [
    C::modelled(SCTLR, (0, 0), "M", "the MMU is on"),
    C::harmless(SCTLR, (7, 1), "A to B", "alignment, caches, buses, the order of bytes in data"),
    C::modelled(SCTLR, (8, 8), "S", "the kernel reads where AP is 0"),
    C::modelled(SCTLR, (9, 9), "R", "all read where AP is 0"),
    C::harmless(SCTLR, (20, 10), "F to ST", "caches, branches, vectors, local memory"),
    C::harmless(SCTLR, (22, 21), "FI, U", "interrupts, alignment"),
    C::modelled(SCTLR, (23, 23), "XP", "in ARMv6: tables without subpages"),
    C::refused(SCTLR, (23, 23), "XP", "a bit of ARMv6 in an older CPU", old),
    C::harmless(SCTLR, (24, 24), "VE", "vectors"),
    C::modelled(SCTLR, (25, 25), "EE", "in ARMv6: descriptors are big-endian"),
    C::refused(SCTLR, (25, 25), "EE", "a bit of ARMv6 in an older CPU", old),
    C::harmless(SCTLR, (28, 26), "L2, NMFI, TR", "caches, interrupts, memory attributes"),
    C::refused(SCTLR, (29, 29), "FA", "an access flag in tables with subpages", |_| true),
    C::harmless(SCTLR, (63, 30), "TE", "exceptions; the upper half is no register's"),
];

/// ARMv4 and ARMv5 have no TTBCR.
pub(super) static OLD: [C; 1] =
    [C::refused(TTBCR, (63, 0), "all", "a register of ARMv6 in an older CPU", |_| true)];

/// TTBCR of ARMv6.
pub(super) static V6: [C; 3] = [
    C::modelled(TTBCR, (2, 0), "N", "how much TTBR0 maps"),
    C::modelled(TTBCR, (4, 4), "PD0", "no walks with TTBR0"),
    C::modelled(TTBCR, (5, 5), "PD1", "no walks with TTBR1"),
];
