"""Answers in Python, against the program: every key of JSON is an attribute, and `str()` is the line
of text.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, Iterator, List, Sequence, Tuple

import pytest
import rr_mem

from lab.answers import equals, without_faces_words
from lab.cli import json_lines, run_program
from lab.emulators import Live
from lab.listings import X86
from lab.program import REPO
from lab.qemu import Qemu

SLICES = sorted((REPO / "tests" / "data" / "slices").glob("*.elf.zst"))
ACCESSES = [(access, priv) for access in ("r", "w", "x") for priv in ("user", "kernel", "current")]


class Slice:
    """A slice, by the program and by Python."""

    def __init__(self, binary: Path, path: Path) -> None:
        self.binary, self.path, self.guest = binary, path, rr_mem.Guest.from_image(path)

    def ask(self, command: str, *arguments: str) -> "Tuple[List[Dict[str, Any]], List[str]]":
        """The rows and the lines of a command."""
        image, codes = ("--image", str(self.path)), (0, 1, 3)
        said = [run_program(self.binary, command, *image, *json, *arguments, codes=codes).stdout
                for json in (("--json",), ())]
        return json_lines(said[0]), said[1].decode().splitlines()


@pytest.fixture(params=SLICES, ids=lambda path: path.name.split(".")[0])
def slice_(request: pytest.FixtureRequest, binary: Path) -> Slice:
    """Each slice."""
    return Slice(binary, request.param)


@pytest.fixture(scope="module")
def bare() -> Iterator[Qemu]:
    """A machine that runs nothing."""
    with Qemu(X86, ["-S", "-M", "pc", "-m", "32"]) as qemu:
        qemu.hmp("info status")
        yield qemu


def check(found: Sequence[Any], asked: "Tuple[List[Dict[str, Any]], List[str]]") -> None:
    """Compares answers with the rows and the lines of the program."""
    rows, lines = asked
    assert len(found) == len(rows) > 0
    for answer, row in zip(found, rows):
        assert equals(answer, without_faces_words(row)) and isinstance(row["remarks"], list), (answer, row)
    assert [line for answer in found for line in str(answer).splitlines()] == lines


def places(guest: rr_mem.Guest) -> List[int]:
    """Some addresses that are mapped, and some that are not."""
    mapped = [run.gva for run in guest.mappings()][::4000]
    return [*mapped, 0x10, 0x0000_7FFF_FFFF_0000 & ((1 << 32) - 1)]


#: Remarks that only tell how a source was read.
READING = {"format", "layout", "misfit", "emulator", "address_space"}


def test_remarks_of_the_source_go_with_every_row(slice_: Slice) -> None:
    guest = [(remark.kind, remark.text) for remark in slice_.guest.remarks if remark.kind not in READING]
    for command, words in (("v2p", ["0x10", "0x2000"]), ("pt", []), ("regs", []), ("find", ["0x1000"])):
        rows, _ = slice_.ask(command, *words)
        for row in rows[:50]:
            own = [remark for remark in row["remarks"] if remark["kind"] not in ("isolation", "left_out")]
            assert [(remark["kind"], remark["text"]) for remark in own] == guest


@pytest.mark.filterwarnings("ignore::rr_mem.IncompleteWarning")
def test_translations_equal_the_programs(slice_: Slice) -> None:
    for gva in places(slice_.guest):
        check([slice_.guest.walk(gva)], slice_.ask("v2p", f"{gva:#x}"))


@pytest.mark.filterwarnings("ignore::rr_mem.IncompleteWarning")
@pytest.mark.parametrize("access, priv", ACCESSES)
def test_accesses_end_as_the_program_says(slice_: Slice, access: Any, priv: Any) -> None:
    for gva in places(slice_.guest)[:3]:
        walk = slice_.guest.walk(gva, access=access, priv=priv)
        check([walk], slice_.ask("v2p", "--access", access, "--priv", priv, f"{gva:#x}"))
        if walk.fault is not None:
            with pytest.raises(rr_mem.NotMapped) as caught:
                slice_.guest.v2p(gva, access=access, priv=priv)
            assert (caught.value.kind, caught.value.fault) == (walk.fault.kind, walk.fault)
            assert walk.fault.status is not None or walk.fault.kind == "non_canonical"
        elif walk.error is not None:
            with pytest.raises(rr_mem.RrMemError) as failed:
                slice_.guest.v2p(gva, access=access, priv=priv)
            assert failed.value.kind == walk.error.kind
        else:
            assert str(slice_.guest.v2p(gva, access=access, priv=priv)) == str(walk)


@pytest.mark.filterwarnings("ignore::rr_mem.IncompleteWarning")
def test_mappings_aliases_and_sections_equal_the_programs(slice_: Slice) -> None:
    guest = slice_.guest
    check(guest.mappings(merge="rights"), slice_.ask("pt"))
    run = next(run for run in guest.mappings() if run.gpa is not None)
    check(guest.mappings(run.gva, run.last, merge="none"),
          slice_.ask("pt", "--no-merge", "--range", f"{run.gva:#x}-{run.last:#x}"))
    check(guest.p2v(run.gpa or 0), slice_.ask("p2v", f"{run.gpa:#x}"))
    check([guest.find(run.gpa or 0)], slice_.ask("find", f"{run.gpa:#x}"))


def test_table_bases_and_registers_equal_the_programs(slice_: Slice) -> None:
    found, asked = slice_.guest.roots(), slice_.ask("roots")
    # Most slices have too few pages for a table to be plausible.
    assert len(found) == len(asked[0]) and (found or "4level" not in slice_.path.name)
    if found:
        check(found, asked)
    check([slice_.guest.registers], slice_.ask("regs"))


def test_listings_equal_the_programs(binary: Path) -> None:
    sample = Slice(binary, REPO / "rr-mem" / "data" / "sample.elf.zst")
    check(sample.guest.examine("6gx", 0xFFFFFFFF83F87AE0).lines, sample.ask("x", "-f", "6gx", "0xffffffff83f87ae0"))


def test_cpus_blocks_and_pointers_equal_the_programs(binary: Path, bare: Qemu) -> None:
    guest, live = rr_mem.Guest.from_process(bare.pid), Live(binary, bare)
    ram = next(block for block in guest.ram_blocks if block.name == "pc.ram")
    assert ram.resident is not None and ram.in_core is None and ram.backing is not None
    answers: List[Tuple[str, Sequence[Any]]] = [("cpus", guest.cpus), ("ram", guest.ram_blocks)]
    for command, found in answers:
        check(found, (live.rows(command), live.run(command).decode().splitlines()))
    [emulator] = [found for found in rr_mem.emulators() if found.pid == bare.pid]
    [row] = [row for row in json_lines(run_program(binary, "ps", "--json", codes=(0, 1, 3)).stdout)
             if row["pid"] == bare.pid]
    assert equals(emulator, row) and emulator.machine == "pc" and emulator.error is None
    where = guest.where((ram.host or 0) + 0x1000)
    assert equals(where, without_faces_words(live.rows("where", f"{where.hva:#x}")[0])) and where.places
    lines = [str(where), *(line for place in where.places for line in str(place).splitlines())]
    assert lines == live.run("where", f"{where.hva:#x}").decode().splitlines()


@pytest.mark.parametrize("words", [{"access": "q"}, {"access": "rw"}, {"priv": "root"}, {"access": "r", "priv": ""}])
def test_words_that_ask_for_nothing_are_refused(words: Any) -> None:
    guest = rr_mem.Guest.from_image(REPO / "rr-mem" / "data" / "sample.elf.zst")
    for ask in (guest.v2p, guest.walk):
        with pytest.raises(rr_mem.UsageError) as caught:
            ask(0x10, **words)
        assert caught.value.hint in ("r, w, x", "user, kernel, current")
