"""Dumps of every format that QEMU and makedumpfile write, against the monitor at the same stop.

The guests are those of `test_guests.py`, stopped in the kernel. Registers, hundreds of
translations and 64 KB of memory at ten places must be the monitor's, whatever the format;
what `convert` writes must be what is read back, and what other readers find in it.
"""

from __future__ import annotations

import random
import shutil
import struct
import subprocess
import zlib
from pathlib import Path
from typing import Callable, Dict, List, Tuple

import pytest

from lab.addresses import SEED
from lab.cli import json_lines, number, run_program
from lab.elfcore import ElfCore, HoleError
from lab.guests import Guest
from lab.running import Running
from lab.situation import Case, disagreements

GUESTS = ("x86_64-4level", "i386-pae", "arm-lpae", "aarch64-a57")
PLACES = 10
PLACE_BYTES = 0x10000
FLAT_HEADER = 4096


@pytest.fixture(scope="module", params=GUESTS)
def case(request: pytest.FixtureRequest, running: Running, binary: Path) -> Case:
    """A guest stopped in its kernel."""
    return Case(running.at(request.param, "kernel"), binary)


def dumped(guest: Guest, name: str, **arguments: object) -> Path:
    """A dump of the present moment, made at first use."""
    path = guest.qemu.folder / f"{guest.moment}.{name}"
    if not path.exists():
        guest.qemu.qmp.execute("dump-guest-memory", protocol=f"file:{path}", **arguments)
    return path


def formats(guest: Guest) -> Dict[str, Path]:
    """A dump in every format that this QEMU offers for this guest."""
    offered = guest.qemu.qmp.execute("query-dump-guest-memory-capability")["formats"]
    dumps = {name: dumped(guest, name, paging=False, format=name)
             for name in offered if name != "win-dmp" and not name.endswith("-raw")}
    assert {"elf", "kdump-zlib"} <= set(dumps)
    if guest.kind.is_x86:
        dumps["paging"] = dumped(guest, "paging", paging=True)
    return dumps


def places(guest: Guest) -> List[Tuple[int, bytes]]:
    """64 KB of RAM at ten places, by the monitor."""
    core = ElfCore.load(guest.dump)
    blocks = [block for block in core.segments if len(block.data) >= PLACE_BYTES]
    chance = random.Random(SEED)
    found = []
    for block in chance.choices(blocks, [len(block.data) for block in blocks], k=PLACES):
        start = block.address + chance.randrange(0, len(block.data) - PLACE_BYTES + 1, 0x100)
        path = guest.qemu.folder / "place"
        guest.qemu.qmp.execute("pmemsave", val=start, size=PLACE_BYTES, filename=str(path))
        found.append((start, path.read_bytes()))
    assert len({data for _, data in found}) > 1
    return found


def check_answers(case: Case, binary: Path, image: Path, *flags: str) -> None:
    """Translations and memory of an image are the monitor's."""
    registers = () if case.guest.kind.is_x86 else tuple(case.guest.register_flags())
    check_memory(case, binary, image, *flags)
    rights = () if case.guest.kind.is_x86 else ("--priv", "current")
    done = run_program(binary, "v2p", "--json", "--image", str(image), *flags, *registers, *rights, "-",
                       stdin="".join(f"{address:#x}\n" for address in case.addresses), codes=(0, 1))
    assert disagreements(case, json_lines(done.stdout), case.answers) == []
    assert len(case.answers) >= 500


def check_memory(case: Case, binary: Path, image: Path, *flags: str) -> None:
    """Memory of an image is the monitor's."""
    for start, data in places(case.guest):
        done = run_program(binary, "read", "--phys", "--image", str(image), *flags,
                           f"{start:#x}", str(PLACE_BYTES))
        assert done.stdout == data, f"{image.name} {start:#x}"


def paging_registers(binary: Path, image: Path) -> Dict[str, int]:
    """The registers that an image holds."""
    (row,) = json_lines(run_program(binary, "regs", "--json", "--image", str(image)).stdout)
    values = {name: number(value) for name, value in row["registers"].items()}
    return {name: value for name, value in values.items() if value is not None}


def test_every_format_gives_the_monitors_answers(case: Case, binary: Path) -> None:
    for name, path in formats(case.guest).items():
        check_answers(case, binary, path)
        held = paging_registers(binary, path)
        expected = {key: value for key, value in case.guest.registers.items() if key in held}
        assert {key: held[key] for key in expected} == expected, name
        assert expected.keys() >= ({"cr0", "cr3", "cr4"} if case.guest.kind.is_x86 else {"el"})


