"""rr-mem on cores of emulators, against QEMU's own monitor and the running process.

The cores are gdb's (`gcore`) and the kernel's, of the guests of `test_guests.py` at the same
moments and of machines that run no guest (`-S`). A stopped guest does not change: what is
read from the core must be what is read from the process, byte for byte.
"""

from __future__ import annotations

import os
import random
import re
import resource
import shutil
import signal
import struct
import subprocess
from pathlib import Path
from typing import Iterator, List, Tuple

import pytest

from lab.addresses import SEED
from lab.cli import json_lines, number, run_program
from lab.differences import line_differences
from lab.emulators import Cored, Live, complaint, gcore
from lab.guests import Guest
from lab.listings import FLAT_HEADS, TREE_HEADS, X86, blocks
from lab.qemu import Qemu
from lab.situation import PLACE_BYTES, Case, disagreements, gpa2hva, monitor_bytes

HOST_ADDRESSES = 50
#: A small code buffer: QEMU's own is 1 GB, all of which is in a core.
SMALL = ["-accel", "tcg,tb-size=16", "-S", "-m", "32"]


@pytest.fixture(scope="module")
def cored(core: Path, binary: Path) -> Cored:
    """The program on that core."""
    return Cored(binary, core)


def test_translations_equal_gva2gpa_and_those_of_the_process(case: Case, cored: Cored, live: Live) -> None:
    flags = ("--json",) if case.guest.kind.is_x86 else ("--json", "--priv", "current")
    stdin = "".join(f"{address:#x}\n" for address in case.addresses)
    answers = cored.run("v2p", *flags, "-", stdin=stdin, codes=(0, 1))
    assert answers == live.run("v2p", *flags, "-", stdin=stdin, codes=(0, 1))
    assert disagreements(case, json_lines(answers), case.answers) == []
    assert sum(answer is not None for answer in case.answers) >= 800


def test_host_addresses_equal_gpa2hva(case: Case, cored: Cored) -> None:
    chosen = random.Random(SEED).sample([page.gpa for page in case.pages], HOST_ADDRESSES)
    rows = cored.rows("find", *(f"{gpa:#x}" for gpa in chosen))
    wrong = [row for gpa, row in zip(chosen, rows) if number(row["host"]) != gpa2hva(case.guest.qemu, gpa)]
    assert wrong[:3] == []
    assert sum(row["host"] is not None for row in rows) >= HOST_ADDRESSES // 2


def test_registers_equal_the_monitors_or_the_stubs(guest: Guest, cored: Cored) -> None:
    (row,) = cored.rows("cpus")
    shown = {name: int(value, 16) for name, value in row["registers"].items()}
    expected = {name: value for name, value in guest.registers.items() if name in shown}
    assert {name: shown[name] for name in expected} == expected and len(expected) >= 5
    assert (row["arch"], row["user_mode"]) == (guest.kind.arch, guest.moment == "user")


def test_mtree_equals_the_monitors(guest: Guest, cored: Cored) -> None:
    expected = blocks(guest.mtree, TREE_HEADS)
    assert line_differences(blocks(cored.run("mtree").decode(), TREE_HEADS), expected) == []
    expected = blocks(guest.mtree_f, FLAT_HEADS)
    assert line_differences(blocks(cored.run("mtree", "-f").decode(), FLAT_HEADS), expected) == []


def test_bytes_equal_the_monitors(case: Case, cored: Cored) -> None:
    for gva, gpa in case.ram_places()[:10]:
        expected = monitor_bytes(case.guest, "xp", gpa, PLACE_BYTES)
        assert cored.run("read", "--phys", f"{gpa:#x}", str(PLACE_BYTES)) == expected, hex(gpa)
        assert cored.run("read", f"{gva:#x}", str(PLACE_BYTES)) == expected, hex(gva)


def test_every_command_answers_as_of_the_process(case: Case, cored: Cored, live: Live) -> None:
    gva, gpa = case.ram_places()[0]
    host = gpa2hva(case.guest.qemu, gpa)
    questions = (("cpus",), ("regs",), ("pt",), ("pt", "--no-merge"), ("roots",),
                 ("p2v", f"{gpa:#x}"), ("x", "-f", "8gx", f"{gva:#x}"), ("where", f"{host:#x}"), ("mtree",))
    for command, *arguments in questions:
        expected = live.run(command, "--json", *arguments, codes=(0, 1))
        assert cored.run(command, "--json", *arguments, codes=(0, 1)) == expected, command
        assert expected, command


