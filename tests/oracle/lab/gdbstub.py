"""A small client of the gdb remote serial protocol, for QEMU's stub on a unix socket.

Protocol: GDB manual, appendix "Remote Protocol" (packets `g`, `p`, `P`, `m`,
`qXfer:features:read`) and QEMU's documentation "GDB usage" (`qqemu.PhyMemMode`).
Registers are found by name in the target description. Connecting pauses the guest.
"""

from __future__ import annotations

import re
import socket
import xml.etree.ElementTree as ElementTree
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Dict, Iterator


class StubError(Exception):
    """The stub refused a request or spoke something else."""


@dataclass(frozen=True)
class Register:
    """A register of the target description."""

    name: str
    number: int
    bits: int
    feature: str


class GdbStub(AbstractContextManager):  # type: ignore[type-arg]
    """One connection; use it in a `with` statement. Values are little-endian guests'."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._socket.settimeout(30)
        self._buffer = b""
        self.request("qSupported:xmlRegisters=i386,arm;qXfer:features:read+")
        self.registers = self._read_description()

    def request(self, body: str) -> str:
        """Sends one packet and returns the body of the answer."""
        data = body.encode()
        self._socket.sendall(b"$%s#%02x" % (data, sum(data) & 0xFF))
        if self._byte() != b"+":
            raise StubError(f"no acknowledgement of {body!r}")
        return self._packet()

    def _packet(self) -> str:
        """Receives one packet, acknowledges it, and undoes escapes and run lengths."""
        while self._byte() != b"$":
            pass
        raw = b""
        while not raw.endswith(b"#"):
            raw += self._byte()
        checksum = self._byte() + self._byte()
        if sum(raw[:-1]) & 0xFF != int(checksum, 16):
            raise StubError("a packet with a wrong checksum")
        self._socket.sendall(b"+")
        return _unescape(raw[:-1]).decode("latin-1")

    def _byte(self) -> bytes:
        """The next byte of the stub."""
        if not self._buffer:
            self._buffer = self._socket.recv(65536)
            if not self._buffer:
                raise StubError("the stub closed the connection")
        head, self._buffer = self._buffer[:1], self._buffer[1:]
        return head

    def _annex(self, name: str) -> str:
        """One file of the target description, read piece by piece."""
        text = ""
        while True:
            piece = self.request(f"qXfer:features:read:{name}:{len(text):x},ffb")
            if piece[:1] not in ("l", "m"):
                raise StubError(f"no target description {name}: {piece!r}")
            text += piece[1:]
            if piece[0] == "l":
                return text

    def _read_description(self) -> Dict[str, Register]:
        """All registers by name, numbered as GDB does: in order unless `regnum` is given."""
        registers: Dict[str, Register] = {}
        following = 0
        for feature, element in self._elements():
            number = int(element.get("regnum", following))
            name = element.attrib["name"]
            registers.setdefault(name, Register(name, number, int(element.attrib["bitsize"]), feature))
            following = number + 1
        return registers

    def _elements(self) -> Iterator["tuple[str, ElementTree.Element]"]:
        """The `<reg>` elements of all features, in order, with their feature's name."""
        for annex in re.findall(r'<xi:include href="([^"]+)"', self._annex("target.xml")):
            root = ElementTree.fromstring(self._annex(annex))
            for element in root.iter("reg"):
                yield root.get("name", ""), element

    def read_register(self, name: str) -> int:
        """The value of a register, by its name in the target description.

        From QEMU 11 on a register of EL1 that other levels have too says so in its name.
        """
        register = self.registers.get(name) or self.registers[f"{name}_EL1"]
        answer = self.request(f"p{register.number:x}")
        if re.fullmatch(r"([0-9a-f]{2})+", answer) is None:
            raise StubError(f"cannot read register {name}: {answer!r}")
        return int.from_bytes(bytes.fromhex(answer), "little")

    def write_register(self, name: str, value: int) -> None:
        """Sets a register, by its name in the target description."""
        register = self.registers[name]
        raw = value.to_bytes(register.bits // 8, "little").hex()
        answer = self.request(f"P{register.number:x}={raw}")
        if answer != "OK":
            raise StubError(f"cannot write register {name}: {answer!r}")

    def step(self) -> None:
        """Runs one instruction."""
        self.request("s")

    def run_to(self, address: int, kind: int) -> None:
        """Runs until the instruction at `address` is about to execute."""
        self._socket.settimeout(300)
        for body in (f"Z0,{address:x},{kind}", "c", f"z0,{address:x},{kind}"):
            self.request(body)
        self._socket.settimeout(30)

    def general_registers(self) -> bytes:
        """The block of general registers (packet `g`), in the guest's byte order."""
        return bytes.fromhex(self.request("g"))

    def use_physical_memory(self, physical: bool) -> None:
        """Chooses whether memory is addressed by guest-physical address."""
        if self.request(f"Qqemu.PhyMemMode:{int(physical)}") != "OK":
            raise StubError("the stub has no physical memory mode")

    def read_memory(self, address: int, length: int) -> bytes:
        """Bytes of guest memory; fails where the stub cannot read."""
        data = b""
        while len(data) < length:
            piece = min(length - len(data), 0x400)
            answer = self.request(f"m{address + len(data):x},{piece:x}")
            if answer.startswith("E") or not answer:
                raise StubError(f"cannot read memory at {address + len(data):#x}: {answer!r}")
            data += bytes.fromhex(answer)
        return data

    def close(self) -> None:
        """Ends the connection; the guest stays paused."""
        self._socket.close()

    def __exit__(self, *_: object) -> None:
        self.close()


def _unescape(data: bytes) -> bytes:
    """A packet body without `}` escapes and `*` run lengths."""
    out = bytearray()
    index = 0
    while index < len(data):
        if data[index] == ord("}"):
            index += 1
            out.append(data[index] ^ 0x20)
        elif data[index] == ord("*") and out:
            index += 1
            out += out[-1:] * (data[index] - 29)
        else:
            out.append(data[index])
        index += 1
    return bytes(out)
