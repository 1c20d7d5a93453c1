"""The program, asked about a running emulator or the core of one."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import List, Sequence

from .cli import Row, json_lines, run_program
from .qemu import Qemu


class Live:
    """The program, asked about a running emulator."""

    def __init__(self, binary: Path, qemu: Qemu) -> None:
        self._binary = binary
        self._qemu = qemu

    def run(self, command: str, *arguments: str, stdin: str = "", codes: Sequence[int] = (0,)) -> bytes:
        """Standard output of a command about the emulator."""
        source = ("--pid", str(self._qemu.pid))
        done = run_program(self._binary, command, *source, *arguments, stdin=stdin, codes=codes)
        return done.stdout

    def rows(self, command: str, *arguments: str, stdin: str = "", codes: Sequence[int] = (0, 1)) -> List[Row]:
        """The rows of a command about the emulator."""
        return json_lines(self.run(command, "--json", *arguments, stdin=stdin, codes=codes))

    def v2p(self, addresses: Sequence[int], *flags: str) -> List[Row]:
        """One row for each address, in order."""
        stdin = "".join(f"{address:#x}\n" for address in addresses)
        return self.rows("v2p", *flags, "-", stdin=stdin)


def complaint(binary: Path, *arguments: str, code: int = 3) -> str:
    """What the program says when it fails with this exit code."""
    return run_program(binary, *arguments, codes=(code,)).stderr.decode()


def gcore(pid: int, folder: Path) -> Path:
    """A core of a process, by gdb."""
    command = ["gcore", "-o", str(folder / "core"), str(pid)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120)
    path = folder / f"core.{pid}"
    assert done.returncode == 0 and path.exists(), done.stdout.decode()
    return path


class Cored:
    """The program, asked about a core."""

    def __init__(self, binary: Path, core: Path, *flags: str) -> None:
        self._binary = binary
        self._source = ("--core", str(core), *flags)

    def run(self, command: str, *arguments: str, stdin: str = "", codes: Sequence[int] = (0,)) -> bytes:
        """Standard output of a command about the core."""
        return run_program(self._binary, command, *self._source, *arguments, stdin=stdin, codes=codes).stdout

    def rows(self, command: str, *arguments: str) -> List[Row]:
        """The rows of a command about the core."""
        return json_lines(self.run(command, "--json", *arguments, codes=(0, 1)))

    def complaint(self, command: str, *arguments: str, code: int = 3) -> str:
        """What the program says when it fails with this exit code."""
        return complaint(self._binary, command, *self._source, *arguments, code=code)
