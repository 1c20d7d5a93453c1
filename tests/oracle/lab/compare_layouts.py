"""Compares two files of struct offsets: `layouts.py ONE.json OTHER.json`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Dict, Tuple

Members = Dict[Tuple[str, str], Tuple[int, int]]


def members(path: str) -> Members:
    """Offset and size of every member, by struct and name."""
    structs = json.loads(Path(path).read_text())["structs"]
    return {
        (struct, name): (offset, size)
        for struct, description in structs.items()
        for name, (offset, size) in description["fields"].items()
    }


def main(one: str, other: str) -> int:
    """Prints what differs; 1 when something does, or nothing could be compared."""
    left, right = members(one), members(other)
    both = sorted(left.keys() & right.keys())
    different = [key for key in both if left[key] != right[key]]
    for struct, name in different:
        print(f"{struct}.{name}: {left[struct, name]} and {right[struct, name]}")
    print(f"{len(both)} members compared, {len(different)} differ")
    return int(bool(different) or not both)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
