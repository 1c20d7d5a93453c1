"""`rrwatch` in real gdb: on a real emulator whose guest writes and reads its disk, and on a fixture
(`fixtures/emulator.c`, no QEMU) that is small enough for gdb's `record full`.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Iterator, List

import pytest

from lab.emulators import gcore
from lab.gdb_session import answers, attached, on_core
from lab.qemu import Qemu
from lab.situation import gpa2hva
from lab.stubs import FIXTURES, assemble

BUFFER, COUNTER, DRIVE = 0x9000, 0x9200, 0x9300
SECTOR = 512


@pytest.fixture(scope="module")
def disk_guest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Qemu]:
    """A machine that counts and reads two sectors of its disk by turns."""
    disk = tmp_path_factory.mktemp("disk") / "disk.img"
    with disk.open("wb") as file:
        file.write(assemble("x86_16_disk") + b"A" * SECTOR + b"B" * SECTOR)
        # The firmware passes over disks of less than a cylinder.
        file.truncate(8 << 20)
    drive = ["-drive", f"file={disk},format=raw,if=none,id=disk", "-device", "virtio-blk-pci,drive=disk"]
    with Qemu("qemu-system-x86_64", ["-M", "pc", "-m", "32", "-accel", "tcg,tb-size=32", *drive]) as qemu:
        qemu.wait_for(lambda: count(qemu) > 10, 60, "the guest counts")
        yield qemu


def count(qemu: Qemu) -> int:
    """What the guest has counted to."""
    return int(qemu.hmp(f"xp /1xh {COUNTER:#x}").split()[-1], 16)


def hits(said: List[str]) -> "list[tuple[int, int]]":
    """Old and new values, by gdb."""
    values = [re.search(r"Old value = (\d+).*\nNew value = (\d+)", text) for text in said]
    return [(int(found.group(1)), int(found.group(2))) for found in values if found]


def test_a_write_of_the_guest_is_hit_and_said_with_both_addresses(disk_guest: Qemu) -> None:
    host = gpa2hva(disk_guest, COUNTER)
    said = answers(attached(disk_guest.pid), [f"rrwatch {COUNTER:#x} 2", "continue", "continue", "continue",
                                              "info rrwatch", "delete 1", "info rrwatch"])
    assert f"*(unsigned short *){host:#x}\nrrwatch 1: virtual {COUNTER:#x}  gpa {COUNTER:#x}  host {host:#x}" in said[0]
    found = hits(said[1:4])
    assert len(found) == 3 and all(new == (old + 1) % 65536 for old, new in found)
    assert f": {found[0][0]:#x} -> {found[0][1]:#x}" in said[1] and "unseen" not in "".join(said)
    assert "hit 3 times" in said[4] and f"now {found[2][1]:#x}" in said[4]
    assert said[6] == "No guest bytes are watched."


def test_reads_and_accesses_of_the_guest_are_hit(disk_guest: Qemu) -> None:
    said = answers(attached(disk_guest.pid), [f"rrwatch -r {DRIVE:#x}", "continue", "delete",
                                              f"rrwatch -a {DRIVE:#x}", "continue"])
    assert "Value = 128" in said[1] and f"gpa {DRIVE:#x}" in said[1] and said[1].endswith("0x80, unchanged")
    assert "access (read/write) watchpoint" in said[3] and "Value = 128" in said[4]


def test_a_buffer_that_disk_input_filled_is_noticed_at_the_stop(disk_guest: Qemu) -> None:
    # Only the counter's watchpoint stops it: QEMU's pread() of the sector triggers none.
    said = answers(attached(disk_guest.pid), [f"rrwatch -p {BUFFER:#x} 4", f"rrwatch {COUNTER:#x} 2",
                                              *["continue"] * 6, "info rrwatch"])
    changes = re.findall(r"rrwatch 1: .*: 0x(4\d{7}) -> 0x(4\d{7}), unseen by the processor", "\n".join(said))
    assert len(changes) >= 4 and all({old, new} == {"41414141", "42424242"} for old, new in changes)
    assert len(hits(said)) == 6 and "hit 0 times" in said[-1]


def test_a_core_is_not_watched(disk_guest: Qemu, tmp_path: Path) -> None:
    said = answers(on_core(gcore(disk_guest.pid, tmp_path)), [f"rrwatch {COUNTER:#x}", "set rrmem write on",
                                                              f"rrset {COUNTER:#x} = 1"])
    assert said[0] == "a core does not run: there is nothing to watch"
    assert said[2] == "a core cannot be changed"


@pytest.fixture(scope="module")
def fixture(tmp_path_factory: pytest.TempPathFactory) -> List[str]:
    """gdb's arguments for the fixture, stopped at its first stop."""
    program = tmp_path_factory.mktemp("fixture") / "emulator"
    source = FIXTURES / "emulator.c"
    subprocess.run(["gcc", "-g", "-O0", "-o", str(program), str(source)], check=True)
    stops = [word for name in ("ready", "written", "filled", "remapped") for word in ("-ex", f"break {name}")]
    return ["-ex", f"file {program}", *stops, "-ex", "run"]


