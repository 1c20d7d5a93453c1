"""Fetches the guest kernels of the oracle tests and builds a tiny initrd for each.

Kernels come from Debian (see `apt.py`); of their packages only the kernel image is
kept, and an initrd of a static busybox.

Run it by hand with `python3 -m lab.fetch [FLAVOUR...]` in tests/oracle; a second run finds
everything in the cache and does nothing.
"""

from __future__ import annotations

import gzip
import json
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Iterable, List

from .apt import Apt, FetchError, cache_root, only, require_tools
from .cpio import CpioEntry, write_newc

#: Raise when the contents of a cached flavour change, so that old caches are rebuilt.
CACHE_FORMAT = 2

INIT = """#!/bin/busybox sh
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sys /sys
# Alternates between user code and system calls, so that the guest can be
# stopped in either, with user pages mapped.
/bin/busybox sh -c 'while :; do
    read up idle < /proc/uptime
    i=0; while [ $i -lt 50 ]; do i=$((i + 1)); done
done' &
echo RR-MEM-READY
while :; do /bin/busybox sleep 1; done
"""


@dataclass(frozen=True)
class Flavour:
    """One kernel flavour of Debian."""

    name: str
    architecture: str

    @property
    def metapackage(self) -> str:
        """The package whose dependency is the current kernel of this flavour."""
        return f"linux-image-{self.name}"


@dataclass(frozen=True)
class Kernel:
    """A fetched kernel with its initrd, and where both came from."""

    flavour: str
    vmlinuz: Path
    initrd: Path
    package: str
    busybox: str


FLAVOURS = {
    flavour.name: flavour
    for flavour in (
        Flavour("amd64", "amd64"),
        Flavour("686", "i386"),
        Flavour("686-pae", "i386"),
        Flavour("armmp", "armhf"),
        Flavour("armmp-lpae", "armhf"),
        Flavour("arm64", "arm64"),
    )
}
ARCHITECTURES = sorted({flavour.architecture for flavour in FLAVOURS.values()})


def kernel(name: str) -> Kernel:
    """The kernel of one flavour, fetched when it is not in the cache yet."""
    folder = cache_root() / "kernels" / name
    manifest = folder / "manifest.json"
    if not _is_current(manifest):
        _fetch(FLAVOURS[name], folder)
    facts = json.loads(manifest.read_text())
    return Kernel(name, folder / "vmlinuz", folder / "initrd.gz", facts["package"], facts["busybox"])


def _is_current(manifest: Path) -> bool:
    """Whether a cached flavour is complete and of the present format (it is written last)."""
    return manifest.is_file() and json.loads(manifest.read_text()).get("format") == CACHE_FORMAT


def _fetch(flavour: Flavour, folder: Path) -> None:
    """Downloads, unpacks and keeps one flavour; the manifest is written last."""
    require_tools({"apt-get": "apt", "dpkg": "dpkg"})
    print(f"fetching the Debian kernel {flavour.name}", file=sys.stderr)
    apt = Apt(cache_root() / "apt", ARCHITECTURES)
    package = apt.dependency(flavour.metapackage, flavour.architecture)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        tree = Path(scratch)
        kernel_version = apt.unpack(package, flavour.architecture, tree / "kernel")
        busybox_version = apt.unpack("busybox-static", flavour.architecture, tree / "busybox")
        shutil.copy(only(tree / "kernel" / "boot", "vmlinuz*"), folder / "vmlinuz")
        busybox = only(tree / "busybox" / "bin", "busybox").read_bytes()
    (folder / "initrd.gz").write_bytes(initrd(busybox))
    facts = {
        "format": CACHE_FORMAT,
        "package": f"{package} {kernel_version} ({flavour.architecture})",
        "busybox": f"busybox-static {busybox_version} ({flavour.architecture})",
    }
    (folder / "manifest.json").write_text(json.dumps(facts, indent=1) + "\n")


def initrd(busybox: bytes) -> bytes:
    """A gzipped cpio archive with busybox, a console and an `/init` that reports readiness."""
    entries = [
        *(CpioEntry.folder(name) for name in ("bin", "dev", "proc", "sys")),
        CpioEntry.character_device("dev/console", 5, 1),
        CpioEntry.character_device("dev/null", 1, 3),
        CpioEntry.file("bin/busybox", busybox, executable=True),
        CpioEntry.file("init", INIT.encode(), executable=True),
    ]
    return gzip.compress(write_newc(entries), mtime=0)


def main(names: Iterable[str]) -> int:
    """Fetches the named flavours, or all; prints where each is."""
    wanted: List[str] = list(names) or list(FLAVOURS)
    unknown = [name for name in wanted if name not in FLAVOURS]
    if unknown:
        print(f"unknown flavour {unknown[0]}; known: {', '.join(FLAVOURS)}", file=sys.stderr)
        return 2
    try:
        for name in wanted:
            found = kernel(name)
            print(f"{name}: {found.package}, {found.vmlinuz}")
    except FetchError as error:
        print(f"error: {error}", file=sys.stderr)
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
