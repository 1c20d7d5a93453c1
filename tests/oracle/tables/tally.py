"""How many addresses were asked of each mode, for the long form (`tests/torture`)."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from pathlib import Path

from .case import Case

ASKED: "Counter[str]" = Counter()
# The first words of a case's name that name its mode.
MODES = re.compile(r"(?:rights_)?(aarch64(?:_lpa2|_el2|_el3|_e2h|_far|_noise)?(?:_(?:4|16|64)k)?|[a-z0-9]+?)(?=_|$)")


def mode(case: Case) -> str:
    """The paging mode, by the name of the case."""
    found = MODES.match(case.name.removeprefix("noise_"))
    return found.group(1) if found else case.name


def count(question: str, case: Case, addresses: int) -> None:
    """Notes that so many addresses were compared."""
    ASKED[f"{question} {mode(case)}"] += addresses


def report() -> str:
    """The sums, with those of earlier runs in the file that RR_MEM_ORACLE_TALLY names."""
    name = os.environ.get("RR_MEM_ORACLE_TALLY")
    before: "Counter[str]" = Counter()
    if name and Path(name).exists():
        before.update(json.loads(Path(name).read_text()))
    total = before + ASKED
    if name:
        Path(name).write_text(json.dumps(total, indent=1, sort_keys=True))
    return "\n".join(f"{total[key]:9} {key}" for key in sorted(total))
