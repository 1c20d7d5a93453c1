//! What steers a walk of short descriptors, and what a walk here makes of it: Arm
//! Architecture Reference Manual for A-profile (DDI 0487) and for ARMv7-A (DDI
//! 0406C.d), "TTBCR".

use crate::{
    mmu::gate::Control,
    regs::{ArmRegs, Register},
};

const TTBCR: Register = Register::Tcr;

type C = Control<ArmRegs>;

/// TTBCR with EAE = 0.
pub(super) static TTBCR_CONTROLS: [C; 3] = [
    C::modelled(TTBCR, (2, 0), "N", "how much TTBR0 maps"),
    C::modelled(TTBCR, (4, 4), "PD0", "no walks with TTBR0"),
    C::modelled(TTBCR, (5, 5), "PD1", "no walks with TTBR1"),
];
