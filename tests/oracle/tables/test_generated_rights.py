"""Rights and faults: what a CPU does with generated tables, and what `rr-mem` says.

`gva2gpa` answers presence, or the rights of the moment. Here the CPU itself is asked
for every kind of access: see tables/ask_at.py. Needs the cross assemblers.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from . import arm_long, arm_short, ask_access, ask_exec, ask_pf, tally, tool, x86_rights
from .ask_at import ASK, QUESTIONS, Outcome, lacks
from .case import SCALE, Case, probes
from .machine import Machine
from .machines import Machines, machines  # noqa: F401
from .setups import save_image

SEED = int(os.environ.get("RR_MEM_ORACLE_SEED", "2"))
DOMAIN_OR_PERMISSION = (0x9, 0xB, 0xD, 0xF)
Questions = tuple[tuple[str, str], ...]


def askable() -> list[Case]:
    """ARM cases that map the stub; AArch64 asks from EL2, which needs no mapping."""
    cases = [*arm_long.cases(SEED), *arm_short.cases(SEED)]
    kernel = [case for case in cases if case.mode == "kernel" and not case.options]
    kernel += arm_long.rights(SEED)
    return [case for case in kernel if case.setup == "aarch64" or case.window >= 0]


CASES = askable()


def tracks_dirty(case: Case) -> bool:
    """Whether nDirty takes the right to write. QEMU's AT does not look at it; stores do."""
    return "tcr2" in case.registers and not case.registers["tcr"] & arm_long.TCR_HD


TRANSLATED = [case for case in CASES if not tracks_dirty(case)]


@pytest.mark.parametrize("case", TRANSLATED, ids=lambda case: case.name)
def test_address_translation_instructions_agree(
    case: Case,
    machines: Machines,  # noqa: F811
    tmp_path: Path,
) -> None:
    """AT and ATS1C*: the address, or the fault status with its level."""
    setup, ask = ASK[case.setup]
    machine = machines.get(setup)
    skip_what_it_lacks(machine, case)
    machine.load(case.image)
    asked = probes(case, random.Random(SEED), 900)
    outcomes = ask(machine, case, asked)
    check_variety(case, outcomes)
    outcomes = in_the_manuals_order(case, asked, outcomes)
    if case.quirk_runs:
        asked, outcomes = without_quirk(case, asked, outcomes)
    if case.known:
        check_generator(case, asked, outcomes)
    check_tool(case, asked, outcomes, QUESTIONS, tmp_path)


X86 = [*x86_rights.cases(SEED, SCALE)]


@pytest.mark.parametrize(("case", "tables"), [pytest.param(*pair, id=pair[0].name) for pair in X86])
def test_page_faults_agree(
    case: Case,
    tables: x86_rights.RightsTables,
    machines: Machines,  # noqa: F811
    tmp_path: Path,
) -> None:
    """Read, write and fetch at CPL 0 and 3: the address, or the #PF error code."""
    machine = machines.get(case.setup)
    machine.load(case.image)
    asked = x86_rights.questions(case, random.Random(SEED), ask_pf.LIMIT)
    outcomes = ask_pf.ask(machine, case, asked)
    assert len({outcome.status for row in outcomes for outcome in row}) >= 8
    for number, (access, privilege) in enumerate(ask_pf.QUESTIONS):
        manual = [tables.fault(gva, access, privilege == "user") for gva in asked]
        ran = [row[number].status for row in outcomes]
        differ = [(hex(gva), a, b) for gva, a, b in zip(asked, manual, ran) if a != b]
        assert not differ, (access, privilege, len(differ), differ[:8])
        # Keys forbid much of what tables allow.
        keys = {"pkru", "pkrs"} & case.registers.keys()
        assert sum(status is None for status in manual) >= (10 if keys else 25)
    check_tool(case, asked, outcomes, ask_pf.QUESTIONS, tmp_path)
    check_live(case, machine, asked, outcomes)


