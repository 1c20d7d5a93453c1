"""Emulators of architectures that no walker models, against their own monitor: regions, RAM and
physical memory are answered, and what needs page tables is refused by name. So are dumps of
such guests.
"""

from __future__ import annotations

import json
import random
import re
import struct
import subprocess
from pathlib import Path
from typing import Iterator, List

import pytest
import rr_mem

from lab.addresses import SEED
from lab.cli import json_lines, number
from lab.emulators import Live, gcore
from lab.gdb_session import answers, attached
from lab.listings import FLAT_HEADS, TREE_HEADS, blocks
from lab.qemu import Qemu

#: The emulator, its machine, what we call the architecture, and where it has RAM.
OTHERS = {
    "riscv64": ("-M virt -m 64 -smp 3 -bios none", "riscv", 0x80001000),
    "s390x": ("-M s390-ccw-virtio -m 64 -smp 2", "s390x", 0x201000),
    "m68k": ("-M virt -m 64", "m68k", 0x1000),
    "xtensa": ("-M lx60 -m 64", "xtensa", 0x1000),
    "loongarch64": ("-M virt -m 1G", "loongarch", 0x201000),
}
#: What the monitor's `xp` shows as a whole only if it is read in the guest's byte order.
BYTES = bytes(range(0x10, 0x50))


class Other:
    """A running emulator, and what is known of it."""

    def __init__(self, name: str, qemu: Qemu, binary: Path) -> None:
        self.name = name
        _, self.arch, self.ram = OTHERS[name]
        self.qemu = qemu
        self.live = Live(binary, qemu)
        self._binary = binary

    def ask(self, command: str, *arguments: str) -> "subprocess.CompletedProcess[bytes]":
        """How a command about it ends."""
        words = [str(self._binary), command, "--pid", str(self.qemu.pid), *arguments]
        return subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, timeout=60)

    def memory(self, gpa: int, count: int) -> bytes:
        """Bytes by the monitor."""
        text = self.qemu.hmp(f"xp /{count}xb {gpa:#x}")
        return bytes(int(word, 16) for line in text.splitlines() for word in line.split(":", 1)[1].split())


@pytest.fixture(scope="module", params=OTHERS)
def other(request: pytest.FixtureRequest, binary: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Other]:
    """Each of the emulators, with known bytes in its RAM."""
    arguments, _, ram = OTHERS[request.param]
    contents = tmp_path_factory.mktemp("other") / "bytes"
    contents.write_bytes(BYTES)
    loader = f"loader,file={contents},addr={ram:#x},force-raw=on"
    with Qemu(f"qemu-system-{request.param}", ["-S", *arguments.split(), "-device", loader]) as qemu:
        qemu.hmp("info status")
        yield Other(request.param, qemu, binary)


def test_maps_equal_the_monitors(other: Other) -> None:
    tree, flat = map(other.qemu.hmp, ("info mtree", "info mtree -f"))
    assert blocks(other.live.run("mtree").decode(), TREE_HEADS) == blocks(tree, TREE_HEADS)
    assert blocks(other.live.run("mtree", "-f").decode(), FLAT_HEADS) == blocks(flat, FLAT_HEADS)
    assert len(blocks(flat, FLAT_HEADS)) >= 2


def test_ram_blocks_equal_the_monitors(other: Other) -> None:
    rows = other.live.rows("ram")
    monitors = re.findall(r"(?m)^\s*(\S+)\s+\d+ \S+\s+(0x[0-9a-f]+)\s+(0x[0-9a-f]+)\s+(0x[0-9a-f]+)",
                          other.qemu.hmp("info ramblock"))
    assert sorted((row["name"], *(int(row[key], 16) for key in ("offset", "used_length", "max_length")))
                  for row in rows) == sorted((name, *(int(word, 16) for word in words)) for name, *words in monitors)


def test_places_in_the_emulator_equal_gpa2hva_and_lead_back(other: Other) -> None:
    for at in random.Random(SEED).sample(range(other.ram, other.ram + (16 << 20)), 40):
        said = other.qemu.hmp(f"gpa2hva {at:#x}")
        host = re.search(r"is (0x[0-9a-f]+)", said)
        (row,) = other.live.rows("find", f"{at:#x}")
        assert host is not None and number(row["host"]) == int(host.group(1), 16)
    (row,) = other.live.rows("where", row["host"])
    assert at in [int(place["gpa"], 16) for place in row["places"]]


