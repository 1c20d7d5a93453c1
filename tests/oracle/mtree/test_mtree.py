"""rr-mem's printing of region trees and flat views against `info mtree`, on many machines.

The emulators run no guest (`-S`): only their memory map matters. `regionmap.py` reads the
map from outside into the note of an otherwise empty core, the program prints it, and the
text must be the monitor's, block by block (QEMU's order of blocks is a hash's).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Iterator, Tuple

import pytest

from lab.cli import run_program
from lab.elfcore import EM_X86_64, ElfCore, Note, Segment
from lab.listings import FLAT_HEADS, MACHINES, TREE_HEADS, blocks
from lab.qemu import Qemu
from lab.regionmap import Json, read_region_map, without_hosts

Situation = Tuple[Qemu, Json]


@pytest.fixture(scope="module", params=sorted(MACHINES))
def situation(request: pytest.FixtureRequest) -> Iterator[Situation]:
    """An emulator that runs nothing, and its map (read when all regions have names)."""
    binary, arguments = MACHINES[request.param]
    with Qemu(binary, ["-S", *arguments.split()]) as qemu:
        qemu.hmp("info mtree -D")
        qemu.hmp("info mtree -f")
        yield qemu, without_hosts(read_region_map(qemu.pid))


def printed(binary: Path, folder: Path, region_map: Json, *flags: str) -> str:
    """What the program prints of a map."""
    note = {"version": 1, "arch": "x86_64", "source": "test_mtree.py", "cpus": [], "regions": region_map}
    path = folder / "map.elf"
    text = json.dumps(note).encode()
    ElfCore(EM_X86_64, [Segment(0, bytes(0x1000))], [Note("RRMEM", 1, text)]).save(path)
    return run_program(binary, "mtree", *flags, "--image", str(path)).stdout.decode()


def test_tree_equals_info_mtree(situation: Situation, binary: Path, tmp_path: Path) -> None:
    qemu, region_map = situation
    expected = blocks(qemu.hmp("info mtree"), TREE_HEADS)
    assert blocks(printed(binary, tmp_path, region_map), TREE_HEADS) == expected
    assert sum(len(block.splitlines()) for block in expected) >= 15


def test_disabled_regions_equal_info_mtree(situation: Situation, binary: Path, tmp_path: Path) -> None:
    qemu, region_map = situation
    expected = blocks(qemu.hmp("info mtree -D"), TREE_HEADS)
    assert blocks(printed(binary, tmp_path, region_map, "-D"), TREE_HEADS) == expected


def test_stored_flat_views_equal_info_mtree(situation: Situation, binary: Path, tmp_path: Path) -> None:
    qemu, region_map = situation
    expected = blocks(qemu.hmp("info mtree -f"), FLAT_HEADS)
    assert blocks(printed(binary, tmp_path, region_map, "-f"), FLAT_HEADS) == expected
    assert len(expected) >= 2


def test_rendered_flat_views_equal_info_mtree(situation: Situation, binary: Path, tmp_path: Path) -> None:
    qemu, region_map = situation
    spaces = [{**space, "flat": None} for space in region_map["address_spaces"]]
    expected = blocks(qemu.hmp("info mtree -f"), FLAT_HEADS)
    text = printed(binary, tmp_path, {**region_map, "address_spaces": spaces}, "-f")
    assert blocks(text, FLAT_HEADS) == expected
