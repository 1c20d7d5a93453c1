"""Other releases of QEMU for the oracle tests: Debian's, unpacked, not installed.

`python3 -m lab.backports [RELEASE]`, run in tests/oracle, prints the folder of the programs of a release
(10.0), which are called as the installed ones: with that folder first in PATH, the tests
run on it. 10.0-others are the emulators of architectures that no walker models.
"""

from __future__ import annotations

import shutil
import struct
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Sequence, Tuple

from .apt import Apt, FetchError, cache_root, require_tools

BINARIES = ("qemu-system-x86_64", "qemu-system-i386", "qemu-system-aarch64", "qemu-system-arm")
OTHERS = ("qemu-system-riscv64", "qemu-system-s390x", "qemu-system-m68k", "qemu-system-xtensa",
          "qemu-system-loongarch64")
LIBRARIES = ("usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu")
PT_INTERP = 3
LOADER = "usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"


@dataclass(frozen=True)
class Release:
    """Where a release of QEMU comes from, and what else of that suite it needs."""

    suite: str
    packages: Tuple[str, ...]
    own_libraries: bool
    folder: str
    binaries: Tuple[str, ...] = BINARIES
    own_libc: bool = False

    @property
    def systems_own(self) -> Tuple[str, ...]:
        """What the system has in order, of all that the packages depend on."""
        return SYSTEMS_OWN if self.own_libc else ("libc6", *SYSTEMS_OWN)


RELEASES = {
    "10.0": Release("bookworm-backports", (
        "qemu-system-x86", "qemu-system-arm", "qemu-system-common", "qemu-system-data", "seabios",
    ), own_libraries=False, folder="qemu-backports"),
    "10.0-others": Release("bookworm-backports", (
        "qemu-system-misc", "qemu-system-riscv", "qemu-system-s390x", "qemu-system-common", "qemu-system-data",
    ), own_libraries=False, folder="qemu-backports-others", binaries=OTHERS),
    "5.2": Release("bullseye", ("qemu-system-x86", "qemu-system-arm"), own_libraries=True, folder="qemu-bullseye"),
    "11.1": Release(
        "sid", ("qemu-system-x86", "qemu-system-arm"), own_libraries=True, folder="qemu-sid", own_libc=True,
    ),
}
#: What no emulator needs, of all that a release's packages depend on.
SYSTEMS_OWN = ("dpkg", "iso-codes", "passwd", "perl-base", "tar")


def qemu(release: str = "10.0") -> Path:
    """The folder of a release's programs, fetched when they are not in the cache yet."""
    wanted = RELEASES[release]
    folder = cache_root() / wanted.folder
    programs = folder / "bin"
    if not programs.is_dir():
        shutil.rmtree(folder, ignore_errors=True)
        _fetch(wanted, folder)
        if wanted.own_libc:
            _load_with_own(folder / "root")
        _write_programs(folder, programs, wanted)
    return programs


def _fetch(release: Release, folder: Path) -> None:
    """Unpacks the packages into `folder`/root."""
    require_tools({"apt-get": "apt", "dpkg": "dpkg"})
    print(f"fetching QEMU from {release.suite}", file=sys.stderr)
    folder.mkdir(parents=True)
    name = "backports" if release.suite.endswith("-backports") else release.suite
    apt = Apt(cache_root() / f"apt-{name}", ["amd64"], release.suite)
    if release.own_libraries:
        apt.unpack_all(release.packages, folder / "root", release.systems_own)
        return
    for package in release.packages:
        apt.unpack(package, _architecture(package), folder / "root")


def _architecture(package: str) -> str:
    """Firmware is for all."""
    return "all" if package in ("qemu-system-data", "seabios") else "amd64"


def _load_with_own(root: Path) -> None:
    """Lets the programs be loaded by the loader of their own libc.

    The name of the loader (PT_INTERP of the ELF header) moves to the end of the file.
    """
    loader = str(root / LOADER).encode() + b"\0"
    for name in BINARIES:
        program = root / "usr/bin" / name
        data = bytearray(program.read_bytes())
        table, size, count = *struct.unpack_from("<Q", data, 32), *struct.unpack_from("<2H", data, 54)
        headers = range(table, table + size * count, size)
        header = next(at for at in headers if struct.unpack_from("<I", data, at)[0] == PT_INTERP)
        struct.pack_into("<Q", data, header + 8, len(data))
        struct.pack_into("<Q", data, header + 32, len(loader))
        program.write_bytes(data + loader)


def _write_programs(folder: Path, programs: Path, release: Release) -> None:
    """Programs that find their firmware; the folder gets its name when it is complete."""
    root, unfinished = folder / "root", folder / "bin.new"
    unfinished.mkdir()
    firmware = f"-L {root / 'usr/share/seabios'} -L {root / 'usr/share/qemu'}"
    libraries = ":".join(str(root / library) for library in LIBRARIES) if release.own_libraries else ""
    setting = f"export LD_LIBRARY_PATH={libraries}\n" if libraries else ""
    for name in release.binaries:
        program = unfinished / name
        program.write_text(f'#!/bin/sh\n{setting}exec {root / "usr/bin" / name} {firmware} "$@"\n')
        program.chmod(0o755)
    unfinished.rename(programs)


def main(arguments: Sequence[str]) -> int:
    """Prints the folder."""
    try:
        print(qemu(*arguments[:1]))
    except KeyError:
        print(f"error: no such release; there are {', '.join(RELEASES)}", file=sys.stderr)
        return 2
    except FetchError as error:
        print(f"error: {error}", file=sys.stderr)
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