def test_a_flattened_kdump_is_the_kdump(case: Case, binary: Path, tmp_path: Path) -> None:
    """QEMU writes kdumps flattened; in order, by our own reading of the format, they say the same."""
    flat = formats(case.guest)["kdump-zlib"]
    data = flat.read_bytes()
    assert data.startswith(b"makedumpfile\0")
    plain = tmp_path / "plain.kdump"
    at = FLAT_HEADER
    with plain.open("wb") as out:
        while True:
            offset, size = struct.unpack_from(">qq", data, at)
            if offset == -1:
                break
            out.seek(offset)
            out.write(data[at + 16 : at + 16 + size])
            at += 16 + size
    assert plain.read_bytes()[:8] == b"KDUMP   "
    check_answers(case, binary, plain)


@pytest.mark.parametrize("method", ["-c", "-l", "-p", "-z"])
def test_makedumpfile_opens_what_convert_writes_and_packs_it_for_us(
    running: Running, binary: Path, tmp_path: Path, method: str
) -> None:
    """Packed with zlib, lzo, snappy and zstd, in order and flattened.

    makedumpfile looks for the program headers right behind the ELF header; QEMU's own cores
    have them elsewhere, so that it cannot open those.
    """
    case = Case(running.at("x86_64-4level", "kernel"), binary)
    core = tmp_path / "core.elf"
    run_program(binary, "convert", "--image", str(case.guest.dump), "-o", str(core), "--to", "elf")
    for flattened in (False, True):
        target = tmp_path / f"made{flattened}"
        options = ["-F"] if flattened else []
        command = ["makedumpfile", method, "-d", "0", *options, str(core)]
        done = subprocess.run([*command, *([] if flattened else [str(target)])],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120)
        assert done.returncode == 0, done.stderr.decode()
        if flattened:
            target.write_bytes(done.stdout)
        check_answers(case, binary, target)


@pytest.mark.parametrize("target", ["elf", "lime", "raw"])
def test_what_convert_writes_reads_back_the_same(
    case: Case, binary: Path, tmp_path: Path, target: str
) -> None:
    for name in ("elf", "kdump-zlib"):
        source = formats(case.guest)[name]
        out = tmp_path / f"{name}.{target}"
        row = json_lines(run_program(binary, "convert", "--json", "--image", str(source), "-o", str(out),
                                     "--to", target).stdout)[0]
        assert row["absent_pages"] == 0 and int(row["file_bytes"], 16) == out.stat().st_size
        base = min(block.address for block in case.core.segments)
        flags = ["--ram-base", f"{base:#x}"] if target == "raw" else []
        registers = [] if target == "elf" else case.guest.register_flags()
        if case.guest.kind.is_x86:
            check_answers(case, binary, out, *flags, *registers)
        else:
            check_answers(case, binary, out, *flags)
        for block in case.core.segments:
            check_block(binary, out, block.address, block.data, flags)


def check_block(binary: Path, image: Path, address: int, data: bytes, flags: List[str]) -> None:
    """A whole block, by its sum."""
    done = run_program(binary, "read", "--phys", "--image", str(image), *flags, f"{address:#x}", str(len(data)))
    assert zlib.crc32(done.stdout) == zlib.crc32(data), f"{image.name} {address:#x}"


def test_a_running_guest_converts_with_all_its_registers(case: Case, binary: Path, tmp_path: Path) -> None:
    out = tmp_path / "live.elf"
    run_program(binary, "convert", "--pid", str(case.guest.qemu.pid), "-o", str(out), "--to", "elf")
    check_memory(case, binary, out)
    held = paging_registers(binary, out)
    expected = {key: value for key, value in case.guest.registers.items() if key in held}
    assert {key: held[key] for key in expected} == expected
    assert expected.keys() >= ({"cr3", "efer"} if case.guest.kind.is_x86 else {"ttbr0", "ttbr1", "tcr"})


