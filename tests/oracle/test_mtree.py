"""rr-mem's printing of region trees and flat views against `info mtree`, on many machines.

The emulators run no guest (`-S`): only their memory map matters. `regionmap.py` reads the
map from outside into the note of an otherwise empty core, the program prints it, and the
text must be the monitor's, block by block (QEMU's order of blocks is a hash's).
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Iterator, List, Tuple

import pytest

from cli import run_program
from elfcore import EM_X86_64, ElfCore, Note, Segment
from qemu import Qemu
from regionmap import Json, read_region_map, without_hosts

X86, ARM, A64 = "qemu-system-x86_64", "qemu-system-arm", "qemu-system-aarch64"
# These boards have sound, and QEMU 10 wants to know where it goes.
SILENT = "-audiodev none,id=silent -global pl041.audiodev=silent"
MACHINES = {
    "pc": (X86, "-M pc -m 96"),
    "pc-devices": (X86, "-M pc -m 64 -device VGA -device e1000,romfile= -device nec-usb-xhci "
                        "-device pci-testdev,membar=16M -device edu"),
    "pc-above-4g": (X86, "-M pc,max-ram-below-4g=1G -m 2G"),
    "pc-nvdimm": (X86, "-M pc,nvdimm=on -m 64,slots=2,maxmem=1G "
                       "-object memory-backend-ram,id=n,size=16M -device nvdimm,memdev=n "
                       "-object memory-backend-ram,id=d,size=128M -device pc-dimm,memdev=d"),
    "pc-numa": (X86, "-M pc -m 128 -smp 2 -object memory-backend-ram,id=a,size=64M "
                     "-object memory-backend-ram,id=b,size=64M "
                     "-numa node,memdev=a,cpus=0 -numa node,memdev=b,cpus=1"),
    "q35": (X86, "-M q35 -m 96 -smp 2"),
    "q35-bridges": (X86, "-M q35 -m 64 -device pcie-root-port,id=p,chassis=1 "
                         "-device virtio-net-pci,bus=p,romfile= -device ich9-ahci -device bochs-display"),
    "q35-iommu": (X86, "-M q35,kernel-irqchip=off -m 64 -device intel-iommu -device virtio-rng-pci"),
    "isapc": ("qemu-system-i386", "-M isapc -m 16"),
    "microvm": (X86, "-M microvm -m 64"),
    "virt-arm": (ARM, "-M virt -cpu cortex-a15 -m 128"),
    "virt-secure": (ARM, "-M virt,secure=on -cpu cortex-a15 -m 128"),
    "vexpress-a15": (ARM, f"-M vexpress-a15 -m 128 {SILENT}"),
    "versatilepb": (ARM, f"-M versatilepb -m 64 {SILENT}"),
    "lm3s6965evb": (ARM, "-M lm3s6965evb"),
    "mps2-an505": (ARM, "-M mps2-an505"),
    "virt-aarch64": (A64, "-M virt -cpu cortex-a57 -m 192"),
    "virt-smmu": (A64, "-M virt,iommu=smmuv3,virtualization=on -cpu max -m 64 -device virtio-rng-pci"),
    "sbsa-ref": (A64, "-M sbsa-ref -m 256"),
    "raspi3b": (A64, "-M raspi3b"),
}
FLAT_HEADS = r"(?m)^FlatView #\d+\n"
TREE_HEADS = r"\n\n"

Situation = Tuple[Qemu, Json]


@pytest.fixture(scope="module", params=sorted(MACHINES))
def situation(request: pytest.FixtureRequest) -> Iterator[Situation]:
    """An emulator that runs nothing, and its map (read when all regions have names)."""
    binary, arguments = MACHINES[request.param]
    with Qemu(binary, ["-S", *arguments.split()]) as qemu:
        qemu.hmp("info mtree -D")
        qemu.hmp("info mtree -f")
        yield qemu, without_hosts(read_region_map(qemu.pid))


def blocks(text: str, heads: str) -> List[str]:
    """The blocks of a listing, sorted."""
    return sorted(block.strip("\n") for block in re.split(heads, text) if block.strip())


def printed(binary: Path, folder: Path, region_map: Json, *flags: str) -> str:
    """What the program prints of a map."""
    note = {"version": 1, "arch": "x86_64", "source": "test_mtree.py", "cpus": [], "regions": region_map}
    path = folder / "map.elf"
    text = json.dumps(note).encode()
    ElfCore(EM_X86_64, [Segment(0, bytes(0x1000))], [Note("RRMEM", 1, text)]).save(path)
    return run_program(binary, "mtree", *flags, "--image", str(path)).stdout.decode()


def test_tree_equals_info_mtree(situation: Situation, binary: Path, tmp_path: Path) -> None:
    qemu, region_map = situation
    expected = blocks(qemu.hmp("info mtree"), TREE_HEADS)
    assert blocks(printed(binary, tmp_path, region_map), TREE_HEADS) == expected
    assert sum(len(block.splitlines()) for block in expected) >= 15


def test_disabled_regions_equal_info_mtree(situation: Situation, binary: Path, tmp_path: Path) -> None:
    qemu, region_map = situation
    expected = blocks(qemu.hmp("info mtree -D"), TREE_HEADS)
    assert blocks(printed(binary, tmp_path, region_map, "-D"), TREE_HEADS) == expected


def test_stored_flat_views_equal_info_mtree(situation: Situation, binary: Path, tmp_path: Path) -> None:
    qemu, region_map = situation
    expected = blocks(qemu.hmp("info mtree -f"), FLAT_HEADS)
    assert blocks(printed(binary, tmp_path, region_map, "-f"), FLAT_HEADS) == expected
    assert len(expected) >= 2


def test_rendered_flat_views_equal_info_mtree(situation: Situation, binary: Path, tmp_path: Path) -> None:
    qemu, region_map = situation
    spaces = [{**space, "flat": None} for space in region_map["address_spaces"]]
    expected = blocks(qemu.hmp("info mtree -f"), FLAT_HEADS)
    text = printed(binary, tmp_path, {**region_map, "address_spaces": spaces}, "-f")
    assert blocks(text, FLAT_HEADS) == expected