def check_live(
    case: Case, machine: Machine, asked: list[int], outcomes: list[list[Outcome]]
) -> None:
    """The emulator read from outside, whose CPU still has the registers of the stub."""
    for number, (access, privilege) in enumerate(ask_pf.QUESTIONS):
        flags = ["--access", access, "--priv", privilege]
        rows = tool.ask_live(machine.process.pid, asked, flags)
        want = [row[number] for row in outcomes]
        wrong = [
            f"{gva:#x}: want {outcome}, got {tool.verdict(row)}"
            for gva, outcome, row in zip(asked, want, rows)
            if not outcome.agrees(*tool.answer(row))
        ]
        assert not wrong, (case.name, access, privilege, len(wrong), wrong[:8])


def runnable() -> list[Case]:
    """Cases that map the stub, and whose fetches end in an exception at once."""
    kept = [case for case in CASES if case.window >= 0 and case.known and not case.options]
    return [case for case in kept if not case.any_size and not case.quirk_runs]


@pytest.mark.parametrize("case", runnable(), ids=lambda case: case.name)
def test_instruction_aborts_agree(
    case: Case,
    machines: Machines,  # noqa: F811
    tmp_path: Path,
) -> None:
    """Jumps at EL1 and EL0 (PL1 and PL0): the address, or the fault status."""
    setup, ask = ask_exec.ASK[case.setup]
    machine = machines.get(setup)
    skip_what_it_lacks(machine, case)
    machine.load(case.image)
    asked = ask_exec.targets(case, probes(case, random.Random(SEED), 800))
    outcomes = in_the_manuals_order(case, asked, ask(machine, case, asked))
    for number, user in enumerate((False, True)):
        manual = [case.executable(gva, user) for gva in asked]
        fetched = [row[number].status is None for row in outcomes]
        differ = [hex(gva) for gva, a, b in zip(asked, manual, fetched) if a != b]
        assert not differ, (user, len(differ), differ[:8])
        assert sum(manual) >= 5
    check_tool(case, asked, outcomes, ask_exec.QUESTIONS, tmp_path)


def accessible() -> list[Case]:
    """Cases of AArch64 that map the stub."""
    return [case for case in arm_long.rights(SEED) if case.window >= 0]


@pytest.mark.parametrize("case", accessible(), ids=lambda case: case.name)
def test_data_aborts_agree(
    case: Case,
    machines: Machines,  # noqa: F811
    tmp_path: Path,
) -> None:
    """Loads and stores at EL1, and unprivileged ones: the address, or the fault status."""
    machine = machines.get("aarch64_el2")
    skip_what_it_lacks(machine, case)
    machine.load(case.image)
    picked = probes(case, random.Random(SEED), 800)
    asked = [gva for gva in picked if not case.window <= gva < case.window + (4 << 20)]
    outcomes = ask_access.ask(machine, case, asked)
    check_variety(case, outcomes)
    check_generator(case, asked, outcomes)
    check_tool(case, asked, outcomes, QUESTIONS, tmp_path)


def skip_what_it_lacks(machine: Machine, case: Case) -> None:
    """The newest features need the newest QEMU."""
    name = lacks(machine, case)
    if name:
        pytest.skip(f"this QEMU's CPU lacks it: {name}")


def check_variety(case: Case, outcomes: list[list[Outcome]]) -> None:
    """A case in which every answer is alike proves nothing."""
    seen = Counter(outcome.status for row in outcomes for outcome in row)
    assert seen[None] >= case.least_mapped
    if case.least_unmapped:
        assert len(seen) >= 3, seen


def in_the_manuals_order(
    case: Case, asked: list[int], outcomes: list[list[Outcome]]
) -> list[list[Outcome]]:
    """Replace the status where several faults compete and QEMU prefers another one."""
    changed = []
    for gva, row in zip(asked, outcomes):
        status = case.manual(gva)
        if status is None:
            changed.append(row)
            continue
        assert {outcome.status for outcome in row} <= {status, *DOMAIN_OR_PERMISSION}, hex(gva)
        changed.append([Outcome(None, status) for _ in row])
    return changed


