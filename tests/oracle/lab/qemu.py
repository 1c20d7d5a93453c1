"""Starts an emulator and always ends it.

It gets a serial log, a QMP socket and a gdb stub socket in a temporary folder of its own.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
import time
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, List, Optional, Sequence

from .qmp import Qmp
from .sockets import SocketError, connect


class QemuError(Exception):
    """The emulator could not be started, ended early, or refused a command."""


class Qemu(AbstractContextManager):  # type: ignore[type-arg]
    """A running emulator; use it in a `with` statement."""

    def __init__(self, binary: str, arguments: Sequence[str], stub: bool = True) -> None:
        if not shutil.which(binary):
            arm, x86 = "aarch64" in binary or "arm" in binary, "x86" in binary or "i386" in binary
            package = "qemu-system-arm" if arm else "qemu-system-x86" if x86 else "qemu-system-misc"
            raise QemuError(f"{binary} is not installed; install it: apt-get install {package}")
        self._temporary = tempfile.TemporaryDirectory(prefix="rr-mem-oracle-")
        self.folder = Path(self._temporary.name)
        self.serial = self.folder / "serial.log"
        self.gdb_socket = self.folder / "gdb.sock"
        self._errors = self.folder / "stderr.log"
        self._qmp: Optional[Qmp] = None
        self.process = self._start([binary, *self._common_arguments(stub), *arguments])

    def _common_arguments(self, stub: bool) -> List[str]:
        """No default devices, and everything we talk to in the temporary folder; a machine
        without CPUs takes no gdb stub."""
        served = ["-gdb", f"unix:{self.gdb_socket},server=on,wait=off"] if stub else []
        return [
            "-nodefaults", "-no-user-config", "-display", "none",
            "-serial", f"file:{self.serial}",
            "-qmp", f"unix:{self.folder / 'qmp.sock'},server=on,wait=off",
            *served,
        ]

    def _start(self, command: Sequence[str]) -> "subprocess.Popen[bytes]":
        """Starts the process with its complaints in a file."""
        with self._errors.open("wb") as errors:
            return subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors
            )

    @property
    def pid(self) -> int:
        """The process id of the emulator."""
        return self.process.pid

    @property
    def qmp(self) -> Qmp:
        """The QMP session, opened at first use."""
        if self._qmp is None:
            self._qmp = Qmp(self._connect(self.folder / "qmp.sock"))
        return self._qmp

    def _connect(self, path: Path) -> socket.socket:
        """A connection to a socket of the emulator, or its own complaint."""
        try:
            return connect(path, self.process)
        except SocketError as error:
            raise QemuError(f"{error}: {self._errors.read_text().strip()}") from None

    def hmp(self, command: str) -> str:
        """The text that a command of the human monitor prints, with plain line ends."""
        return self.qmp.monitor(command)

    def wait_for(self, condition: Any, seconds: float, what: str) -> None:
        """Polls until a condition holds; fails when the emulator ends or time is up."""
        limit = time.monotonic() + seconds
        while not condition():
            if self.process.poll() is not None:
                raise QemuError(f"the emulator ended: {self._errors.read_text().strip()}")
            if time.monotonic() > limit:
                raise QemuError(f"waited {seconds:.0f} s for {what}; serial log:\n{self.serial_tail()}")
            time.sleep(0.02)

    def serial_text(self) -> str:
        """What the guest has printed."""
        return self.serial.read_text(errors="replace") if self.serial.exists() else ""

    def serial_tail(self) -> str:
        """The last lines that the guest printed."""
        return "\n".join(self.serial_text().splitlines()[-15:])

    def close(self) -> None:
        """Kills the emulator and removes its folder."""
        if self._qmp is not None:
            self._qmp.close()
        self.process.kill()
        self.process.wait()
        self._temporary.cleanup()

    def __exit__(self, *_: object) -> None:
        self.close()
