"""Fetches the guest kernels of the oracle tests and builds a tiny initrd for each.

Kernels come from Debian with `apt-get download` under an own apt configuration
(own state and cache folders, foreign architectures), which reuses the system's
sources and keyrings. Packages are unpacked with `dpkg -x` and never installed;
only the kernel image and an initrd of a static busybox are kept.

Run it by hand with `python3 tests/oracle/fetch.py [FLAVOUR...]`; a second run finds
everything in the cache and does nothing.
"""

from __future__ import annotations

import gzip
import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, Iterable, List, Optional, Sequence

from cpio import CpioEntry, write_newc

REPO = Path(__file__).resolve().parents[2]
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


class FetchError(Exception):
    """A guest could not be fetched; the text says what to do."""


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


def cache_root() -> Path:
    """The folder of everything fetched: `RR_MEM_CACHE`, or `target/oracle` of the repository."""
    return Path(os.environ.get("RR_MEM_CACHE") or REPO / "target" / "oracle").resolve()


def require_tools(tools: Dict[str, str]) -> None:
    """Fails with the command that installs what is missing; maps a program to its package."""
    missing = sorted({package for tool, package in tools.items() if not shutil.which(tool)})
    if missing:
        raise FetchError(f"missing programs; install them: apt-get install {' '.join(missing)}")


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
    apt = Apt(cache_root() / "apt")
    package = apt.dependency(flavour.metapackage, flavour.architecture)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        tree = Path(scratch)
        kernel_version = apt.unpack(package, flavour.architecture, tree / "kernel")
        busybox_version = apt.unpack("busybox-static", flavour.architecture, tree / "busybox")
        shutil.copy(_only(tree / "kernel" / "boot", "vmlinuz*"), folder / "vmlinuz")
        busybox = _only(tree / "busybox" / "bin", "busybox").read_bytes()
    (folder / "initrd.gz").write_bytes(initrd(busybox))
    facts = {
        "format": CACHE_FORMAT,
        "package": f"{package} {kernel_version} ({flavour.architecture})",
        "busybox": f"busybox-static {busybox_version} ({flavour.architecture})",
    }
    (folder / "manifest.json").write_text(json.dumps(facts, indent=1) + "\n")


def _only(folder: Path, pattern: str) -> Path:
    """The one file of a folder that matches."""
    found = sorted(folder.glob(pattern))
    if len(found) != 1:
        raise FetchError(f"expected one {pattern} in {folder}, found {len(found)}")
    return found[0]


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


class Apt:
    """apt with its own state and cache: nothing of the system's is changed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = folder / "apt.conf"

    def dependency(self, metapackage: str, architecture: str) -> str:
        """The real package that a kernel metapackage stands for."""
        self._prepare()
        text = self._run(["apt-cache", "depends", f"{metapackage}:{architecture}"])
        names = [line.split()[-1] for line in text.splitlines() if "Depends:" in line]
        for name in names:
            if name.startswith("linux-image-"):
                return name.split(":")[0]
        raise FetchError(
            f"{metapackage}:{architecture} is not in the package lists; check the system's "
            f"apt sources, then run: rm -r {self.folder}\n{self._update_errors()}"
        )

    def unpack(self, package: str, architecture: str, target: Path) -> str:
        """Downloads a package, unpacks it into `target`, and returns its version."""
        self._prepare()
        with tempfile.TemporaryDirectory(dir=self.folder) as scratch:
            self._run(["apt-get", "download", f"{package}:{architecture}"], cwd=Path(scratch))
            deb = _only(Path(scratch), "*.deb")
            self._run(["dpkg", "-x", str(deb), str(target)])
            return self._run(["dpkg-deb", "--field", str(deb), "Version"]).strip()

    def _prepare(self) -> None:
        """Writes the configuration and fetches the package lists, once."""
        done = self.folder / "lists-fetched"
        if done.exists():
            return
        for name in ("state/lists/partial", "cache/archives/partial"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        (self.folder / "status").touch()
        self.config.write_text(self._config_text())
        # A suite that is out of step fails the update as a whole; the others serve.
        done.write_text(self._try(["apt-get", "update"]).stderr)

    def _config_text(self) -> str:
        """The configuration: own folders, all guest architectures, no translations."""
        architectures = sorted({flavour.architecture for flavour in FLAVOURS.values()})
        lines = [
            'APT::Architecture "amd64";',
            "#clear APT::Architectures;",
            "APT::Architectures { " + " ".join(f'"{name}";' for name in architectures) + " };",
            f'Dir::State "{self.folder / "state"}";',
            f'Dir::State::status "{self.folder / "status"}";',
            f'Dir::Cache "{self.folder / "cache"}";',
            'APT::Sandbox::User "root";',
            'Acquire::Languages "none";',
        ]
        return "\n".join(lines) + "\n"

    def _update_errors(self) -> str:
        """What `apt-get update` complained about."""
        return (self.folder / "lists-fetched").read_text().strip()

    def _run(self, command: Sequence[str], cwd: Optional[Path] = None) -> str:
        """Runs a command under this configuration and returns its output."""
        done = self._try(command, cwd)
        if done.returncode != 0:
            raise FetchError(f"`{' '.join(command)}` failed:\n{done.stderr.strip()}")
        return done.stdout

    def _try(
        self, command: Sequence[str], cwd: Optional[Path] = None
    ) -> "subprocess.CompletedProcess[str]":
        """Runs a command under this configuration, whatever comes of it."""
        return subprocess.run(
            command, cwd=cwd, env={**os.environ, "APT_CONFIG": str(self.config), "LC_ALL": "C"},
            text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )


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
