"""Every access to generated regions, as a Cortex-R5 makes it.

The CPU executes a load, a store or a jump, one instruction at a time, with and without
privilege. Where it aborts, DFSR or IFSR must have the status that `rr-mem` says.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from typing import Optional

import pytest

from lab.gdbstub import GdbStub
from lab.qemu import Qemu
from lab.sockets import connect

from . import tool
from .pmsa import PmsaCase, Region, cases
from .test_pmsa import R_CODE, SCALE, SEED, RProfile, arguments

COUNT, PROBES = 2 * SCALE, 60
PAGE_OF_EIGHTHS = 13
CODE = {"r": "0010d0e5", "w": "0010c0e5", "x": "10ff2fe1", "DFSR": "101f15ee", "IFSR": "301f15ee"}
"""The vectors of aborts; SVC and USR mode, with all masks."""
PREFETCH, DATA = 0xC, 0x10
MODES = {"kernel": 0x1D3, "user": 0x1D0}
"""Where the board has devices, to which an access could do something."""
DEVICES = (range(0x1000_0000, 0x2000_0000), range(0xC000_0000, 0xE000_0000))


@pytest.fixture(scope="module")
def running() -> Iterator[tuple[Qemu, GdbStub]]:
    """One emulator."""
    with Qemu("qemu-system-arm", arguments("r")) as qemu:
        with GdbStub(connect(qemu.gdb_socket, qemu.process)) as gdb:
            yield qemu, gdb


def execute(gdb: GdbStub, code: str, mode: int, r0: int) -> None:
    """One instruction of the code's region; the region lets everybody fetch it. It is
    written where it lies in physical memory."""
    gdb.use_physical_memory(True)
    gdb.request(f"M{R_CODE:x},4:{code}")
    gdb.use_physical_memory(False)
    for name, value in (("cpsr", mode), ("r0", r0), ("r1", 0), ("pc", R_CODE)):
        gdb.write_register(name, value)
    gdb.step()


def outcome(gdb: GdbStub, kind: str, mode: int, address: int) -> Optional[int]:
    """None if the access is made, else the fault status."""
    execute(gdb, CODE[kind], mode, address)
    if kind == "x":
        assert gdb.read_register("pc") == address
        gdb.step()
    vector = PREFETCH if kind == "x" else DATA
    if gdb.read_register("pc") != vector or gdb.read_register("cpsr") & 0x1F != 0x17:
        return None
    execute(gdb, CODE["IFSR" if kind == "x" else "DFSR"], MODES["kernel"], 0)
    status = gdb.read_register("r1")
    return status & 0xF | status >> 6 & 0x10


def usable(address: int) -> bool:
    """Whether an access there does nothing else: no device, no vectors, not the code."""
    low = address % 0x1000_0000 < 0x8000
    return not low and not any(address in devices for devices in DEVICES)


def whole(region: Region) -> Region:
    """The same without holes smaller than a page of QEMU's TLB. QEMU (7.2, 10.0) keeps the
    rights of such a hole for its whole page of 1 KB, so that the answer for the bytes
    beside it depends on what was accessed before."""
    return replace(region, holes=0) if region.shift < PAGE_OF_EIGHTHS else region


@pytest.mark.parametrize("number", range(COUNT))
def test_the_cpu_makes_the_accesses_that_are_allowed(
    running: tuple[Qemu, GdbStub], number: int
) -> None:
    """Loads, stores and fetches, privileged and not."""
    qemu, gdb = running
    case = cases("r", SEED, COUNT, RProfile.regions - 1)[number]
    regions = tuple(whole(region) for region in case.regions)
    case = PmsaCase(case.name, "r", (*regions, Region(R_CODE, 5, 6, False, 0)), case.background)
    print(f"RR_MEM_ORACLE_SEED={SEED} {case}")
    qemu.qmp.execute_until("system_reset", "RESET")
    RProfile(gdb).switch_on(case, user=False)
    rng = random.Random(SEED)
    asked = sorted({address & ~3 for address in case.probes(rng, PROBES)} - set(range(0x20)))
    asked = [address for address in asked if usable(address)]
    statuses = set()
    for priv, mode in MODES.items():
        for kind in "rwx":
            gdb.write_register("cpsr", MODES["kernel"])
            rows = tool.ask_live(qemu.pid, asked, ["--access", kind, "--priv", priv])
            for address, row in zip(asked, rows):
                gpa, said = tool.answer(row)
                done = outcome(gdb, kind, mode, address)
                statuses.add(done)
                what = f"{kind} {priv} {address:#x}: {row}"
                assert (gpa is None, said) == (done is not None, done), what
    print(f"{6 * len(asked)} accesses: {sorted(map(str, statuses))}")
