"""Generated regions of MPUs: the picture, QEMU's `gva2gpa` and `rr-mem` must agree.

Regions are written by the CPU itself, one instruction at a time. The monitor answers for
the CPU's present privilege, reads alone, and for the first byte of its pages of 1 KB.
"""

from __future__ import annotations

import os
import random
import subprocess
from collections.abc import Iterator, Sequence
from typing import Any, Union

import pytest

from lab.gdbstub import GdbStub
from lab.qemu import Qemu
from lab.sockets import connect

from . import tool
from .machine import parse_gpa
from .pmsa import PmsaCase, RangesCase, Region, cases, ranges

SEED = int(os.environ.get("RR_MEM_ORACLE_SEED", "1"))
SCALE = int(os.environ.get("RR_MEM_ORACLE_SCALE", "1"))
COUNT, PROBES = 6 * SCALE, 150
PAGE = 0x400
"""Where code is written, and what it is: str r1, [r0] of Thumb; MCRs of coprocessor 15."""
M_CODE, M_STORE, M_CONTROL = 0x2000_0000, "0160", "82f31488"
R_CODE = 0x4000
MCR = {"SCTLR": "101f01ee", "RGNR": "121f06ee", "DRBAR": "111f06ee", "DRSR": "511f06ee",
       "DRACR": "911f06ee", "PRSELR": "321f06ee", "PRBAR": "131f06ee", "PRLAR": "331f06ee"}  # fmt: skip
THUMB = 1 << 24


class MProfile:
    """A Cortex-M3 of 8 regions."""

    arguments = ("-M", "mps2-an385", "-audiodev", "none,id=a", "-S")
    regions = 8

    def __init__(self, gdb: GdbStub) -> None:
        self.gdb = gdb

    def run(self, code: str, r0: int, r1: int) -> None:
        """Executes one instruction."""
        self.gdb.request(f"M{M_CODE:x},{len(code) // 2:x}:{code}")
        for name, value in (("r0", r0), ("r1", r1), ("xpsr", THUMB), ("pc", M_CODE)):
            self.gdb.write_register(name, value)
        self.gdb.step()

    def switch_on(self, case: PmsaCase, user: bool) -> None:
        """Writes the regions, then the control register. Unprivileged code cannot do that:
        privilege is given up by an instruction that is fetched while the MPU is off."""
        for number, region in enumerate(case.regions):
            self.run(M_STORE, 0xE000_ED98, number)
            self.run(M_STORE, 0xE000_ED9C, region.base)
            self.run(M_STORE, 0xE000_EDA0, region.access() << 16 | region.size())
        control = 1 | int(case.background) << 2
        if user:
            # The last region lets the two instructions be fetched.
            self.gdb.request(f"M{M_CODE:x},6:{M_STORE}{M_CONTROL}")
            for name, value in (("r0", 0xE000_ED94), ("r1", control), ("r2", 1)):
                self.gdb.write_register(name, value)
            self.gdb.write_register("xpsr", THUMB)
            self.gdb.write_register("pc", M_CODE)
            self.gdb.step()
            self.gdb.step()
        else:
            self.run(M_STORE, 0xE000_ED94, control)


class RProfile:
    """A Cortex-R5 of 16 regions."""

    arguments = ("-M", "integratorcp", "-cpu", "cortex-r5", "-audiodev", "none,id=a", "-S")
    regions = 16

    def __init__(self, gdb: GdbStub) -> None:
        self.gdb = gdb

    def set(self, register: str, value: int) -> None:
        """Executes one MCR."""
        self.gdb.request(f"M{R_CODE:x},4:{MCR[register]}")
        for name, number in (("cpsr", 0x1D3), ("r1", value), ("pc", R_CODE)):
            self.gdb.write_register(name, number)
        self.gdb.step()

    def switch_on(self, case: PmsaCase, user: bool) -> None:
        """Writes the regions, then SCTLR, then the mode."""
        for number, region in enumerate(case.regions):
            self.set("RGNR", number)
            self.set("DRBAR", region.base)
            self.set("DRSR", region.size())
            self.set("DRACR", region.access())
        self.set("SCTLR", 1 | int(case.background) << 17)
        if user:
            self.gdb.write_register("cpsr", 0x1D0)


