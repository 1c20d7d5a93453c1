//! Kernel page-table isolation: while user code runs, a CPU has tables in which most
//! of the kernel is not mapped. Linux keeps the kernel's own beside them: of x86
//! ("Page Table Isolation", Documentation/arch/x86/pti.rst) bit 12 of CR3 tells the
//! two apart, of AArch64 they are one or two pages behind those of TTBR1.
//!
//! Only what is found there counts: tables that map the address, and that are of
//! one pair with those in force.
//!
//! Not here: isolation as Windows has it, whose tables are anywhere.

use super::{AnyMemory, Guest};
use crate::{
    addr::{Gpa, Gva},
    memory::Memory,
    mmu::{Merge, Mmu, Query, SpaceLimits, Step, VirtualSpace, Walk, WalkError},
    regs::{ArmState, Cpu, Register, Regs},
};

/// Linux: PTI_USER_PGTABLE_BIT. The user's table is the second of two pages.
const PTI_USER: u64 = 1 << 12;
/// Bits of CR3 below the base of a table: PCID, or PWT and PCD.
const BELOW_BASE: u64 = 0xfff;
/// Bits of an x86 entry that need not be the same in both tables: A, which the CPU
/// sets, and XD, which Linux sets in the kernel's.
const MAY_DIFFER: u64 = 1 << 5 | 1 << 63;
/// Entries of a PML4 or PML5 for user addresses.
const USER_ENTRIES: u64 = 256;
const ENTRY: u64 = 8;
/// Where addresses of the kernel begin.
const UPPER_HALF: Gva = Gva(1 << 63);
/// Kernel mappings of the user's tables that are looked up in the kernel's.
const SAMPLES: usize = 256;

/// The kernel's own tables, where those in force are the user's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Isolated {
    /// The register that holds their base: CR3 or TTBR1.
    pub register: Register,
    /// The value that it has in the kernel.
    pub value: u64,
}

impl Guest<AnyMemory> {
    /// The kernel's tables that map `gva`, if the CPU is in user mode and its own do not.
    #[must_use]
    pub fn isolated(&self, gva: Gva) -> Option<Isolated> {
        let (cpu, mmu, memory) = (self.cpu()?, self.mmu().ok()?, self.memory().ok()?);
        let walk = mmu.walk(memory, gva, Query::Presence);
        let unmapped = matches!(walk.result, Err(WalkError::Fault(_)));
        let register = mmu.base_register(gva);
        let user = cpu.regs.in_user_mode() && cpu.knows(register) && knows_mode(cpu);
        let base = cpu.regs.get(register).filter(|_| user && unmapped)?;
        beside(&cpu.regs, register, base, mmu.granule()).into_iter().flatten().find_map(|value| {
            let kernel = with(cpu, register, value)?;
            let own = kernel.walk(memory, gva, Query::Presence);
            let pair = own.result.is_ok()
                && match register {
                    Register::Cr3 => same_user_half(memory, gva, &walk, &own),
                    _ => is_part(memory, mmu, &kernel),
                };
            pair.then_some(Isolated { register, value })
        })
    }
}

/// Whether it is known that the CPU is in user mode.
fn knows_mode(cpu: &Cpu) -> bool {
    cpu.knows(match cpu.regs {
        Regs::X86(_) => Register::Cpl,
        _ => Register::El,
    })
}

/// What the register may hold in the kernel, when it holds `value` in user mode.
fn beside(regs: &Regs, register: Register, value: u64, granule: u64) -> [Option<u64>; 2] {
    match (regs, register) {
        (Regs::X86(_), Register::Cr3) if value & PTI_USER != 0 => {
            // The number of the address space is the user's.
            let below = if regs.arch().pointer_bytes() == 8 { BELOW_BASE } else { 0 };
            [Some(value & !PTI_USER & !below), None]
        }
        (Regs::Arm(arm), Register::Ttbr1) if arm.state == ArmState::Aarch64 => {
            [2 * granule, granule].map(|distance| value.checked_add(distance))
        }
        _ => [None, None],
    }
}

/// The paging of the same CPU with another table base.
fn with(cpu: &Cpu, register: Register, value: u64) -> Option<Mmu> {
    Mmu::of(&cpu.with(register, value).ok()?).ok()
}

/// Whether all that user addresses go through is the same in both tables, and not
/// nothing. `gva` is an address of the kernel's half.
fn same_user_half(memory: &AnyMemory, gva: Gva, user: &Walk, kernel: &Walk) -> bool {
    let (Some(user), Some(kernel)) = (user.steps.first(), kernel.steps.first()) else {
        return false;
    };
    // With PAE, all entries below that of the address.
    let count = if gva >= UPPER_HALF { USER_ENTRIES } else { user.index };
    let of = |step: &Step| entries(memory, step, count);
    let (Some(user), Some(kernel)) = (of(user), of(kernel)) else { return false };
    user == kernel && user.iter().any(|entry| *entry != 0)
}

