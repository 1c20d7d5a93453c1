"""Lets a CPU before ARMv7 read, write and jump, and records its aborts."""

from __future__ import annotations

import struct
from typing import Optional

from lab.stubs import assemble

from .arm_legacy import STUB, VECTORS, WINDOW, LegacyCase
from .machine import Machine, OracleError
from .setups import ENTER

# Offsets in the stubs' section; its end is the high vectors.
LIST, RESULTS = 0x10000, 0x40000
#: The most addresses at a time.
LIMIT = 4000
UNDEFINED, THROUGH = 0xE7F000F0, 0x10000
# In the order in which the stub asks: (access, privilege).
QUESTIONS = (
    ("r", "kernel"), ("w", "kernel"), ("r", "user"), ("w", "user"),
    ("x", "kernel"), ("x", "user"),
)
Statuses = list[tuple[Optional[int], ...]]


def targets(asked: list[int]) -> list[int]:
    """The addresses of whole words; the stub's own are left out."""
    return [gva for gva in dict.fromkeys(gva & ~3 for gva in asked) if gva < WINDOW][:LIMIT]


def ask(machine: Machine, case: LegacyCase, asked: list[int]) -> Statuses:
    """The fault status of each question at each address, or None."""
    for gva in asked:
        gpa = case.present(gva)
        if gpa is not None:
            machine.write(gpa, UNDEFINED.to_bytes(4, "little"))
    ENTER[case.setup](machine, case)
    code = assemble("arm_legacy_ask")
    machine.write(STUB + VECTORS - WINDOW, code)
    machine.write(STUB + LIST, struct.pack(f"<{len(asked)}I", *asked))
    machine.write(STUB + RESULTS, bytes(24 * len(asked)))
    values = {"r0": WINDOW + LIST, "r1": len(asked), "r2": WINDOW + RESULTS, "r9": UNDEFINED}
    for name, value in values.items():
        machine.gdb.write_register(name, value)
    end = VECTORS + len(code) - 4
    machine.gdb.write_register("pc", VECTORS)
    machine.gdb.run_to(end, 4)
    if machine.gdb.read_register("pc") != end:
        raise OracleError(f"the stub stopped at {machine.gdb.read_register('pc'):#x}")
    raw = machine.read(STUB + RESULTS, 24 * len(asked))
    return [tuple(map(status, row)) for row in struct.iter_unpack("<6I", raw)]


def status(fsr: int) -> Optional[int]:
    """FS of a fault status register: bits 10 and 3:0."""
    return None if fsr & THROUGH else fsr & 0xF | (fsr >> 10 & 1) << 4
