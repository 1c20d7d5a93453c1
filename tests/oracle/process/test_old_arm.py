"""An ARM926 (PANDA's usual ARM guest), whose tables are those of ARMv5: the process, its core,
its stream, its dump and its gdb stub give the monitor's answers, with the rights of subpages.
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Iterator, List, Optional, Sequence

import pytest

from lab.cli import json_lines, number
from lab.emulators import complaint, gcore
from lab.gdb_session import answers
from lab.qemu import Qemu
from lab.stubs import assemble

#: Address, where the tables lead, the page's bytes, what the user may.
PLACES = (
    (0x100000, 0x5000, 0x1000, "rwx"),
    (0x101000, 0x6000, 0x400, "r-x"),
    (0x101800, 0x6800, 0x400, "---"),
    (0x200000, 0x5400, 0x400, "rwx"),
    (0x200400, None, None, None),
)


@pytest.fixture(scope="module")
def guest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Qemu]:
    """The guest with its MMU on."""
    program = tmp_path_factory.mktemp("v5") / "guest.bin"
    program.write_bytes(assemble("arm_v5_guest"))
    loader = f"loader,file={program},addr=0,force-raw=on,cpu-num=0"
    silent = ["-audiodev", "none,id=silent", "-global", "pl041.audiodev=silent"]
    with Qemu("qemu-system-arm", ["-M", "versatilepb", "-m", "16", *silent, "-device", loader]) as qemu:
        qemu.wait_for(lambda: "gpa: 0x5400" in qemu.hmp("gva2gpa 0x200000"), 20, "the MMU")
        yield qemu


def check(binary: Path, *source: str) -> None:
    """The answers about any source."""
    words = [str(binary), "v2p", "--json", *source, *(f"{gva:#x}" for gva, *_ in PLACES)]
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, timeout=60)
    assert done.returncode == 1, done.stderr.decode()
    for row, (_, gpa, size, user) in zip(json_lines(done.stdout), PLACES):
        if gpa is None:
            assert row["gpa"] is None and row["fault"], row
        else:
            assert (number(row["gpa"]), int(str(row["page_size"]), 0)) == (gpa, size), row
            rights = row["rights"]["user"]
            assert "".join(letter if rights[letter] else "-" for letter in "rwx") == user, row


def test_the_monitor_agrees(guest: Qemu) -> None:
    told: List[Optional[int]] = []
    for gva, *_ in PLACES:
        text = guest.hmp(f"gva2gpa {gva:#x}").strip()
        told.append(None if text == "Unmapped" else int(text.removeprefix("gpa: "), 16))
    assert told == [gpa for _, gpa, *_ in PLACES]


def test_the_process_answers(guest: Qemu, binary: Path) -> None:
    check(binary, "--pid", str(guest.pid))


def test_its_core_answers(guest: Qemu, binary: Path, tmp_path: Path) -> None:
    check(binary, "--core", str(gcore(guest.pid, tmp_path)))


def test_its_gdb_stub_answers(guest: Qemu) -> None:
    target = ["-ex", f"target remote {guest.gdb_socket}"]
    questions = ["rrv2p 0x200000", "rrv2p 0x101800", "rrv2p 0x200400", "disconnect"]
    tiny, subpage, hole, _ = answers(target, questions, gdb="gdb-multiarch")
    assert "0x5400" in tiny and "0x6800" in subpage and "not mapped" in hole


def test_its_dump_asks_for_the_version(guest: Qemu, binary: Path, tmp_path: Path) -> None:
    dump = tmp_path / "dump.elf"
    guest.qmp.execute("dump-guest-memory", paging=False, protocol=f"file:{dump}")
    known: Sequence[str] = ["--image", str(dump), "--ttbr0", "0x4000", "--dacr", "1"]
    version = ["--arm-version", "5", "--sctlr", "0x90079"]
    check(binary, *known, *version)
    asked = complaint(binary, "v2p", *known, "--sctlr", "0x90079", "0x200000", code=2)
    assert "ARM_VERSION is not known" in asked and "--arm-version" in asked


def test_its_stream_answers(guest: Qemu, binary: Path, tmp_path: Path) -> None:
    stream = tmp_path / "stream"
    guest.qmp.execute("migrate", uri=f"exec:cat > {stream}")
    done = lambda: guest.qmp.execute("query-migrate").get("status") == "completed"
    guest.wait_for(done, 60, "the stream")
    check(binary, "--image", str(stream))
