"""The pytest fixture that keeps one QEMU alive at a time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Optional

import pytest

from .machine import Machine
from .setups import SETUPS


class Machines:
    """Keeps one QEMU alive: the one that the last case needed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.name = ""
        self.machine: Optional[Machine] = None

    def get(self, name: str) -> Machine:
        """A QEMU with this set-up."""
        if self.name != name or self.machine is None:
            self.close()
            self.machine, self.name = Machine(SETUPS[name], str(self.folder)), name
        return self.machine

    def close(self) -> None:
        """End the QEMU that runs, if any."""
        if self.machine is not None:
            self.machine.close()
            self.machine = None


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machines]:
    """The running QEMU."""
    kept = Machines(tmp_path_factory.mktemp("qemu"))
    yield kept
    kept.close()
