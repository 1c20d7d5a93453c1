"""Fixtures of the oracle tests: one guest at a time, stopped at a moment."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Iterator, List

import pytest

from lab import program
from lab.emulators import Live, gcore
from lab.guests import KINDS, MOMENTS, Guest
from lab.running import Running
from lab.situation import Case


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


@pytest.fixture(scope="module")
def case(guest: Guest, binary: Path) -> Case:
    """What is known of the guest by other means."""
    return Case(guest, binary)


@pytest.fixture(scope="module")
def live(guest: Guest, binary: Path) -> Live:
    """The program on the guest's emulator."""
    return Live(binary, guest.qemu)


@pytest.fixture(scope="module")
def core(guest: Guest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A core of the guest's emulator."""
    path = gcore(guest.qemu.pid, tmp_path_factory.mktemp("core"))
    yield path
    path.unlink()


@pytest.fixture(scope="session")
def binary() -> Path:
    """The program under test."""
    return program.binary()


def pytest_configure(config: pytest.Config) -> None:
    """Declares `only`."""
    config.addinivalue_line("markers", "only(applies): leave out guests that this is no question for")


def pytest_collection_modifyitems(config: pytest.Config, items: List[pytest.Item]) -> None:
    """Leaves out what `only` says."""
    left_out = [item for item in items if not applies(item)]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


def applies(item: pytest.Item) -> bool:
    """Whether a test has an oracle for its guest."""
    marker = item.get_closest_marker("only")
    if marker is None:
        return True
    assert isinstance(item, pytest.Function)
    situation: Any = item.callspec.params["guest"]
    return bool(marker.kwargs["applies"](KINDS[situation[0]]))
