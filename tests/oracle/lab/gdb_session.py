"""Sessions of real gdb on an emulator's process or core, with `gdb/rrmem.py` sourced."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import time
from pathlib import Path
from typing import List, Sequence

from .program import REPO

SCRIPT = REPO / "gdb" / "rrmem.py"
MARK = "@@rr-mem@@"
SECONDS = 60
#: Nothing of the user's, no questions, and no function of the program is ever called.
QUIET = ["-nx", "-q", "-iex", "set debuginfod enabled off", "-iex", "set may-call-functions off",
         "-iex", "set pagination off", "-iex", "set width 0"]


def attached(pid: int) -> List[str]:
    """gdb's arguments for a process."""
    return ["-ex", f"attach {pid}"]


def on_core(core: Path) -> List[str]:
    """gdb's arguments for a core without its executable."""
    return ["-ex", f"core-file {core}"]


def answers(target: Sequence[str], commands: Sequence[str], source: bool = True, gdb: str = "gdb") -> List[str]:
    """What gdb says to each command, output and errors, without the last line's end."""
    sourced = ["-ex", f"source {SCRIPT}"] if source else []
    marked = [word for command in commands for word in ("-ex", f"echo {MARK}", "-ex", command)]
    command = [gdb, *QUIET, "-batch", *target, *sourced, *marked, "-ex", f"echo {MARK}"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=SECONDS)
    parts = done.stdout.decode(errors="replace").split(MARK)
    assert len(parts) == len(commands) + 2, done.stdout.decode(errors="replace")[-3000:]
    return [part.rstrip("\n") for part in parts[1:-1]]


def listed(text: str) -> bytes:
    """The bytes that `rrx/Nxb` shows."""
    values = (word for line in text.splitlines() for word in line.split(":", 1)[1].split())
    return bytes(int(value, 16) for value in values)


class Terminal:
    """A gdb at a terminal, where Enter repeats a command."""

    def __init__(self, target: Sequence[str]) -> None:
        self._fd, other = pty.openpty()
        environment = {**os.environ, "TERM": "dumb", "HISTFILE": "/dev/null"}
        self._process = subprocess.Popen(["gdb", *QUIET, *target, "-ex", f"source {SCRIPT}"],
                                         stdin=other, stdout=other, stderr=other, env=environment)
        os.close(other)
        self._until_prompt()

    def type(self, line: str) -> str:
        """What gdb says to a line."""
        os.write(self._fd, f"{line}\n".encode())
        text = self._until_prompt().replace("\r", "")
        return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text).split("\n", 1)[1].rsplit("(gdb)", 1)[0].strip()

    def _until_prompt(self) -> str:
        text, limit = "", time.monotonic() + SECONDS
        while not text.endswith("(gdb) "):
            ready, _, _ = select.select([self._fd], [], [], max(0.0, limit - time.monotonic()))
            assert ready, text
            text += os.read(self._fd, 65536).decode(errors="replace")
        return text

    def close(self) -> None:
        """Detaches and ends it."""
        os.write(self._fd, b"detach\nquit\n")
        self._process.wait(timeout=SECONDS)
        os.close(self._fd)
