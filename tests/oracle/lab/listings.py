"""The machines whose memory maps are compared, and the blocks of the monitor's listings."""

from __future__ import annotations

import re
from typing import List

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


def blocks(text: str, heads: str) -> List[str]:
    """The blocks of a listing, sorted."""
    return sorted(block.strip("\n") for block in re.split(heads, text) if block.strip())
