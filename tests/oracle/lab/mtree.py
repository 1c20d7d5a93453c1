"""Reads the text of `info mtree -f` as QEMU 7.2 prints it; independent of rr-mem."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Dict, List, Optional

RANGE = re.compile(
    r"  (?P<start>[0-9a-f]{16})-(?P<end>[0-9a-f]{16}) "
    r"\(prio (?P<priority>-?\d+), (?P<kind>[^)]+)\): (?P<name>.*?)"
    r"(?: @(?P<offset>[0-9a-f]{16}))?(?: KVM)?$"
)
SPACE = re.compile(r' AS "(?P<name>.*)", root: (?P<root>.*)$')


@dataclass(frozen=True)
class FlatLine:
    """One range as printed; the end is the last byte."""

    start: int
    end: int
    priority: int
    kind: str
    name: str
    offset: int


def parse_flat(text: str) -> Dict[str, List[FlatLine]]:
    """The ranges of each address space by its name (those that share a view share a list)."""
    spaces: Dict[str, List[FlatLine]] = {}
    lines: List[FlatLine] = []
    for line in text.splitlines():
        if line.startswith("FlatView #"):
            lines = []
        elif found := SPACE.match(line):
            spaces[found["name"]] = lines
        elif found := RANGE.match(line):
            lines.append(FlatLine(
                int(found["start"], 16), int(found["end"], 16), int(found["priority"]),
                found["kind"], found["name"], int(found["offset"] or "0", 16),
            ))
    return spaces


def find(lines: List[FlatLine], address: int) -> Optional[FlatLine]:
    """The range that holds an address."""
    return next((line for line in lines if line.start <= address <= line.end), None)
