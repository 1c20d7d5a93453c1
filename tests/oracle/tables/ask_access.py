"""Lets an AArch64 CPU load and store at addresses, and records its data aborts."""

from __future__ import annotations

import struct

from lab.stubs import assemble

from .ask_at import LIST, RESULTS, Outcome, rare, results, run
from .ask_exec import EXTERNAL_LONG, FROM_SAME, HVC, VECTORS
from .case import STUB, Case
from .machine import Machine

# Where the accesses are in the page that the case's window shows.
ACCESSES = 0x100
DATA_ABORTS = (0x24, 0x25)


def ask(machine: Machine, case: Case, asked: list[int]) -> list[list[Outcome]]:
    """Loads and stores of EL1, and its unprivileged ones."""
    machine.reset()
    regs = case.registers
    regs["sctlr"] |= machine.gdb.read_register("SCTLR") & ~1
    machine.write(STUB + VECTORS + FROM_SAME, HVC)
    machine.write(STUB + ACCESSES, assemble("aarch64_accesses"))
    machine.write(STUB + LIST, struct.pack(f"<{len(asked)}Q", *asked))
    machine.write(STUB + RESULTS, bytes(32 * len(asked)))
    values = (regs["ttbr0"], regs["ttbr1"], regs["tcr"], 0xFF, regs["sctlr"])
    memory = (STUB + LIST, len(asked), STUB + RESULTS)
    names = {f"x{number}": value for number, value in enumerate((*values, *memory))}
    window = {"x13": case.window + ACCESSES, "x14": case.window + VECTORS}
    run(machine, "aarch64_access", STUB, {**names, **window, **rare(case)})
    rows = zip(asked, results(machine, asked))
    return [[outcome(case, gva, esr) for esr in row] for gva, row in rows]


def outcome(case: Case, gva: int, esr: int) -> Outcome:
    """A data abort that is not external: else it was read or written."""
    if esr >> 26 & 0x3F in DATA_ABORTS and esr & 0x3F != EXTERNAL_LONG:
        return Outcome(None, esr & 0x3F)
    return Outcome(case.present(gva), None)
