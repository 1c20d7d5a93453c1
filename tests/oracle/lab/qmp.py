"""A client of QEMU's machine protocol ("QEMU Machine Protocol Specification")."""

from __future__ import annotations

import json
import socket
from contextlib import AbstractContextManager
from typing import Any, Dict, Iterable, List

IN_FLIGHT = 8


class QmpError(Exception):
    """The emulator refused a command, or closed the connection."""


class Qmp(AbstractContextManager):  # type: ignore[type-arg]
    """One session; use it in a `with` statement."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._stream = sock.makefile("rb")
        self._events: List[str] = []
        self._receive()
        self.execute("qmp_capabilities")

    def execute(self, command: str, **arguments: Any) -> Any:
        """Runs a command and returns its answer."""
        self._send(command, arguments)
        return self._answer(command)

    def execute_until(self, command: str, event: str) -> None:
        """Runs a command and waits for an event that it sets off."""
        self._events.clear()
        self.execute(command)
        while event not in self._events:
            self._receive()

    def monitor(self, line: str) -> str:
        """The text that a command of the human monitor prints, with plain line ends."""
        return self.monitor_all([line])[0]

    def monitor_all(self, lines: Iterable[str]) -> List[str]:
        """As `monitor`, for many commands, a few in flight at a time."""
        texts: List[str] = []
        waiting: List[str] = []
        for line in lines:
            self._send("human-monitor-command", {"command-line": line})
            waiting.append(line)
            if len(waiting) == IN_FLIGHT:
                texts.append(self._answer(waiting.pop(0)))
        texts.extend(self._answer(line) for line in waiting)
        return [text.replace("\r\n", "\n") for text in texts]

    def _send(self, command: str, arguments: Dict[str, Any]) -> None:
        request = {"execute": command, "arguments": arguments}
        self._socket.sendall(json.dumps(request).encode() + b"\n")

    def _answer(self, command: str) -> Any:
        """The answer to the oldest command that has none; events are kept aside."""
        while True:
            message = self._receive()
            if "error" in message:
                raise QmpError(f"{command}: {message['error']['desc']}")
            if "return" in message:
                return message["return"]

    def _receive(self) -> Any:
        """The next message of the emulator."""
        line = self._stream.readline()
        if not line:
            raise QmpError("the emulator closed its QMP socket")
        message = json.loads(line)
        if "event" in message:
            self._events.append(message["event"])
        return message

    def close(self) -> None:
        """Ends the session."""
        self._stream.close()
        self._socket.close()

    def __exit__(self, *_: object) -> None:
        self.close()
