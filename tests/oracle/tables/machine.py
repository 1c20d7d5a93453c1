"""A stopped QEMU: guest RAM in a shared file, QMP and the gdb stub on sockets.

Tables are written straight into the RAM file, so one QEMU serves many cases.
The gdb stub's register packets set what a kernel would have set.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Optional

from lab.gdbstub import GdbStub
from lab.qmp import Qmp
from lab.sockets import connect

from .image import PAGE, Image


class OracleError(RuntimeError):
    """QEMU did not do what the oracle needs."""


@dataclass(frozen=True)
class Setup:
    """One QEMU command line, and where its RAM sits.

    `blocks` are (guest-physical start, size, offset in the RAM file). `far` is the start
    and size of a memory device that lies apart and has a file of its own.
    """

    binary: str
    machine: str
    cpu: str
    blocks: tuple[tuple[int, int, int], ...]
    memory: str
    extra: tuple[str, ...] = field(default_factory=tuple)
    far: Optional[tuple[int, int]] = None

    def place(self, gpa: int) -> int:
        """The offset in the RAM file of a guest-physical address."""
        for start, size, offset in self.blocks:
            if start <= gpa < start + size:
                return gpa - start + offset
        raise OracleError(f"no RAM at {gpa:#x}")

    def file_size(self) -> int:
        """How long the RAM file is."""
        return max(offset + size for _, size, offset in self.blocks)


class Machine:
    """A running QEMU process whose CPU stands still unless a stub runs."""

    def __init__(self, setup: Setup, folder: str) -> None:
        self.setup, self.folder = setup, folder
        self.ram = self._file("ram", setup.file_size())
        self.far = self._file("far", setup.far[1]) if setup.far else -1
        self.stored: list[int] = []
        qmp, gdb = os.path.join(folder, "qmp"), os.path.join(folder, "gdb")
        self.process = subprocess.Popen(self._command(qmp, gdb))
        try:
            self.qmp = Qmp(connect(Path(qmp), self.process))
            self.gdb = GdbStub(connect(Path(gdb), self.process))
        except BaseException:
            self.close()
            raise

    def _file(self, name: str, size: int) -> int:
        path = os.path.join(self.folder, name)
        file = os.open(path, os.O_CREAT | os.O_RDWR | os.O_TRUNC, 0o600)
        os.ftruncate(file, size)
        return file

    def _backend(self, name: str, size: str) -> tuple[str, str]:
        path = os.path.join(self.folder, name)
        return ("-object", f"memory-backend-file,id={name},share=on,size={size},mem-path={path}")

    def _memory(self) -> tuple[str, ...]:
        """RAM, and the far memory device: `virt` wants firmware before it takes one."""
        size, far = self.setup.memory, self.setup.far
        if far is None:
            return (*self._backend("ram", size), "-m", size)
        os.close(self._file("firmware", PAGE))
        return (
            *(*self._backend("ram", size), *self._backend("far", str(far[1]))),
            *("-m", f"{size},slots=1,maxmem={far[0] + far[1]}"),
            *("-device", f"pc-dimm,memdev=far,addr={far[0]:#x}"),
            *("-bios", os.path.join(self.folder, "firmware")),
        )

    def _command(self, qmp: str, gdb: str) -> list[str]:
        return [
            self.setup.binary,
            *("-M", f"{self.setup.machine},memory-backend=ram", "-cpu", self.setup.cpu),
            *(*self._memory(), "-S", "-nodefaults", "-display", "none"),
            *("-qmp", f"unix:{qmp},server=on,wait=off"),
            *("-chardev", f"socket,id=gdb,path={gdb},server=on,wait=off"),
            *("-gdb", "chardev:gdb", *self.setup.extra),
        ]

    def close(self) -> None:
        """End QEMU and give the RAM back."""
        self.process.kill()
        self.process.wait()
        for name, file in (("ram", self.ram), ("far", self.far)):
            if file >= 0:
                os.close(file)
                os.unlink(os.path.join(self.folder, name))

    def load(self, image: Image) -> None:
        """Replace everything that was loaded before by `image`."""
        for gpa in self.stored:
            self.write(gpa, bytes(PAGE))
        self.add(image)
        self.stored = [gpa for gpa, _ in image.items()]

    def add(self, image: Image) -> None:
        """Store an image beside what is there."""
        for gpa, data in image.items():
            self.write(gpa, data)

    def _locate(self, gpa: int) -> tuple[int, int]:
        """The file and the offset of a guest-physical address."""
        far = self.setup.far
        if far and far[0] <= gpa < sum(far):
            return self.far, gpa - far[0]
        return self.ram, self.setup.place(gpa)

    def read(self, gpa: int, size: int) -> bytes:
        """Guest-physical bytes, from the RAM file."""
        file, offset = self._locate(gpa)
        return os.pread(file, size, offset)

    def write(self, gpa: int, data: bytes) -> None:
        """Store guest-physical bytes in the RAM file."""
        file, offset = self._locate(gpa)
        os.pwrite(file, data, offset)

    def reset(self) -> None:
        """Reset the machine: registers as after power on."""
        self.qmp.execute_until("system_reset", "RESET")

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
