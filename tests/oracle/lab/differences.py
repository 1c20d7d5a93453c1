"""Short reports of how long listings differ (pytest's own diff takes minutes on them)."""

from __future__ import annotations

from itertools import zip_longest
from typing import List, Sequence

SHOWN = 10


def line_differences(found: Sequence[str], expected: Sequence[str]) -> List[str]:
    """The first lines that differ, one report each; empty when the listings are equal."""
    pairs = enumerate(zip_longest(found, expected, fillvalue="(no line)"))
    different = (f"line {index}: got {got!r}, expected {wanted!r}"
                 for index, (got, wanted) in pairs if got != wanted)
    return [report for report, _ in zip(different, range(SHOWN))]
