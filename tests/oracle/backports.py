"""A second release of QEMU for the oracle tests: Debian's backport, unpacked, not installed.

`python3 tests/oracle/backports.py` prints the folder of its programs, which are called as
the installed ones: with that folder first in PATH, the tests run on it.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from apt import Apt, FetchError, cache_root, require_tools

SUITE = "bookworm-backports"
PACKAGES = (
    "qemu-system-x86", "qemu-system-arm", "qemu-system-common", "qemu-system-data", "seabios",
)
BINARIES = ("qemu-system-x86_64", "qemu-system-i386", "qemu-system-aarch64", "qemu-system-arm")


def qemu() -> Path:
    """The folder of the programs, fetched when they are not in the cache yet."""
    folder = cache_root() / "qemu-backports"
    programs = folder / "bin"
    if not programs.is_dir():
        shutil.rmtree(folder, ignore_errors=True)
        _fetch(folder)
        _write_programs(folder, programs)
    return programs


def _fetch(folder: Path) -> None:
    """Unpacks the packages into `folder`/root."""
    require_tools({"apt-get": "apt", "dpkg": "dpkg"})
    print(f"fetching QEMU from {SUITE}", file=sys.stderr)
    folder.mkdir(parents=True)
    apt = Apt(cache_root() / "apt-backports", ["amd64"], SUITE)
    for package in PACKAGES:
        apt.unpack(package, _architecture(package), folder / "root")


def _architecture(package: str) -> str:
    """Firmware is for all."""
    return "all" if package in ("qemu-system-data", "seabios") else "amd64"


def _write_programs(folder: Path, programs: Path) -> None:
    """Programs that find their firmware; the folder gets its name when it is complete."""
    root, unfinished = folder / "root" / "usr", folder / "bin.new"
    unfinished.mkdir()
    firmware = f"-L {root / 'share' / 'seabios'} -L {root / 'share' / 'qemu'}"
    for name in BINARIES:
        program = unfinished / name
        program.write_text(f'#!/bin/sh\nexec {root / "bin" / name} {firmware} "$@"\n')
        program.chmod(0o755)
    unfinished.rename(programs)


def main() -> int:
    """Prints the folder."""
    try:
        print(qemu())
    except FetchError as error:
        print(f"error: {error}", file=sys.stderr)
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