def test_ram_is_all_in_the_core(cored: Cored, live: Live) -> None:
    known = ("name", "host", "offset", "used_length", "max_length", "page_size")
    rows = cored.rows("ram")
    assert [[row[key] for key in known] for row in rows] == [[row[key] for key in known] for row in live.rows("ram")]
    assert all(row["in_core"] == row["used_length"] for row in rows) and rows


@pytest.fixture(autouse=True)
def no_leftovers(tmp_path: Path) -> Iterator[None]:
    """Cores are large: they go with their test."""
    yield
    for path in tmp_path.glob("core*"):
        path.unlink()


@pytest.fixture()
def pc() -> Iterator[Qemu]:
    """A machine that runs nothing."""
    with Qemu(X86, ["-M", "pc", *SMALL]) as qemu:
        qemu.hmp("info status")
        yield qemu


def flat(qemu: Qemu) -> List[str]:
    """The monitor's flat views."""
    return blocks(qemu.hmp("info mtree -f"), FLAT_HEADS)


def shown_flat(cored: Cored) -> List[str]:
    """The program's flat views."""
    return blocks(cored.run("mtree", "-f").decode(), FLAT_HEADS)


def test_ram_that_is_not_in_the_core_is_named(binary: Path, tmp_path: Path) -> None:
    with Qemu(X86, ["-M", "pc,dump-guest-core=off", *SMALL]) as qemu:
        expected = flat(qemu)
        host = gpa2hva(qemu, 0x1000)
        assert host is not None
        smaps = Path(f"/proc/{qemu.pid}/smaps").read_text()
        kept_out = re.findall(r"(?ms)^([0-9a-f]+)-([0-9a-f]+) (?:(?!^VmFlags).)*^VmFlags:[^\n]* dd", smaps)
        assert any(int(start, 16) <= host < int(end, 16) for start, end in kept_out), "QEMU asked for it"
        cored = Cored(binary, gcore(qemu.pid, tmp_path))
    assert shown_flat(cored) == expected
    text = cored.complaint("read", "--phys", "0x1000", "16")
    assert "guest physical address 0x1000: this RAM is not in the core" in text and "hint:" in text
    rows = {row["name"]: row for row in cored.rows("ram")}
    assert (rows["pc.ram"]["in_core"], rows["pc.ram"]["host"]) == ("0x0", hex(host - 0x1000))
    (row,) = cored.rows("where", "--cr3", "0", f"{host:#x}")
    assert [place["gpa"] for place in row["places"]] == ["0x1000"]


def bios_data(qemu: Qemu) -> bytes:
    """The first bytes of the BIOS data area, which the BIOS fills in."""
    return bytes(int(value, 16) for value in re.findall(r"0x([0-9a-f]{2})\b", qemu.hmp("xp /64xb 0x400")))


def kernel_core(qemu: Qemu, folder: Path) -> Path:
    """The core that an emulator leaves in its working directory, `folder`."""
    os.kill(qemu.pid, signal.SIGABRT)
    qemu.process.wait()
    (path,) = folder.iterdir()
    return path