def without_quirk(
    case: Case, asked: list[int], outcomes: list[list[Outcome]]
) -> tuple[list[int], list[list[Outcome]]]:
    """Leave out where this QEMU is known to be wrong; there must be such addresses."""
    pairs = list(zip(asked, outcomes))
    kept = [(gva, row) for gva, row in pairs if (row[0].gpa is None) != case.readable(gva, False)]
    assert 0 < len(kept) < len(pairs), f"no longer true: {case.quirk}"
    return [gva for gva, _ in kept], [row for _, row in kept]


def check_generator(case: Case, asked: list[int], outcomes: list[list[Outcome]]) -> None:
    """The generator knows what can be read, and where it is."""
    for gva, row in zip(asked, outcomes):
        for outcome, user in ((row[0], False), (row[2], True)):
            meant = case.present(gva) if case.readable(gva, user) else None
            assert outcome.agrees(meant, outcome.status), (hex(gva), user, str(outcome))
        mapping = case.mapping(gva)
        if mapping and mapping.write and mapping.accessed:
            written = row[1].status is None, row[3].status is None
            assert written == mapping.write, (hex(gva), str(row[1]), str(row[3]))


def check_tool(
    case: Case,
    asked: list[int],
    outcomes: list[list[Outcome]],
    questions: Questions,
    folder: Path,
) -> None:
    """Compare every question's answers."""
    path, base = save_image(case, folder)
    for number, (access, privilege) in enumerate(questions):
        want = [row[number] for row in outcomes]
        rows = tool.ask(case, path, base, asked, ["--access", access, "--priv", privilege])
        wrong = [
            f"{gva:#x}: want {outcome}, got {tool.verdict(row)}"
            for gva, outcome, row in zip(asked, want, rows)
            if not outcome.agrees(*tool.answer(row))
        ]
        label = f"{access} {privilege}: {len(wrong)} of {len(asked)}\n"
        assert not wrong, label + "\n".join(wrong[:12])
    tally.count("accesses", case, len(asked) * len(questions))
    check_summary(case, asked, outcomes, questions, tool.ask(case, path, base, asked))


def check_summary(
    case: Case,
    asked: list[int],
    outcomes: list[list[Outcome]],
    questions: Questions,
    rows: list[dict[str, Any]],
) -> None:
    """The `rights` of a plain answer are what the CPU allows, wherever rights decide.

    SMAP is no part of them: EFLAGS.AC suspends it ("Access Rights"). Nor are PAN and keys.
    """
    refused = x86_refused if case.arch == "x86_64" else arm_refused
    smap = case.registers.get("cr4", 0) & x86_rights.CR4_SMAP
    passing = smap or case.options.get("pan") == "on"
    told_by = [
        number
        for number, (access, privilege) in enumerate(questions)
        if not passing or privilege == "user" or access == "x"
    ]
    wrong, seen = [], 0
    for gva, row, answer in zip(asked, outcomes, rows):
        if answer["gpa"] is None or not all(refused(one.status) for one in row if one.status):
            continue
        seen += 1
        of_tables = [n for n in told_by if not (row[n].status or 0) & x86_rights.PK]
        pairs = [(answer["rights"], *questions[n], row[n].status is None) for n in of_tables]
        if any(told[mode][access] != allowed for told, access, mode, allowed in pairs):
            wrong.append(f"{gva:#x}: {[str(one) for one in row]}, rights {answer['rights']}")
    assert seen >= case.least_mapped // 2
    assert not wrong, f"{len(wrong)} of {seen}\n" + "\n".join(wrong[:8])


def x86_refused(status: int) -> bool:
    """A present page, no reserved bit."""
    return bool(status & 1) and not status & 8


def arm_refused(status: int) -> bool:
    """A permission fault of either format (short descriptors have two: 0xd, 0xf)."""
    return 0xC <= status <= 0xF