def test_physical_memory_equals_the_monitors(other: Other) -> None:
    assert other.memory(other.ram, 64) == BYTES
    assert other.live.run("read", "--phys", f"{other.ram:#x}", "64") == BYTES
    (row,) = other.live.rows("x", "--phys", "-f", "2gx", f"{other.ram:#x}")
    # Low byte first, whatever the guest's order.
    assert [int(value, 16) for value in row["values"]] == list(struct.unpack("<2Q", BYTES[:16]))


def test_cpus_are_named_without_registers(other: Other) -> None:
    rows = other.live.rows("cpus")
    threads = {cpu["cpu-index"]: cpu["thread-id"] for cpu in other.qemu.qmp.execute("query-cpus-fast")}
    assert {row["cpu"]: row["thread"] for row in rows} == threads
    for row in rows:
        assert (row["arch"], row["mode"], row["user_mode"], row["pc"]) == (other.arch, None, None, None)
        assert row["registers"] == {} and row["stopped"]


def test_ps_names_the_architecture(other: Other, binary: Path) -> None:
    done = subprocess.run([str(binary), "ps", "--json"], capture_output=True, timeout=60)
    (row,) = [row for row in json_lines(done.stdout) if row["pid"] == other.qemu.pid]
    assert (row["arch"], row["mode"], row["error"]) == (other.arch, None, None)
    assert row["cpus"] == len(other.qemu.qmp.execute("query-cpus-fast"))


TABLES: List[List[str]] = [
    ["v2p", "0x1000"], ["v2p", "--cr3", "0x1000", "0x1000"], ["p2v", "0x1000"], ["pt"], ["x", "0x1000"], ["regs"],
    ["read", "0x1000", "8"], ["roots"],
]


@pytest.mark.parametrize("question", TABLES, ids=" ".join)
def test_what_needs_tables_is_refused_by_name(other: Other, question: List[str]) -> None:
    done = other.ask(*question)
    said = done.stderr.decode()
    assert (done.returncode, done.stdout) == (3, b"")
    assert f"the guest is of {other.arch}, which no walker models" in said and "--arch" in said


def test_taking_it_for_another_is_said(other: Other) -> None:
    done = other.ask("v2p", "--arch", "x86_64", "--cr3", "0x1000", "0x1000")
    assert done.returncode in (0, 1, 3)
    assert f"note: the guest is of {other.arch}, and is taken for x86_64 as was asked" in done.stderr.decode()


def test_python_answers_the_same(other: Other) -> None:
    guest = rr_mem.Guest.from_process(other.qemu.pid)
    assert guest.arch == other.arch
    assert guest.read(other.ram, 64, physical=True) == BYTES
    section = guest.find(other.ram)
    assert section is not None and section.host is not None
    assert other.ram in [place.gpa for place in guest.where(section.host).places]
    assert [cpu.registers for cpu in guest.cpus] == [[]] * len(guest.cpus)
    with pytest.raises(rr_mem.MissingError) as caught:
        guest.v2p(0x1000)
    assert caught.value.kind == "architecture" and other.arch in str(caught.value)
    with pytest.raises(rr_mem.MissingError):
        guest.with_registers(cr3=0x1000).v2p(0x1000)
    taken = guest.with_registers("x86_64", cr0=0x11)
    assert taken.v2p(0x1000).gpa == 0x1000 and "arch_given" in [remark.kind for remark in taken.remarks]


def test_gdb_answers_the_same(other: Other) -> None:
    questions = ["rrcpu", f"rrfind {other.ram:#x}", f"rrxp/8bx {other.ram:#x}", "rrv2p 0x1000"]
    cpus, section, shown, refused = answers(attached(other.qemu.pid), questions)
    assert other.arch in cpus and "host 0x" in section
    assert shown.split(":")[1].split() == [f"{byte:#04x}" for byte in BYTES[:8]]
    assert f"the guest is of {other.arch}, which no walker models" in refused


def test_a_core_answers_the_same(other: Other, binary: Path, tmp_path: Path) -> None:
    core = gcore(other.qemu.pid, tmp_path)
    done = subprocess.run([str(binary), "read", "--core", str(core), "--phys", f"{other.ram:#x}", "64"],
                          capture_output=True, timeout=60)
    assert done.stdout == BYTES, done.stderr
    refused = subprocess.run([str(binary), "v2p", "--core", str(core), "0x1000"], capture_output=True, timeout=60)
    assert refused.returncode == 3 and f"the guest is of {other.arch}" in refused.stderr.decode()


#: Numbers of machines in ELF files, and what we call them; the last is nobody's.
MACHINES = {243: "riscv64", 21: "ppc64", 22: "s390x", 258: "loongarch64", 8: "mips64", 0x7abc: "ELF machine 31420"}


