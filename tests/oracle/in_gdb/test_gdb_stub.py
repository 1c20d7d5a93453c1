"""The commands of `gdb/rrmem.py` where gdb is at a guest, through QEMU's gdb stub, against the monitor."""

from __future__ import annotations

import random
import re
from typing import List

import pytest

from lab.addresses import SEED
from lab.differences import line_differences
from lab.gdb_session import answers, listed
from lab.guests import Guest
from lab.listings import FLAT_HEADS, blocks
from lab.situation import PLACE_BYTES, Case, monitor_bytes

from .test_gdb import physical

SITUATIONS = [("x86_64-4level", "user"), ("arm-lpae", "kernel"), ("aarch64-max", "kernel")]
ADDRESSES = 60
#: gdb's names, which it is told where no executable is.
ARCHITECTURES = {"x86_64": "i386:x86-64", "arm": "arm", "aarch64": "aarch64"}
MODE = "maintenance packet qqemu.PhyMemMode"


@pytest.fixture(scope="module", params=SITUATIONS, ids="-".join)
def guest(request: pytest.FixtureRequest, running) -> Guest:  # type: ignore[no-untyped-def]
    """Some of the guests and moments."""
    found: Guest = running.at(*request.param)
    return found


@pytest.fixture
def stub(guest: Guest) -> List[str]:
    """gdb's arguments for the guest."""
    return ["-ex", f"set architecture {ARCHITECTURES[guest.kind.arch]}", "-ex", f"target remote {guest.qemu.gdb_socket}"]


def of_stub(stub: List[str], commands: List[str]) -> List[str]:
    """What the gdb of every architecture says; it leaves the guest stopped where it is."""
    return answers(stub, [*commands, "disconnect"], gdb="gdb-multiarch")[:-1]


def test_rrv2p_equals_gva2gpa(case: Case, guest: Guest, stub: List[str]) -> None:
    pairs = list(zip(case.addresses, case.answers))
    if not guest.kind.is_x86:
        # ARM's monitor refuses what the CPU's mode may not read.
        pairs = [(address, answer) for address, answer in pairs if answer is not None]
    chosen = random.Random(SEED).sample(pairs, ADDRESSES)
    said = of_stub(stub, [f"rrv2p {address:#x}" for address, _ in chosen])
    assert [physical(text) for text in said] == [answer for _, answer in chosen]
    assert sum(answer is not None for _, answer in chosen) >= ADDRESSES // 2


def test_bytes_equal_the_monitors_and_the_stubs_mode_is_as_before(case: Case, guest: Guest, stub: List[str]) -> None:
    places = case.ram_places()[:6]
    expected = [monitor_bytes(guest, "xp", gpa, PLACE_BYTES) for _, gpa in places]
    commands = [f"rrx/{PLACE_BYTES}xb {gva:#x}" for gva, _ in places]
    commands += [f"rrxp/{PLACE_BYTES}xb {gpa:#x}" for _, gpa in places]
    said = of_stub(stub, [*commands, MODE, "maintenance packet Qqemu.PhyMemMode:1", commands[0], MODE,
                          "maintenance packet Qqemu.PhyMemMode:0"])
    assert [listed(text) for text in said[:len(commands)]] == expected * 2
    assert 'received: "0"' in said[-5] and listed(said[-3]) == expected[0] and 'received: "1"' in said[-2]


def test_numbers_and_gdbs_own_view_agree(case: Case, stub: List[str]) -> None:
    gva, gpa = case.ram_places()[0]
    said = of_stub(stub, [f"p/x $rr_u32({gva:#x})", f"x/1xw {gva:#x}", f"p/x $rr_phys({gva:#x})"])
    assert said[0].split()[-1] == f"{int(said[1].split()[-1], 16):#x}"
    assert said[2].split()[-1] == f"{gpa:#x}"


def test_code_is_what_gdb_disassembles(guest: Guest, stub: List[str]) -> None:
    # gdb shows the guest's code itself here, where the page is mapped.
    said = of_stub(stub, ["rrx/5i $pc", "x/5i $pc"])
    ours = [re.split(r":\s+", line, maxsplit=1) for line in said[0].splitlines()]
    theirs = [re.split(r":\s+", line.replace("=>", "  ").strip(), maxsplit=1) for line in said[1].splitlines()]
    assert ours == theirs and len(ours) == 5


def test_devices_are_never_read(guest: Guest, stub: List[str]) -> None:
    ranges = re.findall(r"^  ([0-9a-f]{16})-[0-9a-f]{16} \(prio \d+, i/o\): (\S+)", memory_view(guest.mtree_f), re.MULTILINE)
    assert ranges
    device, name = ranges[0]
    # The region map is read before, as gdb's log of packets would be part of its text.
    said = of_stub(stub, ["rrpt 0 0", "set debug remote 1", f"rrxp/4xb 0x{device}", "set debug remote 0"])
    assert f"it belongs to device {name}" in said[2]
    reads = [int(address, 16) for address in re.findall(r"Sending packet: \$m([0-9a-f]+),", said[2])]
    assert int(device, 16) not in reads


def memory_view(text: str) -> str:
    """The block of the CPUs' address space."""
    return next(block for block in text.split("\n\n") if ' AS "memory"' in block)


def test_regions_are_the_monitors(guest: Guest, stub: List[str]) -> None:
    tree, flat = guest.mtree, guest.mtree_f
    said = of_stub(stub, ["rrmtree -f", "rrmtree"])
    assert line_differences(blocks(said[0] + "\n", FLAT_HEADS), blocks(flat, FLAT_HEADS)) == []
    assert sorted(said[1].split()) == sorted(tree.split())


def test_what_a_stub_does_not_tell_is_said_and_found_in_the_process(case: Case, guest: Guest, stub: List[str]) -> None:
    gva, gpa = case.ram_places()[0]
    failing = ["rrram", "rrcpu", "rrwhere 0x1234", f"p $rr_host({gva:#x})", f"rrwatch -p {gpa:#x}", f"rrwatch -e {gva:#x}",
               "rrwatch 0 0"]
    said = of_stub(stub, [*failing, f"set rrmem pid {guest.qemu.pid}", "rrcpu", f"rrv2p {gva:#x}"])
    for command, text in zip(failing, said):
        assert text and "\n" not in text and "Traceback" not in text and "Python Exception" not in text, (command, text)
    assert "`set rrmem pid PID`" in said[0] and "CPU 0" in said[-2] and f"-> {gpa:#x}  " in said[-1]


def test_a_guest_that_runs_again_is_read_again(guest: Guest, stub: List[str]) -> None:
    # The kernel's code runs the timer: the program counter is another after a step.
    said = of_stub(stub, ["rrx/2i $pc", "stepi", "stepi", "rrx/2i $pc", "x/2i $pc"])
    assert said[3].split(":")[0] == re.sub(r"=>\s*", "", said[4]).split(":")[0].strip()
