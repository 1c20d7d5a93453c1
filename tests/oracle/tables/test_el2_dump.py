"""A dump of a CPU at EL2 holds its level and no HCR_EL2: whether EL2 has one half or two is asked
for, and never taken for "not mapped".
"""

from __future__ import annotations

import random
import subprocess
from pathlib import Path

import pytest

from . import arm_long, tool
from .case import probes
from .machines import Machines, machines  # noqa: F401
from .setups import ENTER, save_image

SEED = 1
CASES = [case for case in arm_long.cases(SEED) if case.name.startswith(("aarch64_e2h", "aarch64_el2"))]


def flags(registers: dict[str, int]) -> list[str]:
    """What a user reads off a debugger, but for HCR and the level, which the dump has."""
    return [word for name, value in registers.items() if name not in ("el", "phys-bits")
            for word in (f"--{name}", f"{value:#x}")]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_hcr_is_asked_for_by_name(
    case: arm_long.Case,
    machines: Machines,  # noqa: F811
    binary: Path,
    tmp_path: Path,
) -> None:
    """With HCR, the answers are those of the monitor."""
    machine = machines.get(case.setup)
    machine.load(case.image)
    ENTER[case.setup](machine, case)
    dump = tmp_path / "dump"
    start = machine.setup.blocks[0][0]
    machine.qmp.execute("dump-guest-memory", paging=False, protocol=f"file:{dump}", begin=start, length=0x1000)
    asked = probes(case, random.Random(SEED), 60)
    command = [str(binary), "v2p", "--image", str(dump), *flags(case.registers), hex(asked[0])]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (2, "") and "HCR is not known" in done.stderr
    assert "--hcr" in done.stderr
    path, base = save_image(case, tmp_path)
    rows = tool.ask(case, path, base, asked, ["--priv", "current"])
    assert tool.gpas(rows) == machine.gva2gpa(asked)