def test_other_readers_open_what_convert_writes(case: Case, binary: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.elf"
    run_program(binary, "convert", "--image", str(formats(case.guest)["kdump-zlib"]), "-o", str(out), "--to", "elf")
    core = ElfCore.load(out)
    assert core.machine == case.core.machine
    for start, data in places(case.guest):
        assert core.read(start, len(data)) == data
    listed = tool("readelf", "--notes", "--segments", str(out))
    assert "NT_PRSTATUS" in listed and listed.count(" LOAD ") == len(core.segments)
    original = tool("gdb-multiarch", "--batch", f"--core={case.guest.dump}", "-ex", "info registers")
    again = tool("gdb-multiarch", "--batch", f"--core={out}", "-ex", "info registers")
    assert registers_of(again) == registers_of(original) != []


def registers_of(text: str) -> List[str]:
    """The lines of gdb's `info registers`."""
    return [line for line in text.splitlines() if " 0x" in line and not line.startswith(("#", "["))]


def tool(*command: str) -> str:
    """What a program prints."""
    assert shutil.which(command[0]), f"{command[0]} is not installed"
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)
    return done.stdout.decode(errors="replace")


def test_volatility_reads_what_convert_writes(case: Case, binary: Path, tmp_path: Path) -> None:
    """Its readers of LiME and of ELF cores; that of ELF knows the 64-bit class only."""
    for target in ("lime", "elf"):
        out = tmp_path / target
        run_program(binary, "convert", "--image", str(case.guest.dump), "-o", str(out), "--to", target)
        if target == "elf" and not case.guest.kind.name.startswith(("x86_64", "aarch64")):
            continue
        read = volatility_reader(out, target)
        for start, data in places(case.guest):
            assert read(start, len(data)) == data, f"{target} {start:#x}"


def volatility_reader(path: Path, kind: str) -> Callable[[int, int], bytes]:
    """volatility3's reader of a file of this kind."""
    from volatility3.framework import contexts  # type: ignore[import-untyped]
    from volatility3.framework.layers import elf, lime, physical  # type: ignore[import-untyped]

    context = contexts.Context()
    context.config["base.location"] = path.as_uri()
    context.add_layer(physical.FileLayer(context, "base", "base"))
    context.config["top.base_layer"] = "base"
    layer = {"lime": lime.LimeLayer, "elf": elf.Elf64Layer}[kind]
    context.add_layer(layer(context, "top", "top"))
    return lambda start, length: bytes(context.layers["top"].read(start, length))


def test_cut_dumps_never_answer_wrongly(case: Case, binary: Path, tmp_path: Path) -> None:
    """What a cut file still answers is what the whole one does; the rest is an error."""
    chance = random.Random(SEED)
    core = case.core
    for name, path in formats(case.guest).items():
        data = path.read_bytes()
        for cut in sorted(chance.randrange(len(data)) for _ in range(6)):
            short = tmp_path / "short"
            short.write_bytes(data[:cut])
            for block in core.segments[:3]:
                start = block.address + chance.randrange(len(block.data) - 64)
                done = run_program(binary, "read", "--phys", "--image", str(short), f"{start:#x}", "64",
                                   codes=(0, 1, 3))
                assert core.read(start, 64).startswith(done.stdout), f"{name} cut to {cut}: {start:#x}"
                assert len(done.stdout) == 64 or done.stderr, name


def test_what_is_not_in_the_dump_is_refused_by_raw_and_left_out_by_others(
    case: Case, binary: Path, tmp_path: Path
) -> None:
    whole, part = formats(case.guest)["elf"], tmp_path / "part.elf"
    block = max(case.core.segments, key=lambda block: len(block.data))
    hole = block.address + len(block.data) // 2
    run_program(binary, "slice", "--image", str(whole), "-o", str(part), "--gpa",
                f"{block.address:#x}-{hole - 1:#x}")
    out = tmp_path / "out"
    refused = run_program(binary, "convert", "--image", str(part), "-o", str(out), "--to", "raw", codes=(2,))
    assert b"lacks" in refused.stderr and not out.exists()
    run_program(binary, "convert", "--image", str(part), "-o", str(out), "--to", "raw", "--fill-absent")
    for target in ("elf", "lime"):
        run_program(binary, "convert", "--image", str(part), "-o", str(out), "--to", target)
        run_program(binary, "read", "--phys", "--image", str(out), f"{hole - 16:#x}", "16")
        code = 3 if target == "elf" else 1
        run_program(binary, "read", "--phys", "--image", str(out), f"{hole:#x}", "16", codes=(code,))
    with pytest.raises(HoleError):
        ElfCore.load(part).read(hole, 1)
