"""Asks a CPU's own address translation instructions (AT, ATS1C*)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Optional

from lab.stubs import assemble

from .case import STUB, Case
from .machine import Machine, OracleError
from .setups import ENTER

# Offsets into the stubs' memory.
CODE, LIST, RESULTS = 0x1000, 0x10000, 0x20000

# In the order in which the stubs ask: (access, privilege).
QUESTIONS = (("r", "kernel"), ("w", "kernel"), ("r", "user"), ("w", "user"))


@dataclass(frozen=True)
class Outcome:
    """A guest-physical address (`mask` covers the bits that were told), or a fault status."""

    gpa: Optional[int]
    status: Optional[int]
    mask: int = (1 << 64) - 1

    def agrees(self, gpa: Optional[int], status: Optional[int]) -> bool:
        """Whether somebody else's answer is the same one."""
        if self.gpa is None or gpa is None:
            return self.gpa == gpa and self.status == status
        return self.gpa & self.mask == gpa & self.mask

    def __str__(self) -> str:
        return f"fault {self.status:#x}" if self.gpa is None else f"{self.gpa:#x}"


def run(machine: Machine, name: str, base: int, registers: dict[str, int]) -> None:
    """Run a stub until it reaches the endless loop at its end.

    `base` is the virtual address of the stubs' memory.
    """
    code = assemble(name)
    machine.write(STUB + CODE, code)
    for register, value in registers.items():
        machine.gdb.write_register(register, value)
    machine.gdb.write_register("pc", base + CODE)
    end = base + CODE + len(code) - 4
    machine.gdb.run_to(end, 4)
    if machine.gdb.read_register("pc") != end:
        raise OracleError(f"the stub {name} stopped at {machine.gdb.read_register('pc'):#x}")


def results(machine: Machine, asked: list[int]) -> list[tuple[int, ...]]:
    """Four 64-bit words for each address."""
    raw = machine.read(STUB + RESULTS, 32 * len(asked))
    return list(struct.iter_unpack("<4Q", raw))


def parse_long(par: int, gva: int) -> Outcome:
    """PAR in the 64-bit format ("PAR_EL1, Physical Address Register")."""
    if par & 1:
        return Outcome(None, par >> 1 & 0x3F)
    return Outcome(par & ((1 << 52) - 1) & ~0xFFF | gva & 0xFFF, None)


def parse_short(par: int, gva: int) -> Outcome:
    """PAR in the 32-bit format; SS (bit 1) marks a supersection.

    The manual has PA[39:32] of a supersection in bits 23:16; QEMU 7.2 leaves zero there.
    """
    if par & 1:
        return Outcome(None, par >> 1 & 0xF | (par >> 6 & 1) << 4)
    offset = 0xFFFFFF if par & 2 else 0xFFF
    return Outcome(par & 0xFFFFFFFF & ~offset | gva & offset, None, 0xFFFFFFFF)


def rare(case: Case) -> dict[str, int]:
    """What the stubs of AArch64 take in x15 to x18."""
    regs = case.registers
    pan, indirect = case.options.get("pan") == "on", "tcr2" in regs
    values = [regs.get(name, 0) for name in ("tcr2", "pir", "pire0")]
    return dict(zip(("x15", "x16", "x17", "x18"), (*values, pan | indirect << 1)))


def lacks(machine: Machine, case: Case) -> str:
    """The ID register that says that this CPU lacks what the case needs, or nothing."""
    for name, (low, least) in case.needs.items():
        known = name in machine.gdb.registers
        if not known or machine.gdb.read_register(name) >> low & 0xF < least:
            return name
    return ""


def ask_aarch64(machine: Machine, case: Case, asked: list[int]) -> list[list[Outcome]]:
    """AT S1E1R, S1E1W, S1E0R and S1E0W for each address, from EL2."""
    machine.reset()
    regs = case.registers
    sctlr = machine.gdb.read_register("SCTLR") & ~1 | regs["sctlr"]
    regs["sctlr"] = sctlr
    machine.write(STUB + LIST, struct.pack(f"<{len(asked)}Q", *asked))
    machine.write(STUB + RESULTS, bytes(32 * len(asked)))
    memory = (STUB + LIST, len(asked), STUB + RESULTS)
    values = (regs["ttbr0"], regs["ttbr1"], regs["tcr"], 0xFF, sctlr, *memory)
    named = {f"x{number}": value for number, value in enumerate(values)}
    run(machine, "aarch64_at", STUB, {**named, **rare(case)})
    rows = zip(asked, results(machine, asked))
    return [[parse_long(par, gva) for par in row] for gva, row in rows]


def ask_arm(machine: Machine, case: Case, asked: list[int]) -> list[list[Outcome]]:
    """ATS1CPR, CPW, CUR and CUW for each address, from PL1."""
    ENTER[case.setup](machine, case)
    long_format = case.registers["tcr"] >> 31
    machine.write(STUB + LIST, struct.pack(f"<{len(asked)}I", *asked))
    machine.write(STUB + RESULTS, bytes(32 * len(asked)))
    data = case.writable if case.writable >= 0 else case.window
    values = (data + LIST, len(asked), data + RESULTS, long_format)
    run(
        machine, "arm_at", case.window, {f"r{number}": value for number, value in enumerate(values)}
    )
    parse = parse_long if long_format else parse_short
    rows = zip(asked, results(machine, asked))
    return [[parse(par, gva) for par in row] for gva, row in rows]


ASK = {
    "aarch64": ("aarch64_el2", ask_aarch64),
    "arm": ("arm_wide", ask_arm),
    "arm_secure": ("arm_secure", ask_arm),
}
