"""`write` on stopped guests, against the monitor's `xp` and `x`. What is written is put back."""

from __future__ import annotations

import random
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator, List, Tuple

import pytest

from lab.addresses import SEED
from lab.cli import json_lines, run_program
from lab.emulators import Live, complaint
from lab.guests import Guest
from lab.listings import X86
from lab.mtree import FlatLine, parse_flat
from lab.qemu import Qemu
from lab.running import Running
from lab.situation import Case, gpa2hva, monitor_bytes

YES = "--write-guest-memory"
BYTES = 48


@pytest.fixture(scope="module", params=["x86_64-4level", "arm-short", "aarch64-max"])
def guest(request: pytest.FixtureRequest, running: Running) -> Guest:
    """Guests of three kinds of tables, stopped in the kernel."""
    return running.at(request.param, "kernel")


@pytest.fixture(scope="module")
def case(guest: Guest, binary: Path) -> Case:
    """The guest with what is known of it by other means."""
    return Case(guest, binary)


@pytest.fixture(scope="module")
def live(guest: Guest, binary: Path) -> Live:
    """The guest's emulator."""
    return Live(binary, guest.qemu)


@pytest.fixture(scope="module")
def machine() -> Iterator[Qemu]:
    """An emulator that runs nothing."""
    with Qemu(X86, ["-S", "-M", "pc", "-m", "32", "-device", "VGA"]) as emulator:
        emulator.hmp("info status")
        yield emulator


@contextmanager
def put_back(live: Live, gpas: List[int]) -> Iterator[None]:
    """Restores the bytes at these places."""
    before = {gpa: live.run("read", "--phys", f"{gpa:#x}", str(BYTES)) for gpa in gpas}
    try:
        yield
    finally:
        for gpa, data in before.items():
            live.run("write", YES, "--phys", f"{gpa:#x}", data.hex())
            assert live.run("read", "--phys", f"{gpa:#x}", str(BYTES)) == data


def test_what_is_written_is_what_the_monitor_shows(case: Case, live: Live) -> None:
    chance = random.Random(SEED)
    for gva, gpa in case.ram_places()[:10]:
        with put_back(live, [gpa]):
            for flags, at in (((), gva), (("--phys",), gpa)):
                data = chance.randbytes(BYTES)
                (row,) = live.rows("write", YES, *flags, f"{at:#x}", data.hex(), codes=(0,))
                assert monitor_bytes(case.guest, "xp", gpa, BYTES) == data
                host = gpa2hva(case.guest.qemu, gpa)
                assert {**row, "remarks": None} == {
                    "gpa": f"{gpa:#x}", "host": f"{host:#x}", "bytes": BYTES, "remarks": None}


def apart(case: Case) -> List[Tuple[int, int, int]]:
    """Virtual addresses of pages, with the physical ones of theirs and of the next page, elsewhere."""
    pages = {page.gva: page for page in case.pages if case.core.holds(page.gpa, page.size)}
    pairs = [(page, pages[page.gva + page.size]) for page in pages.values() if page.gva + page.size in pages]
    return [(second.gva, first.gpa + first.size, second.gpa) for first, second in pairs
            if second.gpa != first.gpa + first.size]


def test_bytes_across_pages_that_are_apart_are_written_to_both(case: Case, live: Live) -> None:
    chosen = random.Random(SEED).sample(apart(case), 3)
    for border, end, second in chosen:
        half, data = BYTES // 2, random.Random(border).randbytes(BYTES)
        with put_back(live, [end - BYTES, second]):
            rows = live.rows("write", YES, f"{border - half:#x}", data.hex(), codes=(0,))
            assert [row["bytes"] for row in rows] == [half, half]
            assert monitor_bytes(case.guest, "xp", end - half, half) == data[:half]
            assert monitor_bytes(case.guest, "xp", second, half) == data[half:]


def test_nothing_is_written_where_the_second_page_is_not_mapped(case: Case, live: Live) -> None:
    present = {page.gva for page in case.pages}
    ends = [page for page in case.pages
            if page.gva + page.size not in present and case.core.holds(page.gpa, page.size)]
    alone = [page for page in ends if case.space.translate(page.gva + page.size) is None][:5]
    assert alone
    for page in alone:
        at, last = page.gva + page.size - 8, page.gpa + page.size - 8
        before = monitor_bytes(case.guest, "xp", last, 8)
        assert live.run("write", YES, f"{at:#x}", "a5" * 16, codes=(1,)) == b""
        assert monitor_bytes(case.guest, "xp", last, 8) == before


