"""rr-mem slice, convert and diff, on real guests: what is written answers as its source does,
byte for byte, whether that is a dump, the running emulator or its core."""

from __future__ import annotations

import random
import re
from pathlib import Path
from typing import List, Sequence, Tuple

import pytest

from lab.addresses import SEED
from lab.cli import json_lines, run_program
from lab.elfcore import ElfCore
from lab.emulators import gcore
from lab.situation import PLACE_BYTES, Case, monitor_bytes

from .test_dumps import registers_of, tool

PAGES = 20


@pytest.fixture(scope="module", params=["image", "pid", "core"])
def source(request: pytest.FixtureRequest, case: Case) -> List[str]:
    """The same guest through every source; a dump of an ARM guest lacks registers."""
    if request.param == "pid":
        return ["--pid", str(case.guest.qemu.pid)]
    if request.param == "core":
        return ["--core", str(request.getfixturevalue("core"))]
    registers = [] if case.guest.kind.is_x86 else case.guest.register_flags()
    return ["--image", str(case.guest.dump), "--mtree", str(case.rr_mem.mtree_file), *registers]


def answer(binary: Path, arguments: Sequence[str]) -> Tuple[int, bytes]:
    """How a command ends, and what it prints; the emulator's own addresses are not part of a slice."""
    done = run_program(binary, *arguments, codes=(0, 1, 3))
    return done.returncode, without_hosts(done.stdout)


def gpas(binary: Path, arguments: Sequence[str]) -> List[object]:
    """The physical addresses that a command answers with."""
    return [row["gpa"] for row in json_lines(run_program(binary, *arguments).stdout)]


def without_hosts(text: bytes) -> bytes:
    """Text without host addresses."""
    words = [line.split(b"  host ")[0].split(b" (host ") for line in text.splitlines()]
    return b"\n".join(parts[0] + b"".join(part.split(b")", 1)[1] for part in parts[1:]) for parts in words)


def mapped_places(case: Case) -> List[int]:
    """Virtual addresses of RAM, some of each half of the space."""
    return [gva for gva, _ in case.ram_places()][:PAGES]


def test_a_slice_answers_as_its_source(case: Case, source: List[str], binary: Path, tmp_path: Path) -> None:
    out = tmp_path / "slice.elf"
    places = mapped_places(case)
    wanted = [word for gva in places for word in ("--gva", f"{gva:#x}+64")]
    run_program(binary, "slice", *source, "-o", str(out), *wanted)
    assert out.stat().st_size < 2_000_000
    for gva in places:
        for command in (["v2p", "-v", f"{gva:#x}"], ["v2p", "--json", f"{gva + 8:#x}"],
                        ["x", "-f", "8gx", f"{gva:#x}"], ["pt", "--range", f"{gva:#x}+1"]):
            ask = gpas if "--json" in command else answer
            assert ask(binary, [*command, "--image", str(out)]) == ask(binary, [*command, *source])
    for command in (["regs"], ["mtree", "-f"], ["find", "0x1000", "0xfee00000", "0x9000000", "0x40001000"]):
        assert answer(binary, [*command, "--image", str(out)]) == answer(binary, [*command, *source]), command


def test_the_tables_of_a_space_list_the_same_mappings(
    case: Case, source: List[str], binary: Path, tmp_path: Path
) -> None:
    for redact in ([], ["--redact"]):
        out = tmp_path / "space.elf"
        gva = mapped_places(case)[0]
        run_program(binary, "slice", *source, "-o", str(out), "--space", "--gva", f"{gva:#x}", *redact)
        assert answer(binary, ["pt", "--image", str(out)]) == answer(binary, ["pt", *source])
        page = run_program(binary, "read", "--image", str(out), f"{gva:#x}", "64").stdout
        whole = run_program(binary, "read", *source, f"{gva:#x}", "64").stdout
        assert page == (bytes(64) if redact else whole) and any(whole)


def test_what_is_not_asked_for_is_an_error_never_zeros(
    case: Case, source: List[str], binary: Path, tmp_path: Path
) -> None:
    out = tmp_path / "slice.elf"
    gva, *others = mapped_places(case)
    run_program(binary, "slice", *source, "-o", str(out), "--gva", f"{gva:#x}")
    core = ElfCore.load(out)
    chance = random.Random(SEED)
    for block in chance.choices(case.core.segments, k=50):
        gpa = block.address + chance.randrange(len(block.data))
        code, data = answer(binary, ["read", "--phys", "--image", str(out), f"{gpa:#x}", "1"])
        if core.holds(gpa, 1):
            assert (code, data) == answer(binary, ["read", "--phys", *source, f"{gpa:#x}", "1"])
        else:
            assert (code, data) == (3, b"")


