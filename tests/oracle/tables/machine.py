"""A stopped QEMU: guest RAM in a shared file, QMP and the gdb stub on sockets.

Tables are written straight into the RAM file, so one QEMU serves many cases.
The gdb stub's register packets set what a kernel would have set.
"""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Optional
from xml.etree import ElementTree

from .image import PAGE, Image

TIMEOUT = 60.0


class OracleError(RuntimeError):
    """QEMU did not do what the oracle needs."""


@dataclass(frozen=True)
class Setup:
    """One QEMU command line, and where its RAM sits.

    `blocks` are (guest-physical start, size, offset in the RAM file).
    """

    binary: str
    machine: str
    cpu: str
    blocks: tuple[tuple[int, int, int], ...]
    memory: str
    extra: tuple[str, ...] = field(default_factory=tuple)

    def place(self, gpa: int) -> int:
        """The offset in the RAM file of a guest-physical address."""
        for start, size, offset in self.blocks:
            if start <= gpa < start + size:
                return gpa - start + offset
        raise OracleError(f"no RAM at {gpa:#x}")

    def file_size(self) -> int:
        """How long the RAM file is."""
        return max(offset + size for _, size, offset in self.blocks)


def connect(path: str, process: subprocess.Popen[bytes]) -> socket.socket:
    """Connect to a socket that QEMU is about to create."""
    deadline = time.monotonic() + TIMEOUT
    while True:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.connect(path)
            sock.settimeout(TIMEOUT)
            return sock
        except OSError:
            sock.close()
            if process.poll() is not None or time.monotonic() > deadline:
                raise OracleError("QEMU did not open its sockets") from None
            time.sleep(0.02)