class V8Profile(RProfile):
    """A Cortex-R52 of 16 regions at EL1, at EL0."""

    arguments = ("-M", "mps3-an536", "-smp", "1", "-audiodev", "none,id=a", "-S")

    def switch_on(self, case: Any, user: bool) -> None:
        """Writes the regions, then SCTLR, then the mode."""
        for number, region in enumerate(case.regions):
            base, limit = region.registers()
            for name, value in (("PRSELR", number), ("PRBAR", base), ("PRLAR", limit)):
                self.set(name, value)
        self.set("SCTLR", 1 | int(case.background) << 17)
        if user:
            self.gdb.write_register("cpsr", 0x1D0)


PROFILES: dict[str, Any] = {"m": MProfile, "r": RProfile, "v8": V8Profile}


def generated(profile: str) -> Sequence[Union[PmsaCase, RangesCase]]:
    """The cases of a profile. One region is left for code."""
    most = PROFILES[profile].regions - 1
    return ranges(SEED, COUNT, most) if profile == "v8" else cases(profile, SEED, COUNT, most)




def arguments(profile: str) -> list[str]:
    """How the emulator is started; later releases name what the machine's sound goes to."""
    words = list(PROFILES[profile].arguments)
    asked = ["qemu-system-arm", "-M", f"{words[1]},help"]
    if "audiodev" in subprocess.run(asked, capture_output=True, text=True, check=False).stdout:
        words[1] += ",audiodev=a"
    return words


@pytest.fixture(scope="module", params=list(PROFILES))
def running(request: pytest.FixtureRequest) -> Iterator[tuple[str, Qemu, GdbStub]]:
    """One emulator of each profile that there is."""
    asked = ["qemu-system-arm", "-M", "help"]
    machines = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
    if PROFILES[request.param].arguments[1] not in machines:
        pytest.skip("this QEMU has no machine with that CPU")
    with Qemu("qemu-system-arm", arguments(request.param)) as qemu:
        with GdbStub(connect(qemu.gdb_socket, qemu.process)) as gdb:
            yield request.param, qemu, gdb


@pytest.mark.parametrize("number", range(COUNT))
@pytest.mark.parametrize("user", [False, True], ids=["privileged", "user"])
def test_picture_monitor_and_tool_agree(
    running: tuple[str, Qemu, GdbStub], number: int, user: bool
) -> None:
    """Every address has the picture's rights, and the monitor reads what can be read."""
    profile, qemu, gdb = running
    of = PROFILES[profile]
    case = generated(profile)[number]
    if isinstance(case, PmsaCase) and profile == "m" and user:
        case = with_code(case)
    print(f"RR_MEM_ORACLE_SEED={SEED} {case}")
    qemu.qmp.execute_until("system_reset", "RESET")
    of(gdb).switch_on(case, user)
    asked = case.probes(random.Random(SEED), PROBES)
    picture = case.picture()
    rows = tool.ask_live(qemu.pid, asked)
    now = tool.ask_live(qemu.pid, asked, ["--priv", "current"])
    for address, row, moment in zip(asked, rows, now):
        want = picture.at(address)
        assert (shown(row), bool(row["gpa"])) == (want, want is not None), f"{address:#x}: {row}"
        private = 0xE000_0000 <= address < 0xE010_0000 and profile == "m"
        may = want is not None and "r" in want[int(user)]
        assert (moment["gpa"] is not None) == may, f"{address:#x}: {moment}"
        first = picture.at(address // PAGE * PAGE)
        seen = parse_gpa(qemu.hmp(f"gva2gpa {address:#x}"))
        reads = private or first is not None and "r" in first[int(user)]
        assert seen == (address if reads else None), f"{address:#x}: the monitor says {seen}"


def with_code(case: PmsaCase) -> PmsaCase:
    """The same with a region for the code that gives privilege up."""
    code = Region(M_CODE, 5, 6, False, 0)
    return PmsaCase(case.name, case.profile, (*case.regions, code), case.background)


def shown(row: dict[str, object]) -> object:
    """The rights of a row as a picture has them."""
    rights = row.get("rights")
    if not isinstance(rights, dict):
        return None

    def letters(of: dict[str, bool]) -> str:
        return "".join(letter if of[letter] else "-" for letter in "rwx")

    return letters(rights["kernel"]), letters(rights["user"])
