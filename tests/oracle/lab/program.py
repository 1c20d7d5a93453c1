"""Where the program under test is."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

REPO = Path(__file__).resolve().parents[3]


class NotBuilt(Exception):
    """There is no program to test."""


def binary() -> Path:
    """`RR_MEM_BIN`, else the release build, else the debug build."""
    named = os.environ.get("RR_MEM_BIN")
    builds = [REPO / "target" / profile / "rr-mem" for profile in ("release", "debug")]
    candidates = [Path(named)] if named else builds
    for candidate in candidates:
        if shutil.which(candidate):
            return candidate
    raise NotBuilt(f"no rr-mem at {candidates[0]}: run cargo build --release, or set RR_MEM_BIN")
