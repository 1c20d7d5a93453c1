"""Generated page tables: the generator, QEMU's `gva2gpa` and `rr-mem` must agree.

Needs `qemu-system-*`; without the `rr-mem` binary only the generator and QEMU
are compared. See tables/README.md.
"""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import Optional

import pytest

from . import arm_long, arm_short, tally, tool, x86
from .case import Case, probes
from .image import PAGE
from .machine import Machine
from .machines import Machines, machines  # noqa: F401
from .setups import ENTER, save_image

SEED = int(os.environ.get("RR_MEM_ORACLE_SEED", "1"))
CASES = [*x86.cases(SEED), *arm_long.cases(SEED), *arm_short.cases(SEED)]
Answers = list[Optional[int]]


def show(gpa: Optional[int]) -> str:
    """An answer for people."""
    return "unmapped" if gpa is None else f"{gpa:#x}"


def mismatches(asked: list[int], want: Answers, got: Answers) -> list[str]:
    """Readable lines, one for every difference."""
    rows = zip(asked, want, got)
    return [f"{gva:#x}: want {show(a)}, got {show(b)}" for gva, a, b in rows if a != b]


def assert_equal(asked: list[int], want: Answers, got: Answers) -> None:
    """Fail with the number of differences and the first few."""
    wrong = mismatches(asked, want, got)
    assert not wrong, f"{len(wrong)} of {len(asked)}:\n" + "\n".join(wrong[:12])


def assert_enough(case: Case, answers: Answers) -> None:
    """A case that asks nothing cannot fail, so it must not pass."""
    mapped = sum(answer is not None for answer in answers)
    assert mapped >= case.least_mapped
    assert len(answers) - mapped >= case.least_unmapped


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_generator_monitor_and_tool_agree(
    case: Case,
    machines: Machines,  # noqa: F811
    tmp_path: Path,
) -> None:
    """Every address gets one answer, whoever is asked."""
    machine = machines.get(case.setup)
    machine.load(case.image)
    ENTER[case.setup](machine, case)
    asked = probes(case, random.Random(SEED))
    judge = machine.gva2gpa(asked)
    if case.known:
        meant = [case.expected(gva) for gva in asked]
        if case.quirk:
            assert mismatches(asked, meant, judge), f"no longer true: {case.quirk}"
            judge = meant
        assert_equal(asked, judge, meant)
    assert_enough(case, judge)
    check_tool(case, asked, judge, tmp_path)
    tally.count("presence", case, len(asked))
    if not case.quirk:
        check_live(case, machine, asked, judge)


def check_live(case: Case, machine: Machine, asked: list[int], judge: Answers) -> None:
    """The emulator read from outside, with the registers and the address space in force."""
    as_qemu = [] if case.setup in ("x86_64", "i386") else ["--priv", "current"]
    assert_equal(asked, judge, tool.gpas(tool.ask_live(machine.process.pid, asked, as_qemu)))


def check_tool(case: Case, asked: list[int], judge: Answers, folder: Path) -> None:
    """Compare `rr-mem` with the judge."""
    path, base = save_image(case, folder)
    x86_family = case.setup in ("x86_64", "i386")
    if not x86_family:
        rows = tool.ask(case, path, base, asked, ["--priv", "current"])
        assert_equal(asked, judge, tool.gpas(rows))
    rows = tool.ask(case, path, base, asked)
    if x86_family or case.known:
        present = judge if x86_family else [case.present(gva) for gva in asked]
        assert_equal(asked, present, tool.gpas(rows))
    check_page_sizes(case, asked, rows)


def check_page_sizes(case: Case, asked: list[int], rows: list[dict[str, object]]) -> None:
    """The page size is that of the entry that the generator wrote."""
    if not case.known:
        return
    for gva, row in zip(asked, rows):
        mapping = case.mapping(gva)
        if mapping and not case.any_size:
            assert tool.number(row["page_size"]) == mapping.size, hex(gva)


def case_named(name: str) -> Case:
    """One of the cases."""
    return next(case for case in CASES if case.name == name)


@pytest.mark.parametrize("name", ["five_level", "aarch64_lpa2_16k_52_50", "short_n3"])
def test_order_and_company_do_not_matter(name: str, tmp_path: Path) -> None:
    """Batch, reversed batch with repeats, and single questions agree."""
    case = case_named(name)
    path, base = save_image(case, tmp_path)
    asked = probes(case, random.Random(SEED), 200)
    rows = tool.ask(case, path, base, asked)
    twice = asked[::-1] + asked
    assert tool.ask(case, path, base, twice) == rows[::-1] + rows
    for gva, row in [*zip(asked, rows)][::20]:
        assert tool.ask(case, path, base, [gva]) == [row]


@pytest.mark.parametrize(
    "name", ["four_level", "pae", "aarch64_4k_48_16", "short_n3", "lpae_1_1_0"]
)
def test_a_table_outside_the_image_is_unreadable(name: str, tmp_path: Path) -> None:
    """A cut image is "cannot be read" (exit 3), never "not mapped"."""
    case = case_named(name)
    path, base = save_image(case, tmp_path)
    with open(path, "r+b") as file:
        file.truncate(PAGE)
    inside = [mapping.gva for mapping in case.mappings[:50]]
    rows = tool.ask(case, path, base, inside)
    assert len(rows) == 50
    assert all(row["gpa"] is None and row["error"] for row in rows)
