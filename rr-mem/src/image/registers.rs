//! The notes in which a core of `dump-guest-memory` holds registers.
//!
//! NT_PRSTATUS has the general ones: struct elf_prstatus of Linux
//! (include/uapi/linux/elfcore.h), with the registers in the order of ptrace's
//! user_regs_struct. Signals and times in it are zeros. Of x86, the note "QEMU"
//! has control registers and descriptor tables too, in which crash finds how far
//! the kernel has moved.

use super::{
    CoreNote,
    note::{NT_PRSTATUS, QEMU_VERSION},
};
use crate::regs::{Aarch64General, Arch, ArmGeneral, GeneralRegs, Segment, X86General};

/// The notes of these CPUs, by their numbers, in a core of this architecture.
/// Empty if the core has no place for the registers of one of them.
#[must_use]
pub fn register_notes(cpus: &[(u64, GeneralRegs)], arch: Arch) -> Vec<CoreNote> {
    let qemu = cpus.iter().filter_map(|(_, regs)| match regs {
        GeneralRegs::X86(regs) => Some(qemu(regs)),
        GeneralRegs::Arm(_) | GeneralRegs::Aarch64(_) => None,
    });
    let mut notes = prstatus(cpus, arch);
    if !notes.is_empty() {
        notes.extend(qemu);
    }
    notes
}

/// The x86 CPU state of QEMU's own note, see [`super::note`].
fn qemu(cpu: &X86General) -> CoreNote {
    let [ax, cx, dx, bx, sp, bp, si, di, r8, r9, r10, r11, r12, r13, r14, r15] = cpu.regs;
    let X86General { rip, rflags, .. } = *cpu;
    let registers =
        [ax, bx, cx, dx, si, di, sp, bp, r8, r9, r10, r11, r12, r13, r14, r15, rip, rflags];
    let [es, cs, ss, ds, fs, gs] = cpu.segments;
    let mut state: Vec<u8> = registers.iter().flat_map(|value| value.to_le_bytes()).collect();
    for Segment { selector, base, limit, attributes } in
        [cs, ds, es, fs, gs, ss].iter().chain(&cpu.tables)
    {
        let words = [u32::from(*selector), *limit, *attributes, 0];
        state.extend(words.iter().flat_map(|word| word.to_le_bytes()));
        state.extend(base.to_le_bytes());
    }
    state.extend(cpu.cr.iter().flat_map(|value| value.to_le_bytes()));
    let mut contents = QEMU_VERSION.to_le_bytes().to_vec();
    contents.extend((state.len() as u32 + 8).to_le_bytes());
    contents.extend(state);
    CoreNote { owner: b"QEMU".to_vec(), kind: 0, contents }
}

fn prstatus(cpus: &[(u64, GeneralRegs)], arch: Arch) -> Vec<CoreNote> {
    let one = |(number, regs): &(u64, GeneralRegs)| {
        let registers = match (regs, arch) {
            (GeneralRegs::X86(regs), Arch::X86_64) => x86_64(regs),
            (GeneralRegs::X86(regs), Arch::I386) => i386(regs),
            (GeneralRegs::Arm(regs), Arch::Arm) => arm(regs),
            (GeneralRegs::Aarch64(regs), Arch::Aarch64) => aarch64(regs),
            _ => return None,
        };
        let contents = status(*number, arch.pointer_bytes(), &registers);
        Some(CoreNote { owner: b"CORE".to_vec(), kind: NT_PRSTATUS, contents })
    };
    cpus.iter().map(one).collect::<Option<_>>().unwrap_or_default()
}

/// The struct, whose longs have `word` bytes.
fn status(number: u64, word: usize, registers: &[u64]) -> Vec<u8> {
    // Before the process: siginfo, the signal, two masks; behind it: three more
    // ids, four times of two longs.
    let process = 16 + 2 * word;
    let mut out = vec![0; process + 16 + 8 * word];
    // A process is never number 0.
    out[process..process + 4].copy_from_slice(&(number as u32 + 1).to_le_bytes());
    registers.iter().for_each(|value| out.extend(&value.to_le_bytes()[..word]));
    // Whether floating point is valid, and the end of the last long.
    out.resize(out.len() + word, 0);
    out
}

