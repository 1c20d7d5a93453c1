"""Generated tables of ARM before v7: the generator, QEMU and `rr-mem` must agree.

Presence and the rights of the moment by `gva2gpa`, every access by a stub that executes it.
See tables/README.md.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from pathlib import Path

import pytest

from . import arm_legacy, ask_legacy, tally, tool
from .arm_legacy import LegacyCase
from .case import probes
from .machines import Machines, machines  # noqa: F401
from .setups import ENTER, save_image
from .test_generated import assert_equal, check_live, check_page_sizes, mismatches

SEED = int(os.environ.get("RR_MEM_ORACLE_SEED", "1"))
PRESENT = [*arm_legacy.cases(SEED, anywhere=True, count=300)]
RIGHTS = [*arm_legacy.cases(SEED, anywhere=False, count=300)]


@pytest.mark.parametrize("case", PRESENT, ids=lambda case: case.name)
def test_generator_monitor_and_tool_agree(
    case: LegacyCase,
    machines: Machines,  # noqa: F811
    tmp_path: Path,
) -> None:
    """Every address gets one answer, as the kernel and as the user."""
    machine = machines.get(case.setup)
    machine.load(case.image)
    path, base = save_image(case, tmp_path)
    asked = probes(case, random.Random(SEED), 1000 if case.quirk else 250)
    for mode in ("user", "kernel"):
        case.mode = mode
        case.registers["el"] = 0 if mode == "user" else 1
        ENTER[case.setup](machine, case)
        judge = machine.gva2gpa(asked)
        meant = [case.expected(gva) for gva in asked] if case.known else judge
        if case.quirk:
            assert mismatches(asked, meant, judge), f"no longer true: {case.quirk}"
            judge = meant
        assert_equal(asked, judge, meant)
        rows = tool.ask(case, path, base, asked, ["--priv", "current"])
        assert_equal(asked, judge, tool.gpas(rows))
        if not case.quirk:
            check_live(case, machine, asked, judge)
    tally.count("presence", case, len(asked))
    if not case.known:
        return
    rows = tool.ask(case, path, base, asked)
    present = [case.present(gva) for gva in asked]
    assert_equal(asked, present, tool.gpas(rows))
    check_page_sizes(case, asked, rows)
    assert min(Counter(gpa is None for gpa in present).values()) >= 50


def judged(case: LegacyCase, gva: int, ran: int | None, meant: int | None) -> bool:
    """Whether the CPU did what the manual says, or what QEMU is known to do instead."""
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
    machine = machines.get(case.setup)
    machine.load(case.image)
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
            if not judged(case, gva, row[number], want)
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
