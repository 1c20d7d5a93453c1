"""Searches, slices and differences in Python, against the program."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Dict, List

import pytest
import rr_mem

from lab.answers import equals, without_faces_words
from lab.cli import json_lines, run_program

#: A page of a program that the sample guest holds.
HELD = 0x5BF000
#: Tables of four levels at 0x1000; page 0 is at 0x8000, page 1 at 0x9000.
ENTRIES = {0x1000: 0x2003, 0x2000: 0x3003, 0x3000: 0x4003, 0x4000: 0x8003, 0x4008: 0x9003}
REGISTERS = {"cr3": 0x1000}
CLASSES = {
    "memory": rr_mem.MemoryChange, "page": rr_mem.PageChange, "mapping": rr_mem.MappingChange,
    "register": rr_mem.RegisterChange,
}


def image(path: Path, size: int, words: Dict[int, int]) -> Path:
    """A file of raw RAM with these words."""
    ram = bytearray(size)
    for address, word in words.items():
        struct.pack_into("<Q", ram, address, word)
    path.write_bytes(ram)
    return path


@pytest.fixture(scope="module")
def moments(tmp_path_factory: pytest.TempPathFactory) -> List[Path]:
    """Two moments of a guest: a page changes, one is mapped read-only, RAM is added."""
    folder = tmp_path_factory.mktemp("moments")
    return [image(folder / "before.raw", 0x10000, ENTRIES),
            image(folder / "after.raw", 0x12000, {**ENTRIES, 0x4008: 0x9001, 0x8010: 0xFF})]


def test_a_search_finds_what_the_program_finds(binary: Path) -> None:
    done = run_program(binary, "pt", "--find-string", "init", "--json", codes=(3,))
    with pytest.warns(rr_mem.IncompleteWarning, match="mapped bytes were not searched"):
        hits = rr_mem.Guest.sample().search("init")
    rows = json_lines(done.stdout)
    assert len(hits) == len(rows) > 3
    assert all(equals(hit, without_faces_words(row)) for hit, row in zip(hits, rows))


@pytest.mark.filterwarnings("ignore::rr_mem.IncompleteWarning")
def test_a_search_is_bounded_and_needs_a_pattern() -> None:
    guest = rr_mem.Guest.sample()
    first = guest.search(b"init")[0].gva
    assert [hit.gva for hit in guest.search(b"init", first, first + 3)] == [first]
    with pytest.raises(rr_mem.RrMemError) as error:
        guest.search("init", limit=2)
    assert error.value.kind == "limit"
    with pytest.raises(rr_mem.UsageError):
        guest.search(b"")


def test_a_slice_holds_what_the_program_writes(binary: Path, tmp_path: Path) -> None:
    asked = (HELD, HELD + 0xFFF)
    made = rr_mem.Guest.sample().slice(tmp_path / "python.elf", gvas=[asked])
    done = run_program(binary, "slice", "--json", "--gva", f"{HELD:#x}+0x1000",
                       "-o", str(tmp_path / "program.elf"))
    row = json_lines(done.stdout)[0]
    assert (made.table_pages, made.data_pages, made.cpus) == (
        row["table_pages"], row["data_pages"], row["cpus"])
    assert made.file_bytes == (tmp_path / "python.elf").stat().st_size
    again = rr_mem.Guest.from_image(tmp_path / "python.elf")
    assert again.v2p(HELD).gpa == rr_mem.Guest.sample().v2p(HELD).gpa
    assert again.read(HELD, 64) == rr_mem.Guest.sample().read(HELD, 64)


def test_a_slice_says_what_it_cannot_answer(tmp_path: Path) -> None:
    guest = rr_mem.Guest.sample()
    with pytest.warns(rr_mem.IncompleteWarning, match="0x10 to 0x10 is not mapped"):
        guest.slice(tmp_path / "slice.elf", gvas=[(0x10, 0x10)])
    for arguments in ({}, {"gpas": [(2, 1)]}):
        with pytest.raises(rr_mem.UsageError):
            guest.slice(tmp_path / "none.elf", **arguments)
    with pytest.raises(rr_mem.UsageError) as error:
        guest.slice("/dev/null", space=True)
    assert error.value.kind == "not_regular"
    assert not (tmp_path / "none.elf").exists()


@pytest.mark.parametrize("only", [None, "memory", "tables"])
def test_moments_differ_as_the_program_says(binary: Path, moments: List[Path], only: str) -> None:
    flags = ["--cr3", "0x1000"] + (["--only", only] if only else [])
    done = run_program(binary, "diff", "--json", *map(str, moments), *flags, codes=(1,))
    rows = json_lines(done.stdout)
    before, after = (rr_mem.Guest.from_image(path).with_registers("x86_64", **REGISTERS)
                     for path in moments)
    found = rr_mem.diff(before, after, only=only)
    assert [type(change) for change in found] == [CLASSES[row.pop("diff")] for row in rows]
    assert all(equals(change, without_faces_words(row)) for change, row in zip(found, rows))
    assert rr_mem.diff(after, after, only=only) == []


def test_differences_are_bounded_and_need_registers_for_tables(moments: List[Path]) -> None:
    before, after = map(rr_mem.Guest.from_image, moments)
    assert len(rr_mem.diff(before, after, gpas=[(0x8000, 0x8FFF)])) == 1
    with pytest.raises(rr_mem.UsageError, match="0x9000 is behind 0x8fff"):
        rr_mem.diff(before, after, gpas=[(0x9000, 0x8FFF)])
    with pytest.raises(rr_mem.MissingError):
        rr_mem.diff(before, after, only="tables")
    with pytest.raises(rr_mem.RrMemError) as error:
        rr_mem.diff(before, after, limit=1)
    assert error.value.kind == "limit"
    with pytest.raises(rr_mem.UsageError):
        rr_mem.diff(before, after, only="registers")
