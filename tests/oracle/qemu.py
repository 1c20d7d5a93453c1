"""Starts an emulator, talks to its monitor over QMP, and always ends it.

QMP: QEMU documentation, "QEMU Machine Protocol Specification". The emulator gets a
serial log, a QMP socket and a gdb stub socket in a temporary folder of its own.
"""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any, List, Optional, Sequence, Type

START_SECONDS = 30.0


class QemuError(Exception):
    """The emulator could not be started, ended early, or refused a command."""


class Qmp:
    """A QMP session on a unix socket."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.connect(str(path))
        self._stream = self._socket.makefile("rb")
        self._receive()
        self.execute("qmp_capabilities")

    def execute(self, command: str, **arguments: Any) -> Any:
        """Runs a QMP command and returns its answer; events are dropped."""
        request = {"execute": command, "arguments": arguments}
        self._socket.sendall(json.dumps(request).encode() + b"\n")
        while True:
            message = self._receive()
            if "error" in message:
                raise QemuError(f"{command}: {message['error']['desc']}")
            if "return" in message:
                return message["return"]

    def _receive(self) -> Any:
        """The next message of the emulator."""
        line = self._stream.readline()
        if not line:
            raise QemuError("the emulator closed its QMP socket")
        return json.loads(line)

    def close(self) -> None:
        """Ends the session."""
        self._stream.close()
        self._socket.close()


class Qemu:
    """A running emulator; use it in a `with` statement."""

    def __init__(self, binary: str, arguments: Sequence[str]) -> None:
        if not shutil.which(binary):
            package = "qemu-system-arm" if "aarch64" in binary or "arm" in binary else "qemu-system-x86"
            raise QemuError(f"{binary} is not installed; install it: apt-get install {package}")
        self._temporary = tempfile.TemporaryDirectory(prefix="rr-mem-oracle-")
        self.folder = Path(self._temporary.name)
        self.serial = self.folder / "serial.log"
        self.gdb_socket = self.folder / "gdb.sock"
        self._errors = self.folder / "stderr.log"
        self._qmp: Optional[Qmp] = None
        self.process = self._start([binary, *self._common_arguments(), *arguments])

    def _common_arguments(self) -> List[str]:
        """No default devices, and everything we talk to in the temporary folder."""
        return [
            "-nodefaults", "-no-user-config", "-display", "none",
            "-serial", f"file:{self.serial}",
            "-qmp", f"unix:{self.folder / 'qmp.sock'},server=on,wait=off",
            "-gdb", f"unix:{self.gdb_socket},server=on,wait=off",
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
            path = self.folder / "qmp.sock"
            self.wait_for(lambda: self._connect(path), START_SECONDS, "its QMP socket")
        assert self._qmp is not None
        return self._qmp

    def _connect(self, path: Path) -> bool:
        """Opens the session; the socket is there a moment before it can be used."""
        try:
            self._qmp = Qmp(path)
        except (FileNotFoundError, ConnectionRefusedError):
            return False
        return True

    def hmp(self, command: str) -> str:
        """The text that a command of the human monitor prints, with plain line ends."""
        text: str = self.qmp.execute("human-monitor-command", **{"command-line": command})
        return text.replace("\r\n", "\n")

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

    def __enter__(self) -> Qemu:
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self.close()
