//! Which register decides whether an access succeeds, where nobody knows it: it is
//! asked for by name, never guessed.
//!
//! Where addresses lead is [`Cpu::undecided`]'s matter.

use super::{Access, AccessKind};
use crate::regs::{Cpu, Register, Regs, X86Regs};

/// The unknown register that decides `access`, if there is one.
pub(crate) fn undecided_access(cpu: &Cpu, access: Access) -> Option<Register> {
    if !cpu.regs.paging_is_on() {
        return None;
    }
    let unknown = |(register, counts): &(Register, bool)| {
        (*counts && !cpu.knows(*register)).then_some(*register)
    };
    cpu.undecided_rights().or_else(|| match &cpu.regs {
        Regs::X86(regs) => x86(regs, access).iter().find_map(unknown),
        Regs::Arm(_) => arm(access).iter().find_map(unknown),
    })
}

/// Intel SDM volume 3, "Determination of Access Rights": each register, and whether
/// it counts for the access. EFER is not there: an entry with bit 63 set is never
/// executable, by XD or as reserved.
fn x86(regs: &X86Regs, access: Access) -> [(Register, bool); 5] {
    let data = access.kind != AccessKind::Execute;
    let write = access.kind == AccessKind::Write;
    let supervisor = !access.user;
    [
        (Register::Cr0, supervisor && write),
        (Register::Cr4, true),
        (Register::Ac, supervisor && data && regs.smap()),
        (Register::Pkru, data && regs.user_keys()),
        (Register::Pkrs, supervisor && data && regs.supervisor_keys()),
    ]
}

/// DDI 0487, "Memory access control": each register, and whether it counts.
fn arm(access: Access) -> [(Register, bool); 2] {
    let data = access.kind != AccessKind::Execute;
    [(Register::Sctlr, true), (Register::Pan, !access.user && data)]
}