fn x86_64(cpu: &X86General) -> Vec<u64> {
    let [ax, cx, dx, bx, sp, bp, si, di, r8, r9, r10, r11, r12, r13, r14, r15] = cpu.regs;
    let [es, cs, ss, ds, fs, gs] = cpu.segments.map(|segment| u64::from(segment.selector));
    let [.., fs_base, gs_base] = cpu.segments.map(|segment| segment.base);
    // No system call is to be taken up again.
    let call = u64::MAX;
    let X86General { rip, rflags, .. } = *cpu;
    vec![
        r15, r14, r13, r12, bp, bx, r11, r10, r9, r8, ax, cx, dx, si, di, call, rip, cs, rflags,
        sp, ss, fs_base, gs_base, ds, es, fs, gs,
    ]
}

fn i386(cpu: &X86General) -> Vec<u64> {
    let [ax, cx, dx, bx, sp, bp, si, di, ..] = cpu.regs;
    let [es, cs, ss, ds, fs, gs] = cpu.segments.map(|segment| u64::from(segment.selector));
    let call = u64::MAX;
    let X86General { rip, rflags, .. } = *cpu;
    vec![bx, cx, dx, si, di, bp, ax, ds, es, fs, gs, call, rip, cs, rflags, sp, ss]
}

fn arm(cpu: &ArmGeneral) -> Vec<u64> {
    // Behind CPSR, R0 as it was before a system call.
    cpu.regs.iter().copied().chain([cpu.cpsr, 0]).map(u64::from).collect()
}

fn aarch64(cpu: &Aarch64General) -> Vec<u64> {
    cpu.regs.iter().copied().chain([cpu.sp, cpu.pc, cpu.pstate]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_have_the_size_of_linux_structs() {
        let sizes = [
            (GeneralRegs::X86(X86General::default()), Arch::X86_64, 336),
            (GeneralRegs::X86(X86General::default()), Arch::I386, 144),
            (GeneralRegs::Arm(ArmGeneral::default()), Arch::Arm, 148),
            (GeneralRegs::Aarch64(Aarch64General::default()), Arch::Aarch64, 392),
        ];
        for (regs, arch, size) in sizes {
            let notes =
                register_notes(&[(0, regs)], arch).into_iter().filter(|note| note.owner == b"CORE");
            assert_eq!(notes.map(|note| note.contents.len()).collect::<Vec<_>>(), [size]);
        }
    }

    #[test]
    fn registers_stand_where_ptrace_has_them() {
        let regs = std::array::from_fn(|n| 0x100 + n as u64);
        let cpu = X86General { regs, rip: 0x1234, rflags: 0x246, ..X86General::default() };
        let note = &register_notes(&[(3, GeneralRegs::X86(cpu))], Arch::X86_64)[0];
        let bytes = |at: usize| note.contents[at..].first_chunk().expect("8 bytes");
        let word = |at: usize| u64::from_le_bytes(*bytes(at));
        // pr_pid; r15, rax, rip, eflags and rsp.
        assert_eq!(note.contents[32], 4);
        assert_eq!(
            [0, 10, 16, 18, 19].map(|n| word(112 + n * 8)),
            [0x10f, 0x100, 0x1234, 0x246, 0x104]
        );
    }

    #[test]
    fn a_core_without_a_place_for_one_cpu_has_no_registers_of_others() {
        let cpus = [
            (0, GeneralRegs::Aarch64(Aarch64General::default())),
            (1, GeneralRegs::Arm(ArmGeneral::default())),
        ];
        assert_eq!(register_notes(&cpus, Arch::Aarch64), []);
        assert_eq!(register_notes(&cpus[..1], Arch::Aarch64).len(), 1);
    }
}
