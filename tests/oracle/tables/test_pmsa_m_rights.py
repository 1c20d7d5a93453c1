"""Every access to a few regions, as a Cortex-M3 makes it.

A refused access is escalated to HardFault, and CFSR must have the status that `rr-mem`
says. The machine is reset before each, since no instruction leads out of there.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace

import pytest

from lab.gdbstub import GdbStub
from lab.qemu import Qemu
from lab.sockets import connect

from . import tool
from .pmsa import PmsaCase, Region
from .test_pmsa import M_CODE, SCALE, SEED, THUMB, MProfile, arguments

COUNT = 3 * SCALE
"""ldrb r1, [r0]; strb r1, [r0]; bx r0."""
CODE = {"r": "0178", "w": "0170", "x": "0047"}
STACK = Region(0x2000_2000, 12, 3, True, 0)
CODE_REGION = Region(M_CODE, 5, 6, False, 0)
HARD_FAULT, CFSR = 3, 0xE000_ED28
"""Where there is memory, and a register that any read and this write leave alone."""
MEMORY = ((0x0040_0000, 1 << 22), (0x2000_4000, 1 << 20))
CPUID = 0xE000_ED00


@pytest.fixture(scope="module")
def running() -> Iterator[tuple[Qemu, GdbStub]]:
    """One emulator."""
    with Qemu("qemu-system-arm", arguments("m")) as qemu:
        with GdbStub(connect(qemu.gdb_socket, qemu.process)) as gdb:
            yield qemu, gdb


def generated(number: int) -> tuple[PmsaCase, list[int]]:
    """Regions where there is memory, without small holes, and addresses in them."""
    rng = random.Random(f"m rights {SEED} {number}")
    regions = []
    for start, size in MEMORY:
        for _ in range(2):
            shift = rng.randrange(5, 20)
            base = start + (rng.randrange(size >> shift) << shift)
            made = Region(base, shift, rng.randrange(8), rng.random() < 0.4, rng.getrandbits(8))
            regions.append(made if shift >= 13 else replace(made, holes=0))
    asked = [CPUID, *(region.base + (rng.getrandbits(region.shift) & ~3) for region in regions)]
    asked += [region.base + (1 << region.shift) for region in regions]
    everything = (*regions, STACK, CODE_REGION)
    return PmsaCase(f"m-{number}", "m", everything, rng.random() < 0.5), asked


def outcome(qemu: Qemu, gdb: GdbStub, kind: str, address: int) -> int | None:
    """None if the access is made, else CFSR."""
    gdb.use_physical_memory(True)
    gdb.request(f"M{M_CODE:x},2:{CODE[kind]}")
    gdb.use_physical_memory(False)
    values = {"r0": address | int(kind == "x"), "r1": 0, "xpsr": THUMB, "sp": 0x2000_3000}
    for name, value in {**values, "pc": M_CODE}.items():
        gdb.write_register(name, value)
    for _ in range(1 + int(kind == "x")):
        gdb.step()
    if gdb.read_register("xpsr") & 0x1FF != HARD_FAULT:
        return None
    return int(qemu.hmp(f"x /1wx {CFSR:#x}").split(":")[1], 16)


@pytest.mark.parametrize("user", [False, True], ids=["privileged", "user"])
@pytest.mark.parametrize("number", range(COUNT))
def test_the_cpu_makes_the_accesses_that_are_allowed(
    running: tuple[Qemu, GdbStub], number: int, user: bool
) -> None:
    """Loads, stores and fetches with the present privilege."""
    qemu, gdb = running
    case, asked = generated(number)
    print(f"RR_MEM_ORACLE_SEED={SEED} {case}")
    for kind in CODE:
        for address in asked:
            qemu.qmp.execute_until("system_reset", "RESET")
            MProfile(gdb).switch_on(case, user)
            [row] = tool.ask_live(qemu.pid, [address], ["--access", kind])
            gpa, said = tool.answer(row)
            done = outcome(qemu, gdb, kind, address)
            what = f"{kind} {address:#x}: {row}"
            assert (gpa is None, said) == (done is not None, done), what