@pytest.fixture()
def core_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The working directory, where the kernel writes cores of any size."""
    pattern = Path("/proc/sys/kernel/core_pattern").read_text().strip()
    if not re.fullmatch(r"[\w.%-]+", pattern):
        pytest.skip(f"this machine's kernel writes its cores elsewhere: {pattern}")
    monkeypatch.chdir(tmp_path)
    limits = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (limits[1], limits[1]))
    yield tmp_path
    resource.setrlimit(resource.RLIMIT_CORE, limits)


@pytest.mark.parametrize("option", ["on", "off"])
def test_cores_of_the_kernel_are_read(option: str, binary: Path, core_folder: Path) -> None:
    with Qemu(X86, ["-M", f"pc,dump-guest-core={option}", *SMALL]) as qemu:
        # The kernel leaves out, as if it were unwanted, what nobody has written to.
        qemu.qmp.execute("cont")
        qemu.wait_for(lambda: any(bios_data(qemu)), 30, "the BIOS")
        qemu.qmp.execute("stop")
        expected, data = flat(qemu), bios_data(qemu)
        cored = Cored(binary, kernel_core(qemu, core_folder))
    assert shown_flat(cored) == expected
    if option == "on":
        assert cored.run("read", "--phys", "0x400", "64") == data and len(data) == 64
    else:
        assert "this RAM is not in the core" in cored.complaint("read", "--phys", "0x400", "64")


def load_segments(core: Path) -> List[Tuple[int, int, int]]:
    """Offset, address and bytes held of every PT_LOAD of an ELF64 core."""
    with core.open("rb") as file:
        header = file.read(64)
        (start,) = struct.unpack_from("<Q", header, 32)
        (count,) = struct.unpack_from("<H", header, 56)
        file.seek(start)
        table = file.read(56 * count)
    found = []
    for at in range(0, len(table), 56):
        kind, _, offset, address, _, held, _, _ = struct.unpack_from("<IIQQQQQQ", table, at)
        if kind == 1:
            found.append((offset, address, held))
    return found


def test_a_truncated_core_answers_where_its_bytes_are(pc: Qemu, binary: Path, tmp_path: Path) -> None:
    expected, host = flat(pc), gpa2hva(pc, 0)
    assert host is not None
    core = gcore(pc.pid, tmp_path)
    program = os.readlink(f"/proc/{pc.pid}/exe")
    (ram,) = (segment for segment in load_segments(core) if segment[1] <= host < segment[1] + segment[2])
    # Half of the RAM is cut off, and with it gcore's notes, which come last.
    os.truncate(core, ram[0] + (host - ram[1]) + (16 << 20))
    cored = Cored(binary, core, "--exe", program)
    assert shown_flat(cored) == expected
    assert cored.run("read", "--phys", "0", "0xa0000") == bytes(0xa0000)
    assert "0x1000000: this RAM is not in the core" in cored.complaint("read", "--phys", "0x1000000", "16")
    text = Cored(binary, core).complaint("cpus")
    assert "the core is cut" in text and "--exe" in text
    os.truncate(core, 4096)
    assert "hint:" in Cored(binary, core).complaint("cpus")


def test_compressed_cores_are_read(pc: Qemu, binary: Path, tmp_path: Path) -> None:
    core = gcore(pc.pid, tmp_path)
    expected = Cored(binary, core).run("mtree")
    for command, ending in (("zstd", "zst"), ("lz4", "lz4")):
        packed = tmp_path / f"core.{ending}"
        with packed.open("wb") as out:
            subprocess.run([command, "-q", "-1", "-c", str(core)], stdout=out, check=True)
        assert Cored(binary, packed).run("mtree") == expected


def test_the_executable_must_be_the_one_that_ran(
    binary: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Away from its folder QEMU finds neither its modules nor its firmware.
    modules = next(Path("/usr/lib").glob("*/qemu/accel-tcg-x86_64.so")).parent
    monkeypatch.setenv("QEMU_MODULE_DIR", str(modules))
    program, kept = tmp_path / X86, tmp_path / "kept"
    source = shutil.which(X86)
    assert source is not None
    shutil.copy(source, program)
    with Qemu(str(program), ["-M", "pc", *SMALL, "-L", "/usr/share/seabios", "-L", "/usr/share/qemu"]) as qemu:
        expected = flat(qemu)
        core = gcore(qemu.pid, tmp_path)
    program.rename(kept)
    text = Cored(binary, core).complaint("cpus")
    assert f'its executable "{program}" could not be found' in text and "--exe" in text
    shutil.copy("/bin/true", program)
    assert "is not the one that ran" in Cored(binary, core).complaint("cpus")
    assert "build-id" in Cored(binary, core, "--exe", "/bin/true").complaint("cpus")
    assert "No such file" in Cored(binary, core, "--exe", str(tmp_path / "none")).complaint("cpus")
    assert shown_flat(Cored(binary, core, "--exe", str(kept))) == expected


def test_a_core_without_first_pages_is_read_and_that_is_said(pc: Qemu, binary: Path, tmp_path: Path) -> None:
    # Private and shared anonymous memory, no ELF headers: "core(5)".
    Path(f"/proc/{pc.pid}/coredump_filter").write_text("0x23")
    expected, core = flat(pc), gcore(pc.pid, tmp_path)
    assert shown_flat(Cored(binary, core)) == expected
    done = run_program(binary, "cpus", "--core", str(core))
    assert b"nothing to compare it with" in done.stderr


def test_files_of_another_kind_are_named_with_the_option_to_give(pc: Qemu, binary: Path, tmp_path: Path) -> None:
    dump = tmp_path / "guest.elf"
    pc.qmp.execute("dump-guest-memory", paging=False, protocol=f"file:{dump}")
    assert "--image" in Cored(binary, dump).complaint("cpus")
    core = gcore(pc.pid, tmp_path)
    assert "--core" in complaint(binary, "read", "--image", str(core), "--phys", "0", "16")
    assert "--exe" in Cored(binary, binary).complaint("cpus")
    (other,) = (Cored(binary, gcore(os.getpid(), tmp_path)).complaint("cpus"),)
    assert "no QEMU is in this process" in other