def elf(machine: int) -> bytes:
    """The core of a guest with 64 KB of RAM at 0x80000000, and a table of x86 that maps it."""
    ram = bytearray(0x10000)
    ram[0x40:0x80] = BYTES
    for level in range(3):
        struct.pack_into("<Q", ram, 0x1000 * (level + 1), 0x80000000 + 0x1000 * (level + 2) | 3)
    head = b"\x7fELF\x02\x01\x01".ljust(16, b"\0")
    head += struct.pack("<HHIQQQIHHHHHH", 4, machine, 1, 0, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    segment = struct.pack("<IIQQQQQQ", 1, 7, 120, 0, 0x80000000, len(ram), len(ram), 0)
    return head + segment + bytes(ram)


@pytest.mark.parametrize("machine", MACHINES)
def test_dumps_of_others_are_refused_by_name(machine: int, binary: Path, tmp_path: Path) -> None:
    dump = tmp_path / "dump.elf"
    dump.write_bytes(elf(machine))

    def run(*words: str) -> "subprocess.CompletedProcess[str]":
        command = [str(binary), words[0], "--image", str(dump), *words[1:]]
        return subprocess.run(command, capture_output=True, text=True, timeout=60)
    for flags in ([], ["--cr3", "0x80001000"]):
        done = run("v2p", *flags, "0x10")
        assert (done.returncode, done.stdout) == (3, "")
        assert f"the guest is of {MACHINES[machine]}, which no walker models" in done.stderr
    assert run("v2p", "--arch", "x86_64", "--cr3", "0x80001000", "0x10").returncode in (0, 1)
    assert json.loads(run("read", "--phys", "--json", "0x80000040", "64").stdout)["data"] == BYTES.hex()
    assert run("convert", "--to", "elf", "-o", str(tmp_path / "out")).returncode == 3
    assert run("convert", "--to", "raw", "-o", str(tmp_path / "out")).returncode == 0


#: gdb's names.
GDB = {"riscv64": ("riscv:rv64", "riscv64"), "s390x": ("s390:64-bit", "s390x"), "m68k": ("m68k", "m68k")}


def test_at_the_stub_memory_and_regions_are_answered(other: Other) -> None:
    if other.name not in GDB:
        pytest.skip("gdb cannot connect to it")
    name, shown = GDB[other.name]
    target = ["-ex", f"set architecture {name}", "-ex", f"target remote {other.qemu.gdb_socket}"]
    questions = [f"rrfind {other.ram:#x}", f"rrxp/8bx {other.ram:#x}", "rrv2p 0x1000", "disconnect"]
    found, listed, refused, _ = answers(target, questions, gdb="gdb-multiarch")
    assert f"offset_within_address_space {other.ram:#x}" in found
    assert listed.split(":")[1].split() == [f"{byte:#04x}" for byte in BYTES[:8]]
    assert f"the guest is of {shown}, which no walker models" in refused


@pytest.mark.parametrize("kind", ["elf", "kdump", "stream"])
def test_files_of_a_riscv_guest_are_refused_by_name(kind: str, binary: Path, tmp_path: Path) -> None:
    arguments, _, ram = OTHERS["riscv64"]
    contents, path, mtree = tmp_path / "bytes", tmp_path / "file", tmp_path / "mtree"
    contents.write_bytes(BYTES)
    loader = f"loader,file={contents},addr={ram:#x},force-raw=on"
    with Qemu("qemu-system-riscv64", ["-S", *arguments.split(), "-device", loader]) as qemu:
        mtree.write_text(qemu.hmp("info mtree -f"))
        if kind == "stream":
            qemu.qmp.execute("migrate", uri=f"exec:cat>{path}")
            qemu.wait_for(lambda: qemu.qmp.execute("query-migrate").get("status") == "completed", 60, "the stream")
        else:
            form = {"format": "kdump-zlib"} if kind == "kdump" else {}
            qemu.qmp.execute("dump-guest-memory", paging=False, protocol=f"file:{path}", **form)
    source = ["--image", str(path), *(["--mtree", str(mtree)] if kind == "stream" else [])]
    read = subprocess.run([str(binary), "read", *source, "--phys", f"{ram:#x}", "64"], capture_output=True, timeout=60)
    assert read.stdout == BYTES, read.stderr
    for flags in ([], ["--cr3", f"{ram:#x}"]):
        done = subprocess.run([str(binary), "v2p", *source, *flags, "0x1000"], capture_output=True, timeout=60)
        assert (done.returncode, done.stdout) == (3, b"")
        assert re.search(rb"the guest is of riscv(64)?, which no walker models", done.stderr)
