//! Registers: of the guest's CPUs as the emulator keeps them, and of a thread of
//! the emulator as rr sends them.

use crate::{
    diverge::CpuState,
    host::unwind::StackRegisters,
    qemu::VirtualCpu,
    regs::{GeneralRegs, Register, Regs},
};

/// Bytes of a register of an x86_64 host, and the places of three of them among
/// all: GDB's `org.gnu.gnu.i386.core`.
const WORD: usize = 8;
const RBP: usize = 6;
const RSP: usize = 7;
const RIP: usize = 16;

/// By their numbers in machine code.
const X86: [&str; 16] = [
    "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13",
    "r14", "r15",
];
/// What is compared of the registers that steer paging.
const PAGING: [Register; 10] = [
    Register::Cr0,
    Register::Cr3,
    Register::Cr4,
    Register::Efer,
    Register::Ttbr0,
    Register::Ttbr1,
    Register::Tcr,
    Register::Sctlr,
    Register::Hcr,
    Register::Vttbr,
];
const CS: usize = 1;
const SEGMENTS: [&str; 6] = ["es", "cs", "ss", "ds", "fs", "gs"];

/// What is needed to follow the stack of a thread.
pub fn of_stack(registers: &[u8]) -> Option<StackRegisters> {
    let register = |number: usize| {
        let bytes = registers.get(number * WORD..(number + 1) * WORD)?;
        Some(u64::from_le_bytes(bytes.try_into().ok()?))
    };
    Some(StackRegisters { pc: register(RIP)?, sp: register(RSP)?, fp: register(RBP)? })
}

/// A CPU of the guest. Left out are x86's flags that QEMU computes only on
/// demand.
pub fn of_cpu(cpu: &VirtualCpu) -> CpuState {
    let mut registers = Vec::new();
    if let Some(general) = &cpu.general {
        general_registers(general, &mut registers);
    }
    if let Some(regs) = &cpu.regs {
        paging_registers(regs, &mut registers);
    }
    let pc = cpu.pc.map(|pc| pc.wrapping_add(code_base(cpu)));
    CpuState { number: cpu.index, pc, registers, paging: cpu.regs }
}

/// What the program counter counts from.
fn code_base(cpu: &VirtualCpu) -> u64 {
    match &cpu.general {
        Some(GeneralRegs::X86(regs)) => regs.segments[CS].base,
        _ => 0,
    }
}

type Named = Vec<(String, Vec<u8>)>;

fn general_registers(general: &GeneralRegs, into: &mut Named) {
    match general {
        GeneralRegs::X86(regs) => {
            into.extend(X86.iter().zip(regs.regs).map(|(name, value)| wide(name, value)));
            into.push(wide("rip", regs.rip));
            for (name, segment) in SEGMENTS.iter().zip(regs.segments) {
                into.push(wide(name, segment.selector.into()));
                into.push(wide(&format!("{name}_base"), segment.base));
            }
        }
        GeneralRegs::Arm(regs) => {
            let all = (0..15).map(|number| format!("r{number}")).chain(["pc".to_owned()]);
            into.extend(all.zip(regs.regs).map(|(name, value)| narrow(&name, value)));
            into.push(narrow("cpsr", regs.cpsr));
        }
        GeneralRegs::Aarch64(regs) => {
            let all = (0..31).map(|number| format!("x{number}"));
            into.extend(all.zip(regs.regs).map(|(name, value)| wide(&name, value)));
            let rest = [("sp", regs.sp), ("pc", regs.pc), ("cpsr", regs.pstate)];
            into.extend(rest.map(|(name, value)| wide(name, value)));
        }
    }
}

fn paging_registers(regs: &Regs, into: &mut Named) {
    let known = PAGING.iter().filter_map(|register| Some((register, regs.get(*register)?)));
    into.extend(known.map(|(register, value)| wide(register.keyword(), value)));
}

fn wide(name: &str, value: u64) -> (String, Vec<u8>) {
    (name.to_owned(), value.to_be_bytes().to_vec())
}

fn narrow(name: &str, value: u32) -> (String, Vec<u8>) {
    (name.to_owned(), value.to_be_bytes().to_vec())
}
