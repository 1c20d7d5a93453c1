"""Says how many addresses were compared, of each mode."""

from __future__ import annotations

import os
from typing import Any

from . import tally


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """After the last test."""
    if tally.ASKED and os.environ.get("RR_MEM_ORACLE_TALLY"):
        terminalreporter.write_line("addresses compared with QEMU, by question and mode:")
        terminalreporter.write_line(tally.report())
