"""apt with its own configuration, and the folder that everything fetched is kept in.

`apt-get download` under own state and cache folders reuses the system's sources and
keyrings. Packages are unpacked with `dpkg -x` and never installed.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Dict, Optional, Sequence

REPO = Path(__file__).resolve().parents[3]
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


class FetchError(Exception):
    """Something could not be fetched; the text says what to do."""


def cache_root() -> Path:
    """The folder of everything fetched: `RR_MEM_CACHE`, or `target/oracle` of the repository."""
    return Path(os.environ.get("RR_MEM_CACHE") or REPO / "target" / "oracle").resolve()


def require_tools(tools: Dict[str, str]) -> None:
    """Fails with the command that installs what is missing; maps a program to its package."""
    missing = sorted({package for tool, package in tools.items() if not shutil.which(tool)})
    if missing:
        raise FetchError(f"missing programs; install them: apt-get install {' '.join(missing)}")


def only(folder: Path, pattern: str) -> Path:
    """The one file of a folder that matches."""
    found = sorted(folder.glob(pattern))
    if len(found) != 1:
        raise FetchError(f"expected one {pattern} in {folder}, found {len(found)}")
    return found[0]


class Apt:
    """apt with its own state and cache: nothing of the system's is changed."""

    def __init__(self, folder: Path, architectures: Sequence[str], suite: str = "") -> None:
        """Of the system's sources, or of another `suite` of the same archive alone."""
        self.folder = folder
        self.config = folder / "apt.conf"
        self._architectures = architectures
        self._suite = suite

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
            deb = only(Path(scratch), "*.deb")
            self._run(["dpkg", "-x", str(deb), str(target)])
            return self._run(["dpkg-deb", "--field", str(deb), "Version"]).strip()

    def unpack_all(self, packages: Sequence[str], target: Path, without: Sequence[str]) -> None:
        """Unpacks packages and all that they depend on into `target`, but for some."""
        self._prepare()
        options = ["--download-only", "--no-install-recommends", "-y", "-o", "Debug::NoLocking=1"]
        self._run(["apt-get", "install", *options, *packages])
        for deb in sorted((self.folder / "cache" / "archives").glob("*.deb")):
            if deb.name.split("_")[0] not in without:
                self._run(["dpkg", "-x", str(deb), str(target)])
            deb.unlink()

    def _prepare(self) -> None:
        """Writes the configuration and fetches the package lists, once."""
        done = self.folder / "lists-fetched"
        if done.exists():
            return
        for name in ("state/lists/partial", "cache/archives/partial"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        (self.folder / "status").touch()
        self.config.write_text(self._config_text())
        if self._suite:
            (self.folder / "sources.list").write_text(self._source())
            self.config.write_text(self._config_text() + self._only_source())
        # A suite that is out of step fails the update as a whole; the others serve.
        done.write_text(self._try(["apt-get", "update"]).stderr)

    def _config_text(self) -> str:
        """The configuration: own folders and architectures, no translations."""
        lines = [
            'APT::Architecture "amd64";',
            "#clear APT::Architectures;",
            "APT::Architectures { " + " ".join(f'"{name}";' for name in self._architectures) + " };",
            f'Dir::State "{self.folder / "state"}";',
            f'Dir::State::status "{self.folder / "status"}";',
            f'Dir::Cache "{self.folder / "cache"}";',
            'APT::Sandbox::User "root";',
            'Acquire::Languages "none";',
        ]
        return "\n".join(lines) + "\n"

    def _only_source(self) -> str:
        """What takes the place of the system's sources."""
        return f'Dir::Etc::sourcelist "{self.folder / "sources.list"}";\nDir::Etc::sourceparts "-";\n'

    def _source(self) -> str:
        """The suite, from the archive that the system's own release comes from."""
        release = platform.freedesktop_os_release().get("VERSION_CODENAME")
        known = self._run(["apt-get", "indextargets", "--no-release-info", "--format", "$(RELEASE) $(REPO_URI)"])
        for line in known.splitlines():
            name, _, address = line.partition(" ")
            if name == release:
                return f"deb [signed-by={KEYRING}] {address} {self._suite} main\n"
        raise FetchError(f"the system's apt sources have no {release}")

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