/// The first entries of the table that the walk began in.
fn entries(memory: &AnyMemory, step: &Step, count: u64) -> Option<Vec<u64>> {
    let table = step.at.0.checked_sub(step.index * ENTRY)?;
    let entry = |number| memory.read_u64(Gpa(table + number * ENTRY));
    let read: Result<Vec<u64>, _> = (0..count).map(entry).collect();
    Some(read.ok()?.into_iter().map(|entry| entry & !MAY_DIFFER).collect())
}

/// Whether what the upper half maps by the user's tables is mapped to the same places
/// by the kernel's, and is not nothing.
fn is_part(memory: &AnyMemory, user: &Mmu, kernel: &Mmu) -> bool {
    let half = UPPER_HALF..=Gva(u64::MAX);
    let small = VirtualSpace::within(user, memory, half, SpaceLimits::default());
    let mut seen = 0;
    let same = small.mappings(Merge::None).take(SAMPLES).all(|mapping| {
        let pages = [user, kernel].map(|mmu| mmu.translate(memory, mapping.gva));
        seen += 1;
        matches!(&pages, [Ok(user), Ok(kernel)] if user.gpa == kernel.gpa)
    });
    same && seen > 0 && small.unreadable().is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        memory::SparseMemory,
        regs::{ArmRegs, X86Regs},
    };

    const KERNEL: Gva = Gva(0xffff_8000_0000_0000);

    fn guest(ram: SparseMemory, regs: Regs) -> Guest {
        let memory: AnyMemory = Box::new(ram);
        Guest::new(Some(memory), Some(Cpu::known(regs)), None).expect("no regions")
    }

    /// Two tables side by side with the same user page; the second lacks the kernel's.
    fn pair(user_entry: u64) -> SparseMemory {
        let mut ram = SparseMemory::default();
        for (at, entry) in [(0x2000, 0x4027), (0x2800, 0x4003), (0x3000, user_entry)] {
            ram.put64(at, entry);
        }
        for (at, entry) in [(0x4000, 0x5007), (0x5000, 0x6007), (0x6000, 0x7007)] {
            ram.put64(at, entry);
        }
        ram
    }

    fn in_user_mode(cr3: u64) -> Regs {
        Regs::X86(X86Regs { cr3, cpl: 3, ..X86Regs::long_mode() })
    }

    #[test]
    fn the_kernels_tables_beside_the_users_are_found() {
        // The same tables; only the kernel's entry has been used.
        let guest = guest(pair(0x4007), in_user_mode(0x3801));
        let found = guest.isolated(KERNEL);
        assert_eq!(found, Some(Isolated { register: Register::Cr3, value: 0x2000 }));
        assert_eq!(guest.isolated(Gva(0)), None, "it is mapped");
        assert_eq!(guest.isolated(Gva(0xffff_9000_0000_0000)), None, "nobody maps it");
    }

    #[test]
    fn the_tables_of_another_process_are_no_pair() {
        assert_eq!(guest(pair(0x8007), in_user_mode(0x3000)).isolated(KERNEL), None);
        assert_eq!(guest(pair(0), in_user_mode(0x3000)).isolated(KERNEL), None);
    }

    #[test]
    fn in_kernel_mode_and_with_the_kernels_tables_nothing_is_isolated() {
        let in_kernel = Regs::X86(X86Regs { cr3: 0x3000, cpl: 0, ..X86Regs::long_mode() });
        assert_eq!(guest(pair(0x4007), in_kernel).isolated(KERNEL), None);
        let other = Gva(0xffff_9000_0000_0000);
        assert_eq!(guest(pair(0x4007), in_user_mode(0x2000)).isolated(other), None);
        let mut unknown = Cpu::known(in_user_mode(0x3000));
        unknown = unknown.without(&[Register::Cpl]);
        let memory: AnyMemory = Box::new(pair(0x4007));
        let guest = Guest::new(Some(memory), Some(unknown), None).expect("no regions");
        assert_eq!(guest.isolated(KERNEL), None);
    }

    /// AArch64, 4 KB granule, 39-bit halves: the user's table maps one page, the
    /// kernel's behind it that one and another.
    fn arm(trampoline: u64) -> Guest {
        let mut ram = SparseMemory::default();
        for root in [0x1000, 0x3000] {
            ram.put64(root + 0xff8, 0x4003);
        }
        ram.put64(0x3000, 0x4000_0401);
        ram.put64(0x4ff8, 0x5003);
        ram.put64(0x5ff8, trampoline);
        let regs = ArmRegs {
            ttbr1: 0x1000,
            tcr: 25 | 25 << 16 | 0b10 << 30 | 5 << 32,
            sctlr: 1,
            el: 0,
            ..ArmRegs::new(ArmState::Aarch64)
        };
        guest(ram, Regs::Arm(regs))
    }

    #[test]
    fn the_kernels_tables_behind_the_trampolines_are_found() {
        let found = arm(0x6703).isolated(Gva(0xffff_ff80_0000_0000));
        assert_eq!(found, Some(Isolated { register: Register::Ttbr1, value: 0x3000 }));
        assert_eq!(arm(0).isolated(Gva(0xffff_ff80_0000_0000)), None, "no trampoline");
    }
}
