"""Lets an x86 CPU access addresses and records its page faults."""

from __future__ import annotations

import struct
from typing import Optional

from lab.stubs import assemble

from .ask_at import Outcome
from .case import Case
from .machine import Machine, OracleError
from .setups import CODE32, CODE64, DESCRIPTORS, KERNEL_DATA, enter_x86
from .x86_rights import STUB, USER_PAGE

# Offsets into the stub's memory; the assembly knows them too.
GDT, GDTR, IDTR, TSS, IDT, CODE, STACK_TOP = 0, 0x100, 0x110, 0x200, 0x1000, 0x2000, 0x6000
LIST, RESULTS = 0x8000, 0x10000
LIMIT = 4000
GATE_PF, GATE_UD, GATE_OTHER = 0x20, 0x40, 0x60

# Which of the keys' registers are there, PKRU, IA32_PKRS: 4 bytes each.
KEYS = 0x120

# In the order in which the stubs ask: (access, privilege).
QUESTIONS = tuple((access, mode) for mode in ("kernel", "user") for access in "rwx")

P, RSVD = 1 << 0, 1 << 3
UD2 = bytes((0x0F, 0x0B))
READ_THEN_UD2 = bytes((0x8A, 0x27)) + UD2
WRITE_THEN_UD2 = bytes((0xC6, 0x07, 0x0F)) + UD2


def descriptors(base: int) -> bytes:
    """The GDT, with a descriptor of the TSS."""
    tss = base + TSS
    low = 0x67 | (tss & 0xFFFFFF) << 16 | 0x89 << 40 | (tss >> 24 & 0xFF) << 56
    return struct.pack("<9Q", *DESCRIPTORS, low, tss >> 32)


def gate(offset: int, wide: bool) -> bytes:
    """An interrupt gate into the kernel's code segment."""
    selector = CODE64 if wide else CODE32
    low = struct.pack("<HHBBH", offset & 0xFFFF, selector, 0, 0x8E, offset >> 16 & 0xFFFF)
    return low + struct.pack("<II", offset >> 32, 0) if wide else low


def gates(base: int, wide: bool) -> bytes:
    """The IDT."""
    places = {14: GATE_PF, 6: GATE_UD}
    offsets = [base + CODE + places.get(vector, GATE_OTHER) for vector in range(32)]
    return b"".join(gate(offset, wide) for offset in offsets)


def task_state(base: int, wide: bool) -> bytes:
    """The TSS: only the stack of CPL 0 matters."""
    stack = base + STACK_TOP
    return struct.pack("<IQ", 0, stack) if wide else struct.pack("<III", 0, stack, KERNEL_DATA)


def install(machine: Machine, base: int, wide: bool) -> int:
    """Write everything that the stub needs; the length of its code."""
    code = assemble("x86_64_pf" if wide else "x86_32_pf")
    table = "<HQ" if wide else "<HI"
    parts = {
        GDT: descriptors(base),
        GDTR: struct.pack(table, 9 * 8 - 1, base + GDT),
        IDTR: struct.pack(table, 32 * (16 if wide else 8) - 1, base + IDT),
        TSS: task_state(base, wide),
        IDT: gates(base, wide),
        CODE: code,
        USER_PAGE: READ_THEN_UD2,
        USER_PAGE + 0x10: WRITE_THEN_UD2,
    }
    for offset, data in parts.items():
        machine.write(STUB + offset, data)
    return len(code)


def keys(case: Case) -> tuple[int, int, int]:
    """What the stub loads: 1 says PKRU, 2 says IA32_PKRS."""
    regs = case.registers
    there = (1 if "pkru" in regs else 0) | (2 if "pkrs" in regs else 0)
    return there, regs.get("pkru", 0), regs.get("pkrs", 0)


def plant(machine: Machine, case: Case, asked: list[int]) -> None:
    """UD2 at every address that is mapped: to execute it shows that it was fetched."""
    for gva in asked:
        gpa = case.present(gva)
        if gpa is not None:
            machine.write(gpa, UD2)


def ask(machine: Machine, case: Case, asked: list[int]) -> list[list[Outcome]]:
    """Six answers for each address: where it is, or the #PF error code."""
    assert len(asked) <= LIMIT
    wide = bool(case.registers["efer"] & 0x100)
    base, word = case.window, "Q" if wide else "I"
    plant(machine, case, asked)
    length = install(machine, base, wide)
    machine.write(STUB + KEYS, struct.pack("<3I", *keys(case)))
    machine.write(STUB + LIST, struct.pack(f"<{len(asked)}{word}", *asked))
    machine.write(STUB + RESULTS, bytes(12 * len(asked)))
    enter_x86(machine, case)
    names = ("rbx", "r12", "r13", "r14") if wide else ("rbx", "rsi", "rcx", "rbp")
    for name, value in zip(names, (base, base + LIST, len(asked), base + RESULTS)):
        machine.gdb.write_register(name, value)
    machine.gdb.write_register("rip", base + CODE)
    end = base + CODE + length - 2
    machine.gdb.run_to(end, 1)
    if machine.gdb.read_register("rip") != end:
        raise OracleError(f"the stub stopped at {machine.gdb.read_register('rip'):#x}")
    raw = machine.read(STUB + RESULTS, 12 * len(asked))
    rows = zip(asked, struct.iter_unpack("<6H", raw))
    return [[verdict(word, case.present(gva)) for word in row] for gva, row in rows]


def verdict(word: int, gpa: Optional[int]) -> Outcome:
    """0 is success, 0x100 marks a page fault.

    QEMU 7.2 sets RSVD alone; "Page-Fault Exceptions" has P set whenever RSVD is.
    """
    if word & ~0x1FF:
        raise OracleError("an exception that was neither #PF nor #UD")
    if not word:
        return Outcome(gpa, None)
    return Outcome(None, word & 0xFF | (P if word & RSVD else 0))