def test_reverse_execution_finds_who_wrote_a_guest_byte(fixture: List[str]) -> None:
    said = answers(fixture, ["record full", "continue", "rrwatch 0x400010", "reverse-continue", "backtrace 1",
                             "reverse-continue", "p i", "reverse-continue", "reverse-continue", "info rrwatch"])
    assert "step by step in the recording" in said[2]
    assert hits(said[3:8]) == [(3, 2), (2, 1), (1, 0)]
    assert "guilty (i=3)" in said[4] and said[6] == "$1 = 2"
    # Where the recording began; gdb's words for it differ from release to release.
    assert "ready () at" in said[8] and "rrwatch" not in said[8]


def test_a_watch_over_two_pages_becomes_several(fixture: List[str]) -> None:
    said = answers(fixture, ["rrwatch 0x400ffc 8", "rrwatch 0x400ff9 12", "rrwatch 0x400000 32", "rrwatch 0x400000 16",
                             "rrwatch 0x400000", "info rrwatch"])
    assert re.findall(r"virtual (0x\w+)  gpa (0x\w+) .* (\d+) bytes", said[0]) == [
        ("0x400ffc", "0x8ffc", "4"), ("0x401000", "0xa000", "4")]
    assert said[1].startswith("12 bytes from 0x400ff9 on take 5 watchpoints, and the processor has 4")
    assert said[2].startswith("the processor has 4 watchpoint registers: 2 are in use, and 4 more are needed")
    assert said[3].count("rrwatch ") == 2 and "4 are in use, and 1 more" in said[4]
    assert len(said[5].splitlines()) == 4


def test_the_entry_that_maps_an_address_is_watched_and_a_remapped_page_is_said(fixture: List[str]) -> None:
    said = answers(fixture, ["rrwatch -e 0x400010", "rrwatch 0x400018", "rrwatch 0x401000", "disable 2 3 6",
                             "continue", "continue"])
    assert "PTE of 0x400010, physical 0x4000  gpa 0x4000" in said[0] and "8 bytes" in said[0]
    assert hits(said[4:]) == [(0x8003, 0xC003)]
    remapped = "the guest has remapped 0x400018, which leads to 0xc018 now"
    assert "\n".join(said).count(remapped) == 1 and "remapped 0x401000" not in "\n".join(said)


def test_what_the_kernel_wrote_and_what_a_debugger_wrote_are_told_apart(fixture: List[str]) -> None:
    said = answers(fixture, ["rrwatch 0x400020 4", "disable 1 2 5", "set variable bytes[0x8020] = 1", "continue"])
    assert "0x1 -> 0x464c457f, unseen by the processor" not in said[3]
    assert ": 0x1 -> 0x464c457f, while it was disabled" in said[3]


def test_under_kvm_it_is_refused_with_the_reason(fixture: List[str]) -> None:
    # No KVM: the CPU only says that it is one of KVM's.
    said = answers(fixture, ["set variable cpu.parent_obj.kvm_state = &cpu", "rrwatch 0x400010"])
    assert "the guest runs under KVM, where its writes trigger no watchpoint of the host" in said[1]
    assert said[1].startswith("note: KVM has newer registers")


def test_wrong_words_and_places_are_one_sentence(fixture: List[str]) -> None:
    commands = ["rrwatch", "rrwatch -x 1", "rrwatch -r -a 0x400000", "rrwatch -p -e 1", "rrwatch 0x500000", "rrwatch 0x400000 0",
                "rrwatch 0x400000 99", "rrwatch -p 0x20000", "rrwatch nonsense", "rrwatch 1 2 3", "rrwatch -e 1 2"]
    for command, text in zip(commands, answers(fixture, commands)):
        sentence, _, hint = text.partition("\n")
        assert sentence and "Traceback" not in text and "Error" not in text, (command, text)
        assert not hint or hint.startswith("hint: ") and "\n" not in hint, (command, text)


def test_rrset_changes_bytes_only_when_that_is_allowed(fixture: List[str]) -> None:
    said = answers(fixture, ["rrset 0x400010 = 5", "set rrmem write on", "rrset/g 0x400010 = 0x1122334455667788",
                             "x/gx &bytes[0x8010]", "rrset 0x400010 = \"abc\"", "x/s &bytes[0x8010]",
                             "rrset 0x400ffe = 0x11223344", "p/x bytes[0xa001]", "rrset 0x400018 = -1.5",
                             "p *(double *)&bytes[0x8018]", "rrset/b 0x400010 = 300", "rrset 0x500000 = 1", "rrset 5"])
    assert said[0] == "rrset changes the guest: if you mean it, `set rrmem write on`"
    assert said[3].endswith("0x1122334455667788") and said[5].endswith('"abc"')
    assert said[7] == "$1 = 0x11" and said[9] == "$2 = -1.5"
    assert said[10].startswith("300 is no number of 1 bytes") and said[11].startswith("0x500000 is not mapped")
    assert said[12].startswith("rrset takes ADDRESS = VALUE")


def test_rrset_refuses_a_recording(fixture: List[str]) -> None:
    said = answers(fixture, ["set rrmem write on", "record full", "rrset 0x400010 = 5", "p bytes[0x8010]"])
    assert said[2] == "what is recorded is not changed: `record stop` first" and said[3].startswith("$1 = 0 ")


def test_rrset_changes_a_real_guest(disk_guest: Qemu) -> None:
    said = answers(attached(disk_guest.pid), ["set rrmem write on", "rrset/g 0x9400 = 0x1122334455667788"])
    assert said[1] == "0x9400: 8 bytes written"
    assert disk_guest.hmp("xp /1xg 0x9400").split()[-1] == "0x1122334455667788"
