"""Lets an ARM CPU jump to addresses and records its instruction aborts."""

from __future__ import annotations

import struct

from .ask_at import CODE, LIST, RESULTS, Outcome, rare, results, run
from .case import STUB, Case
from .machine import Machine, OracleError
from .setups import ENTER

# Vectors of EL1 in the stub's page: HVC for synchronous exceptions of EL1 and of EL0.
VECTORS, FROM_SAME, FROM_LOWER = 0x800, 0x200, 0x400
HVC = 0xD4000002.to_bytes(4, "little")
UDF = {"aarch64": bytes(4), "arm": 0xE7F000F0.to_bytes(4, "little")}
ABORT_FROM_LOWER, ABORT_FROM_SAME = 0x20, 0x21
EXTERNAL_LONG, EXTERNAL_SHORT = 0x10, 0x08

# In the order in which the stubs ask: (access, privilege).
QUESTIONS = (("x", "kernel"), ("x", "user"))


def targets(case: Case, asked: list[int]) -> list[int]:
    """The asked addresses as those of instructions; the stub's own are left out."""
    words = dict.fromkeys(gva & ~3 for gva in asked)
    return [gva for gva in words if not case.window <= gva < case.window + (4 << 20)]


def plant(machine: Machine, case: Case, asked: list[int]) -> None:
    """An undefined instruction wherever an address leads to RAM."""
    for gva in asked:
        gpa = case.present(gva)
        try:
            if gpa is not None and not STUB <= gpa < STUB + (1 << 20):
                machine.write(gpa, UDF[case.arch])
        except OracleError:
            continue


def ask_aarch64(machine: Machine, case: Case, asked: list[int]) -> list[list[Outcome]]:
    """Jumps from EL2 to EL1 and to EL0."""
    machine.reset()
    regs = case.registers
    sctlr = machine.gdb.read_register("SCTLR") & ~1 | regs["sctlr"]
    regs["sctlr"] = sctlr
    machine.write(STUB + VECTORS + FROM_SAME, HVC)
    machine.write(STUB + VECTORS + FROM_LOWER, HVC)
    machine.write(STUB + LIST, struct.pack(f"<{len(asked)}Q", *asked))
    machine.write(STUB + RESULTS, bytes(32 * len(asked)))
    values = (regs["ttbr0"], regs["ttbr1"], regs["tcr"], 0xFF, sctlr)
    memory = (STUB + LIST, len(asked), STUB + RESULTS)
    names = {f"x{number}": value for number, value in enumerate((*values, *memory))}
    run(machine, "aarch64_exec", STUB, {**names, "x14": case.window + VECTORS, **rare(case)})
    rows = zip(asked, results(machine, asked))
    return [[parse_esr(case, gva, *row[i : i + 2]) for i in (0, 2)] for gva, row in rows]


def parse_esr(case: Case, gva: int, esr: int, far: int) -> Outcome:
    """An instruction abort at `gva` that is not external: else it was fetched."""
    kind, status = esr >> 26, esr & 0x3F
    abort = kind in (ABORT_FROM_LOWER, ABORT_FROM_SAME) and far == gva
    if abort and status != EXTERNAL_LONG:
        return Outcome(None, status)
    return Outcome(case.present(gva), None)


def ask_arm(machine: Machine, case: Case, asked: list[int]) -> list[list[Outcome]]:
    """Jumps from PL1 to PL1 and to PL0."""
    plant(machine, case, asked)
    ENTER[case.setup](machine, case)
    machine.write(STUB + LIST, struct.pack(f"<{len(asked)}I", *asked))
    machine.write(STUB + RESULTS, bytes(32 * len(asked)))
    base = case.window
    data = case.writable if case.writable >= 0 else base
    values = (data + LIST, len(asked), data + RESULTS, base + CODE)
    run(machine, "arm_exec", base, {f"r{number}": value for number, value in enumerate(values)})
    raw = struct.iter_unpack("<4I", machine.read(STUB + RESULTS, 16 * len(asked)))
    rows = zip(asked, raw)
    return [[parse_ifsr(case, gva, *row[i : i + 2]) for i in (0, 2)] for gva, row in rows]


def parse_ifsr(case: Case, gva: int, ifsr: int, ifar: int) -> Outcome:
    """IFSR in either format; bit 9 says which."""
    long_format = bool(ifsr >> 9 & 1)
    status = ifsr & 0x3F if long_format else ifsr & 0xF | (ifsr >> 10 & 1) << 4
    external = EXTERNAL_LONG if long_format else EXTERNAL_SHORT
    if ifar == gva and status != external:
        return Outcome(None, status)
    return Outcome(case.present(gva), None)


ASK = {
    "aarch64": ("aarch64_el2", ask_aarch64),
    "arm": ("arm_wide", ask_arm),
    "arm_secure": ("arm_secure", ask_arm),
}