def is_ram(line: FlatLine) -> bool:
    """Whether the guest may write there without a device taking note."""
    return line.kind in ("ram", "nv-ram")


def test_nothing_is_written_across_the_end_of_ram(machine: Qemu, binary: Path) -> None:
    lines = parse_flat(machine.hmp("info mtree -f"))["memory"]
    starts = {line.start for line in lines if is_ram(line)}
    ends = [line.end for line in lines if is_ram(line) and line.end + 1 not in starts]
    assert ends
    for end in ends:
        text = complaint(binary, "write", YES, "--pid", str(machine.pid), "--phys", f"{end - 7:#x}", "a5" * 16, code=1)
        assert f"{end + 1:#x}" in text and "nothing was written" in text
        found = run_program(binary, "read", "--pid", str(machine.pid), "--phys", f"{end - 7:#x}", "8").stdout
        assert found == bytes(8)


def test_rom_devices_and_holes_are_refused(machine: Qemu, binary: Path) -> None:
    lines = parse_flat(machine.hmp("info mtree -f"))["memory"]
    for line in lines:
        if is_ram(line):
            continue
        said = f"{line.name} is read-only" if line.kind == "rom" else f"belongs to device {line.name}"
        for at in (line.start, line.end):
            text = complaint(binary, "write", YES, "--pid", str(machine.pid), "--phys", f"{at:#x}", "00", code=1)
            assert said in text, text
    kinds = {line.kind for line in lines}
    assert {"rom", "i/o"} <= kinds
    text = complaint(binary, "write", YES, "--pid", str(machine.pid), "--phys", "0x10000000000", "00", code=1)
    assert "no memory is there" in text
    text = complaint(binary, "write", YES, "--pid", str(machine.pid), "--phys", "0xffffffffffffffff", "0000", code=1)
    assert "nothing was written" in text


def test_files_are_written_whole(machine: Qemu, binary: Path, tmp_path: Path) -> None:
    data, file = random.Random(SEED).randbytes(3_000_000), tmp_path / "bytes"
    file.write_bytes(data)
    run_program(binary, "write", YES, "--freeze", "--pid", str(machine.pid), "--phys", "0x100003", "-f", str(file))
    read = run_program(binary, "read", "--pid", str(machine.pid), "--phys", "0x100003", str(len(data))).stdout
    assert read == data
    dump = tmp_path / "pmem"
    machine.hmp(f'pmemsave 0x100003 {len(data)} "{dump}"')
    assert dump.read_bytes() == data
    with file.open("r+b") as large:
        large.truncate((64 << 20) + 1)
    text = complaint(binary, "write", YES, "--pid", str(machine.pid), "--phys", "0", "-f", str(file), code=2)
    assert "nothing was written" in text


def test_only_a_running_emulators_memory_is_written_and_only_when_meant(
    machine: Qemu, binary: Path, tmp_path: Path
) -> None:
    pid = str(machine.pid)
    assert YES in complaint(binary, "write", "--pid", pid, "--phys", "0x5000", "a5", code=2)
    (row,) = json_lines(run_program(binary, "x", "--json", "-f", "1bx", "--phys", "--pid", pid, "0x5000").stdout)
    assert row["values"] == ["0x00"]
    core = tmp_path / "core"
    core.write_bytes(b"")
    for source in (("--core", str(core)), ("--image", str(core)), ()):
        text = complaint(binary, "write", YES, *source, "--phys", "0", "a5", code=2)
        assert "only the memory of a running emulator" in text
    assert "not bytes in hex" in complaint(binary, "write", YES, "--pid", pid, "--phys", "0", "a", code=2)


def test_a_guest_that_was_written_runs_on(case: Case, live: Live) -> None:
    qemu = case.guest.qemu
    case.guest.moment = None
    qemu.qmp.execute("cont")
    try:
        assert qemu.qmp.execute("query-status")["running"]
    finally:
        qemu.qmp.execute("stop")