class Qmp:
    """QEMU's machine protocol: one command, one answer, or many in a pipe."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.stream = sock.makefile("rb")
        self.events: list[str] = []
        self.stream.readline()
        self.command("qmp_capabilities")

    def _send(self, name: str, arguments: Optional[dict[str, object]]) -> None:
        message: dict[str, object] = {"execute": name}
        if arguments:
            message["arguments"] = arguments
        self.sock.sendall(json.dumps(message).encode() + b"\n")

    def _message(self) -> dict[str, object]:
        line = self.stream.readline()
        if not line:
            raise OracleError("QEMU closed its monitor")
        message: dict[str, object] = json.loads(line)
        if "event" in message:
            self.events.append(str(message["event"]))
        return message

    def _answer(self) -> object:
        while True:
            message = self._message()
            if "error" in message:
                raise OracleError(str(message["error"]))
            if "return" in message:
                return message["return"]

    def command_and_event(self, name: str, event: str) -> None:
        """Run one command and wait for an event that it sets off."""
        self.events.clear()
        self.command(name)
        while event not in self.events:
            self._message()

    def command(self, name: str, **arguments: object) -> object:
        """Run one command and return what it returned."""
        self._send(name, arguments)
        return self._answer()

    def monitor(self, line: str) -> str:
        """Run one command of the human monitor."""
        return str(self.command("human-monitor-command", **{"command-line": line}))

    def monitor_all(self, lines: Iterable[str]) -> list[str]:
        """Run many commands of the human monitor, a few in flight at a time."""
        answers: list[str] = []
        waiting = 0
        for line in lines:
            self._send("human-monitor-command", {"command-line": line})
            waiting += 1
            if waiting == 8:
                answers.append(str(self._answer()))
                waiting -= 1
        answers.extend(str(self._answer()) for _ in range(waiting))
        return answers


class GdbStub:
    """The few packets of the gdb remote protocol that set and run a CPU."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.buffer = b""
        self.packet("qSupported:xmlRegisters=i386,arm,aarch64")
        self.registers = self._describe()

    def _byte(self) -> bytes:
        if not self.buffer:
            self.buffer = self.sock.recv(65536)
            if not self.buffer:
                raise OracleError("QEMU closed its gdb stub")
        first, self.buffer = self.buffer[:1], self.buffer[1:]
        return first

    def _receive(self) -> str:
        while self._byte() != b"$":
            pass
        body = bytearray()
        while True:
            byte = self._byte()
            if byte == b"#":
                break
            body += bytes([self._byte()[0] ^ 0x20]) if byte == b"}" else byte
        self._byte()
        self._byte()
        self.sock.sendall(b"+")
        return body.decode("latin-1")

    def send(self, body: str) -> None:
        """Send a packet and do not wait for its answer."""
        total = sum(body.encode("latin-1")) & 0xFF
        self.sock.sendall(f"${body}#{total:02x}".encode("latin-1"))

    def packet(self, body: str) -> str:
        """Send a packet and return its answer."""
        self.send(body)
        return self._receive()

    def wait_stop(self) -> str:
        """Wait until the guest stops."""
        return self._receive()

    def _document(self, name: str) -> str:
        text = ""
        while True:
            part = self.packet(f"qXfer:features:read:{name}:{len(text):x},800")
            text += part[1:]
            if part[:1] != "m":
                return text

    def _describe(self) -> dict[str, tuple[int, int]]:
        found: dict[str, tuple[int, int]] = {}
        number = 0
        target = self._document("target.xml")
        for name in re.findall(r'<xi:include href="([^"]+)"', target):
            root = ElementTree.fromstring(re.sub(r"<!DOCTYPE[^>]*>", "", self._document(name)))
            for reg in root.iter("reg"):
                number = int(reg.get("regnum", number))
                found[str(reg.get("name"))] = (number, int(str(reg.get("bitsize"))) // 8)
                number += 1
        return found

    def read(self, name: str) -> int:
        """The value of a register."""
        number, _ = self.registers[name]
        return int.from_bytes(bytes.fromhex(self.packet(f"p{number:x}")), "little")

    def write(self, name: str, value: int) -> None:
        """Set a register."""
        number, size = self.registers[name]
        answer = self.packet(f"P{number:x}={value.to_bytes(size, 'little').hex()}")
        if answer != "OK":
            raise OracleError(f"the gdb stub refused {name}: {answer}")

    def step(self) -> None:
        """Run one instruction."""
        self.packet("s")

    def run_to(self, address: int, kind: int) -> None:
        """Run until the instruction at `address` is about to execute."""
        self.packet(f"Z0,{address:x},{kind}")
        self.packet("c")
        self.packet(f"z0,{address:x},{kind}")


class Machine:
    """A running QEMU process whose CPU stands still unless a stub runs."""

    def __init__(self, setup: Setup, folder: str) -> None:
        self.setup = setup
        self.ram_path = os.path.join(folder, "ram")
        self.ram = os.open(self.ram_path, os.O_CREAT | os.O_RDWR | os.O_TRUNC, 0o600)
        os.ftruncate(self.ram, setup.file_size())
        self.stored: list[int] = []
        qmp, gdb = os.path.join(folder, "qmp"), os.path.join(folder, "gdb")
        self.process = subprocess.Popen(self._command(qmp, gdb))
        try:
            self.qmp = Qmp(connect(qmp, self.process))
            self.gdb = GdbStub(connect(gdb, self.process))
        except BaseException:
            self.close()
            raise

    def _command(self, qmp: str, gdb: str) -> list[str]:
        size = self.setup.memory
        ram = f"memory-backend-file,id=ram,share=on,size={size},mem-path={self.ram_path}"
        return [
            self.setup.binary,
            *("-M", f"{self.setup.machine},memory-backend=ram", "-cpu", self.setup.cpu),
            *("-m", size, "-object", ram, "-S", "-nodefaults", "-display", "none"),
            *("-qmp", f"unix:{qmp},server=on,wait=off"),
            *("-chardev", f"socket,id=gdb,path={gdb},server=on,wait=off"),
            *("-gdb", "chardev:gdb", *self.setup.extra),
        ]

    def close(self) -> None:
        """End QEMU and give the RAM back."""
        self.process.kill()
        self.process.wait()
        os.close(self.ram)
        os.unlink(self.ram_path)

    def load(self, image: Image) -> None:
        """Replace everything that was loaded before by `image`."""
        for gpa in self.stored:
            os.pwrite(self.ram, bytes(PAGE), self.setup.place(gpa))
        image.store(self.ram, self.setup.place)
        self.stored = [gpa for gpa, _ in image.items()]

    def read(self, gpa: int, size: int) -> bytes:
        """Guest-physical bytes, from the RAM file."""
        return os.pread(self.ram, size, self.setup.place(gpa))

    def write(self, gpa: int, data: bytes) -> None:
        """Store guest-physical bytes in the RAM file."""
        os.pwrite(self.ram, data, self.setup.place(gpa))

    def reset(self) -> None:
        """Reset the machine: registers as after power on."""
        self.qmp.command_and_event("system_reset", "RESET")

    def word(self, gpa: int) -> int:
        """Eight bytes as QEMU itself sees them."""
        text = self.qmp.monitor(f"xp /1gx {gpa:#x}")
        return int(text.split(":")[1], 16)

    def gva2gpa(self, addresses: Iterable[int]) -> list[Optional[int]]:
        """What the monitor answers for each address; None is `Unmapped`."""
        lines = [f"gva2gpa {address:#x}" for address in addresses]
        return [parse_gpa(text) for text in self.qmp.monitor_all(lines)]


def parse_gpa(text: str) -> Optional[int]:
    """`gpa: 0x1000` or `Unmapped`."""
    match = re.match(r"gpa: (0x[0-9a-f]+|0)\s*$", text)
    if match:
        return int(match.group(1), 16)
    if text.strip() != "Unmapped":
        raise OracleError(f"gva2gpa answered {text!r}")
    return None
