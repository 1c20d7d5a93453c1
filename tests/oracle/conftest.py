"""Fixtures of the oracle tests: one guest at a time, stopped at a moment."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Iterator, List, Optional

import pytest

from guests import KINDS, MOMENTS, Guest

REPO = Path(__file__).resolve().parents[2]


class Running:
    """Holds the one guest that runs, so that its moments share a boot."""

    def __init__(self) -> None:
        self._guest: Optional[Guest] = None

    def at(self, name: str, moment: str) -> Guest:
        """The named guest, booted if it is not the one that runs, at a moment."""
        if self._guest is None or self._guest.kind.name != name:
            self.close()
            self._guest = Guest(KINDS[name])
        self._guest.stop_at(moment)
        return self._guest

    def close(self) -> None:
        """Ends the guest that runs."""
        if self._guest is not None:
            self._guest.close()
            self._guest = None


@pytest.fixture(scope="session")
def running() -> Iterator[Running]:
    """The guest that runs, ended with the session."""
    holder = Running()
    yield holder
    holder.close()


SITUATIONS: List["tuple[str, str]"] = [(name, moment) for name in KINDS for moment in MOMENTS]


@pytest.fixture(scope="module", params=SITUATIONS, ids="-".join)
def guest(request: pytest.FixtureRequest, running: Running) -> Guest:
    """Each guest at each moment."""
    return running.at(*request.param)


@pytest.fixture(scope="session")
def binary() -> Path:
    """The program under test: `RR_MEM_BIN`, or the newest build profile found."""
    candidates = [Path(os.environ["RR_MEM_BIN"])] if "RR_MEM_BIN" in os.environ else [
        REPO / "target" / profile / "rr-mem" for profile in ("release", "debug")
    ]
    for candidate in candidates:
        if shutil.which(candidate):
            return candidate
    pytest.fail(f"no rr-mem at {candidates[0]}: run cargo build --release, or set RR_MEM_BIN")