def test_slices_open_in_readelf_and_gdb(case: Case, binary: Path, tmp_path: Path) -> None:
    out = tmp_path / "slice.elf"
    gva = mapped_places(case)[0]
    run_program(binary, "slice", *case.rr_mem.image_flags(), "-o", str(out), "--gva", f"{gva:#x}")
    listed = tool("readelf", "--notes", "--segments", str(out))
    assert "NT_PRSTATUS" in listed and "RRMEM" in listed and "Warning" not in listed
    shown = tool("gdb-multiarch", "--batch", f"--core={out}", "-ex", "info registers")
    original = tool("gdb-multiarch", "--batch", f"--core={case.guest.dump}", "-ex", "info registers")
    lines = [line for line in shown.splitlines() if " 0x" in line and not line.startswith("#")]
    assert lines and set(lines) <= set(original.splitlines())


def test_general_registers_are_those_of_the_dump(
    case: Case, source: List[str], binary: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.elf"
    run_program(binary, "slice", *source, "-o", str(out), "--gva", f"{mapped_places(case)[0]:#x}")
    shown, original = (general_registers(path) for path in (out, case.guest.dump))
    assert shown == original and len(shown) >= 16
    if case.guest.kind.is_x86:
        own, dumped = (qemu_note(path) for path in (out, case.guest.dump))
        # Behind version and size; later releases have one register more.
        assert own[8:] == dumped[8:len(own)] and len(own) >= 432


def qemu_note(core: Path) -> bytes:
    """The note with x86's control registers and descriptor tables."""
    (note,) = (note for note in ElfCore.load(core).notes if note.owner == "QEMU")
    return note.data


def general_registers(core: Path) -> List[str]:
    """Those that gdb reads from a core; those of floating point and SVE are in a dump only."""
    lines = registers_of(tool("gdb-multiarch", "--batch", f"--core={core}", "-ex", "info registers"))
    return [line for line in lines if not line.startswith(("fpsr", "fpcr", "vg "))]


def test_what_convert_writes_is_the_monitors(case: Case, source: List[str], binary: Path, tmp_path: Path) -> None:
    for target in ("elf", "lime", "raw"):
        out = tmp_path / f"out.{target}"
        fill = ["--fill-absent"] if target == "raw" else []
        done = run_program(binary, "convert", "--json", *source, "-o", str(out), "--to", target, *fill)
        assert json_lines(done.stdout)[0]["bytes"] != "0x0"
        base = re.search(rb"give --ram-base (0x[0-9a-f]+)", done.stderr)
        flags = ["--ram-base", base.group(1).decode()] if base else []
        for gva, gpa in case.ram_places()[:5]:
            expected = monitor_bytes(case.guest, "xp", gpa, PLACE_BYTES)
            image = ["--image", str(out), *flags]
            assert run_program(binary, "read", "--phys", *image, f"{gpa:#x}", str(PLACE_BYTES)).stdout == expected
            if target == "elf":
                assert gpas(binary, ["v2p", "--json", *image, f"{gva:#x}"]) == [f"{gpa:#x}"]
        out.unlink()


def test_a_changed_byte_is_the_only_difference(case: Case, binary: Path, tmp_path: Path) -> None:
    pid = ["--pid", str(case.guest.qemu.pid)]
    before = tmp_path / "before.elf"
    run_program(binary, "convert", *pid, "-o", str(before), "--to", "elf")
    _, gpa = case.ram_places()[0]
    old = monitor_bytes(case.guest, "xp", gpa, 1)
    try:
        write(binary, pid, gpa, bytes([old[0] ^ 0x55]))
        core = gcore(case.guest.qemu.pid, tmp_path)
        for after in (pid, ["--core", str(core)]):
            done = run_program(binary, "diff", "--json", str(before), *after, "--only", "memory", codes=(1,))
            (row,) = json_lines(done.stdout)
            assert (int(row["gpa"], 16), row["bytes"]) == (gpa & -4096, 1)
        core.unlink()
    finally:
        write(binary, pid, gpa, old)
    assert run_program(binary, "diff", str(before), *pid).stdout == b""


def write(binary: Path, source: List[str], gpa: int, data: bytes) -> None:
    """Changes memory of the guest."""
    run_program(binary, "write", *source, "--write-guest-memory", "--phys", f"{gpa:#x}", data.hex())


def test_a_dump_does_not_differ_from_the_stopped_guest(case: Case, source: List[str], binary: Path) -> None:
    flags = [] if case.guest.kind.is_x86 else case.guest.register_flags()
    command = ["diff", str(case.guest.dump)]
    if source[0] != "--image":
        done = run_program(binary, *command, *source, "--only", "memory", codes=(0, 1))
        # Memory that no dump has, such as that of a device, is there or is not; no page differs.
        assert all(b"memory added" in line for line in done.stdout.splitlines()), done.stdout[:500]
    else:
        done = run_program(binary, *command, str(case.guest.dump), *flags)
        assert done.stdout == b""
