"""Unix sockets of an emulator that was just started."""

from __future__ import annotations

import socket
import subprocess
import time
from pathlib import Path

START_SECONDS = 30.0


class SocketError(Exception):
    """The emulator did not open a socket, or closed it."""


def connect(path: Path, process: "subprocess.Popen[bytes]") -> socket.socket:
    """Connects to a socket that the emulator is about to open."""
    limit = time.monotonic() + START_SECONDS
    while True:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.connect(str(path))
            return sock
        except OSError:
            sock.close()
        if process.poll() is not None:
            raise SocketError(f"the emulator ended before it opened {path.name}")
        if time.monotonic() > limit:
            raise SocketError(f"waited {START_SECONDS:.0f} s for {path.name}")
        time.sleep(0.02)
