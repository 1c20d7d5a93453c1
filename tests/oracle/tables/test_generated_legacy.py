"""Generated tables of ARM before v7: the generator, QEMU and `rr-mem` must agree.

Presence and the rights of the moment by `gva2gpa`, every access by a stub that executes it.
See tables/README.md.
"""

from __future__ import annotations

import os
import random
import subprocess
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

from . import arm_legacy, ask_legacy, tally, tool
from .arm_legacy import LegacyCase
from .case import probes
from .machines import Machines, machines  # noqa: F401
from .machine import Machine
from .setups import ENTER, SETUPS, save_image
from .test_generated import assert_equal, check_live, check_page_sizes, mismatches

SEED = int(os.environ.get("RR_MEM_ORACLE_SEED", "1"))
PRESENT = [*arm_legacy.cases(SEED, anywhere=True, count=300)]
RIGHTS = [*arm_legacy.cases(SEED, anywhere=False, count=300)]


@cache
def models(program: str) -> str:
    """The CPUs that an emulator has: later ones have no XScale."""
    command = [program, "-M", "none", "-cpu", "help"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def machine_of(case: LegacyCase, machines: Machines) -> Machine:  # noqa: F811
    """The running emulator, with the tables of the case."""
    setup = SETUPS[case.setup]
    if setup.cpu not in models(setup.binary).split():
        pytest.skip(f"this emulator has no {setup.cpu}")
    machine = machines.get(case.setup)
    machine.load(case.image)
    return machine


def release(machine: Machine) -> int:
    """The first number of QEMU's version."""
    return int(machine.qmp.execute("query-version")["qemu"]["major"])


def mode_ignored(machine: Machine) -> bool:
    """Since 11.0 the debug walk of short descriptors looks at domains, not at AP."""
    return release(machine) >= 11


def judge_without_rights(case: LegacyCase, asked: list[int]) -> list[int | None]:
    """What such a debug walk answers."""
    kept = (None, 0xD, 0xF)
    return [case.present(gva) if case.fault(gva, "r", False) in kept else None for gva in asked]


@pytest.mark.parametrize("case", PRESENT, ids=lambda case: case.name)
def test_generator_monitor_and_tool_agree(
    case: LegacyCase,
    machines: Machines,  # noqa: F811
    tmp_path: Path,
) -> None:
    """Every address gets one answer, as the kernel and as the user."""
    machine = machine_of(case, machines)
    if mode_ignored(machine) and (case.quirk or not case.known):
        pytest.skip("this emulator's debug walk ignores rights")
    path, base = save_image(case, tmp_path)
    asked = probes(case, random.Random(SEED), 1000 if case.quirk else 250)
    for mode in ("user", "kernel"):
        case.mode = mode
        case.registers["el"] = 0 if mode == "user" else 1
        ENTER[case.setup](machine, case)
        judge = machine.gva2gpa(asked)
        meant = [case.expected(gva) for gva in asked] if case.known else judge
        if case.known and mode_ignored(machine):
            assert_equal(asked, judge_without_rights(case, asked), judge)
            judge = meant
        elif case.quirk:
            assert mismatches(asked, meant, judge), f"no longer true: {case.quirk}"
            judge = meant
        assert_equal(asked, judge, meant)
        rows = tool.ask(case, path, base, asked, ["--priv", "current"])
        assert_equal(asked, judge, tool.gpas(rows))
        if not case.quirk and not mode_ignored(machine):
            check_live(case, machine, asked, judge)
    tally.count("presence", case, len(asked))
    if not case.known:
        return
    rows = tool.ask(case, path, base, asked)
    present = [case.present(gva) for gva in asked]
    assert_equal(asked, present, tool.gpas(rows))
    check_page_sizes(case, asked, rows)
    assert min(Counter(gpa is None for gpa in present).values()) >= 50


def judged(
    case: LegacyCase, version: int, gva: int, access: str, ran: int | None, meant: int | None
) -> bool:
    """Whether the CPU did what the manual says, or what QEMU is known to do instead:
    10.0 and later execute whatever an ARMv6 is told to execute.
    """
    executes_all = version >= 10 and access == "x" and case.tables.xp
    if executes_all and ran is None and meant in (0xD, 0xF):
        return True
    return ran == meant or (meant, ran) == (0x7, 0xB) and case.qemu_prefers(gva)


@pytest.mark.parametrize(
    "case", [case for case in RIGHTS if case.known and not case.quirk], ids=lambda case: case.name
)
def test_every_access_agrees(
    case: LegacyCase,
    machines: Machines,  # noqa: F811
    tmp_path: Path,
) -> None:
    """Reads, writes and jumps of the kernel and the user: the address, or the fault status."""
    machine = machine_of(case, machines)
    version = release(machine)
    path, base = save_image(case, tmp_path)
    asked = ask_legacy.targets(probes(case, random.Random(SEED), 400))
    ran = ask_legacy.ask(machine, case, asked)
    tally.count("accesses", case, len(asked) * len(ask_legacy.QUESTIONS))
    plain = tool.ask(case, path, base, asked)
    seen: Counter[int | None] = Counter()
    for number, (access, privilege) in enumerate(ask_legacy.QUESTIONS):
        user = privilege == "user"
        meant = [case.fault(gva, access, user) for gva in asked]
        seen.update(meant)
        wrong = [
            f"{gva:#x}: want {want}, ran {row[number]}"
            for gva, want, row in zip(asked, meant, ran)
            if not judged(case, version, gva, access, row[number], want)
        ]
        assert not wrong, (access, privilege, len(wrong), wrong[:8])
        rows = tool.ask(case, path, base, asked, ["--access", access, "--priv", privilege])
        want = [(None if fault else case.present(gva), fault) for gva, fault in zip(asked, meant)]
        told = [tool.answer(row) for row in rows]
        differ = [row for row in zip(map(hex, asked), want, told) if row[1] != row[2]]
        assert not differ, (access, privilege, len(differ), differ[:8])
        for gva, fault, row in zip(asked, meant, plain):
            if row["gpa"] is not None:
                assert row["rights"][privilege][access] == (fault is None), (hex(gva), access)
    assert seen[None] >= 200
    assert {0x5, 0x7, 0xF} <= seen.keys() and len(seen) >= 5, seen
