"""Flat views read while they change: each answer is one that the monitor gave, before or after.

DIMMs are plugged one by one into an emulator that is read all the while without being stopped.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import List

from lab.cli import run_program
from lab.guests import KINDS, Guest
from lab.listings import FLAT_HEADS, X86, blocks
from lab.mtree import parse_flat
from lab.qemu import Qemu

DIMMS = 60
DEVICES = 20
#: There is room for DIMMs. No firmware runs, which would change the map too.
MACHINE = ["-S", "-M", "pc", "-m", "32,slots=64,maxmem=32G"]
READERS = 2


def plug(qemu: Qemu, listings: List[List[str]]) -> None:
    """Plugs DIMMs and keeps what the monitor shows after each."""
    for number in range(DIMMS):
        qemu.qmp.execute("object-add", **{"qom-type": "memory-backend-ram", "id": f"m{number}", "size": 128 << 20})
        qemu.qmp.execute("device_add", driver="pc-dimm", id=f"d{number}", memdev=f"m{number}")
        listings.append(blocks(qemu.hmp("info mtree -f"), FLAT_HEADS))
        # A moment without a change, as long as the monitor takes.
        assert all(blocks(text, FLAT_HEADS) == listings[-1] for text in qemu.qmp.monitor_all(["info mtree -f"] * 24))


def answers(binary: Path, qemu: Qemu, done: List[bool]) -> List[List[str]]:
    """What the program shows until that is over, again and again."""
    found: List[List[str]] = []
    while not done:
        text = run_program(binary, "mtree", "-f", "--pid", str(qemu.pid)).stdout.decode()
        found.append(blocks(text, FLAT_HEADS))
    return found


def test_each_answer_while_dimms_are_plugged_is_one_of_the_monitors(binary: Path) -> None:
    with Qemu(X86, MACHINE) as qemu, ThreadPoolExecutor(READERS) as readers:
        done: List[bool] = []
        listings = [blocks(qemu.hmp("info mtree -f"), FLAT_HEADS)]
        reading = [readers.submit(answers, binary, qemu, done) for _ in range(READERS)]
        try:
            plug(qemu, listings)
        finally:
            done.append(True)
        found = [answer for reader in reading for answer in reader.result()]
    assert [answer for answer in found if answer not in listings] == []
    assert len(listings) == DIMMS + 1 and len(found) >= 10
    assert sum(listings[0] != answer != listings[-1] for answer in found) >= 3, "nothing was read meanwhile"


def memory(block_list: List[str]) -> object:
    """The ranges of the CPUs' own address space."""
    return parse_flat("".join(f"FlatView #0\n{block}" for block in block_list))["memory"]


def test_memory_is_never_wrong_while_pci_devices_come(binary: Path) -> None:
    """They bring address spaces of their own; without a guest's driver, memory stays."""
    with Qemu(X86, MACHINE) as qemu, ThreadPoolExecutor(READERS) as readers:
        done: List[bool] = []
        before = memory(blocks(qemu.hmp("info mtree -f"), FLAT_HEADS))
        reading = [readers.submit(answers, binary, qemu, done) for _ in range(READERS)]
        try:
            for number in range(DEVICES):
                qemu.qmp.execute("device_add", driver="virtio-rng-pci", id=f"p{number}")
                assert memory(blocks(qemu.hmp("info mtree -f"), FLAT_HEADS)) == before
        finally:
            done.append(True)
        found = [answer for reader in reading for answer in reader.result()]
        assert [answer for answer in found if memory(answer) != before] == []
        text = run_program(binary, "mtree", "-f", "--pid", str(qemu.pid)).stdout.decode()
        assert blocks(text, FLAT_HEADS) == blocks(qemu.hmp("info mtree -f"), FLAT_HEADS)


def test_a_device_that_the_guest_maps_and_lets_go_comes_and_goes(binary: Path) -> None:
    with Guest(KINDS["x86_64-4level"]) as guest:
        qemu = guest.qemu

        def ports(text: str) -> int:
            """Serial ports that are mapped."""
            return len([line for line in text.splitlines() if line.endswith(": serial")])

        def maps(count: int) -> None:
            """Waits until the guest maps so many serial ports, and compares."""
            qemu.qmp.execute("cont")
            qemu.wait_for(lambda: ports(qemu.hmp("info mtree -f")) == count, 60, "the guest's driver")
            qemu.qmp.execute("stop")
            text = run_program(binary, "mtree", "-f", "--pid", str(qemu.pid)).stdout.decode()
            assert blocks(text, FLAT_HEADS) == blocks(qemu.hmp("info mtree -f"), FLAT_HEADS)
            assert ports(text) == count

        before = ports(qemu.hmp("info mtree -f"))
        qemu.qmp.execute("device_add", driver="pci-serial", id="hot")
        maps(before + 1)
        qemu.qmp.execute("device_del", id="hot")
        maps(before)
