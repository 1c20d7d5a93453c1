//! What steers an MPU, and what a walk here makes of it: "SCTLR, System Control Register,
//! PMSA" (DDI 0406C.d), "SCTLR" (DDI 0568), "MPU Control Register" (DDI 0403E.e).

use crate::{
    mmu::gate::Control,
    regs::{ArmRegs, Register},
};

const SCTLR: Register = Register::Sctlr;
const MPU_CTRL: Register = Register::MpuCtrl;

type C = Control<ArmRegs>;

/// SCTLR of the R profile.
pub(super) static SCTLR_CONTROLS: [C; 11] = [
    C::modelled(SCTLR, (0, 0), "M", "the MPU is on"),
    C::modelled(SCTLR, (13, 13), "V", "the default memory map has code at the top"),
    C::modelled(SCTLR, (17, 17), "BR", "the background region"),
    C::modelled(SCTLR, (19, 19), "WXN", "PMSAv8: what can be written is not executed"),
    C::modelled(SCTLR, (20, 20), "UWXN", "PMSAv8: what EL0 can write, EL1 does not execute"),
    C::harmless(SCTLR, (12, 1), "A to I", "alignment, caches, branch prediction"),
    C::harmless(SCTLR, (16, 14), "RR, nTWI", "caches, traps"),
    C::harmless(SCTLR, (18, 18), "nTWE", "traps"),
    C::harmless(SCTLR, (25, 21), "FI to EE", "interrupts, division by zero, the order of data"),
    C::harmless(SCTLR, (31, 26), "NMFI to IE", "interrupts, exceptions, the order of instructions"),
    C::harmless(SCTLR, (63, 32), "upper half", "no register's"),
];

/// MPU_CTRL of the M profile.
pub(super) static MPU_CTRL_CONTROLS: [C; 3] = [
    C::modelled(MPU_CTRL, (0, 0), "ENABLE", "the MPU is on"),
    C::modelled(MPU_CTRL, (1, 1), "HFNMIENA", "it is on in HardFault and NMI too"),
    C::modelled(MPU_CTRL, (2, 2), "PRIVDEFENA", "the background region"),
];
