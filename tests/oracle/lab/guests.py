"""The real Linux guests of the oracle tests: one for each paging mode.

A guest is booted live, without KVM, and stopped at a *moment*: in the kernel or in
user code. At a moment its registers, a memory dump and the monitor's answers belong
together. See `fetch.py` for the kernels and the `/init` that alternates between the two.
"""

from __future__ import annotations

import re
import time
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List, Optional, Sequence

from . import fetch
from .gdbstub import GdbStub
from .qemu import Qemu, QemuError
from .sockets import connect

BOOT_SECONDS = 180.0
READY = "RR-MEM-READY"
ATTEMPTS = 500
MOMENTS = ("kernel", "user")

Registers = Dict[str, int]


@dataclass(frozen=True)
class GuestKind:
    """How a guest is started, and what it is good for."""

    name: str
    arch: str
    binary: str
    machine: str
    flavour: str
    console: str
    va_bits: int

    @property
    def is_x86(self) -> bool:
        """Whether control registers come from `info registers` and `info tlb` exists."""
        return self.arch in ("i386", "x86_64")


KINDS = {
    kind.name: kind
    for kind in (
        GuestKind("x86_64-4level", "x86_64", "qemu-system-x86_64",
                  "-M pc -cpu qemu64 -m 96", "amd64", "ttyS0", 48),
        GuestKind("x86_64-5level", "x86_64", "qemu-system-x86_64",
                  "-M q35 -cpu max -m 96", "amd64", "ttyS0", 57),
        GuestKind("i386", "i386", "qemu-system-i386",
                  "-M pc -cpu pentium3 -m 96", "686", "ttyS0", 32),
        GuestKind("i386-pae", "i386", "qemu-system-x86_64",
                  "-M pc -cpu qemu32,+pae,+nx -m 96", "686-pae", "ttyS0", 32),
        GuestKind("arm-short", "arm", "qemu-system-arm",
                  "-M virt,highmem=off -cpu cortex-a15 -m 128", "armmp", "ttyAMA0", 32),
        GuestKind("arm-lpae", "arm", "qemu-system-arm",
                  "-M virt -cpu cortex-a15 -m 128", "armmp-lpae", "ttyAMA0", 32),
        GuestKind("aarch64-a57", "aarch64", "qemu-system-aarch64",
                  "-M virt -cpu cortex-a57 -m 192", "arm64", "ttyAMA0", 48),
        GuestKind("aarch64-max", "aarch64", "qemu-system-aarch64",
                  "-M virt -cpu max -m 192", "arm64", "ttyAMA0", 48),
    )
}

#: Processor modes of 32-bit ARM (CPSR.M) by exception level, without a secure world.
ARM_USER_MODE = 0x10
ARM_MONITOR_MODE = 0x16
ARM_HYPERVISOR_MODE = 0x1A


class Guest(AbstractContextManager):  # type: ignore[type-arg]
    """A booted guest that can be stopped at moments; use it in a `with` statement."""

    def __init__(self, kind: GuestKind, append: str = "", extra: Sequence[str] = ()) -> None:
        """Boots the guest; `append` goes to the kernel's command line, `extra` to QEMU's."""
        self.kind = kind
        self.append = append
        self.extra = extra
        self.kernel = fetch.kernel(kind.flavour)
        self.moment: Optional[str] = None
        self.registers: Registers = {}
        self.qemu = Qemu(kind.binary, self._arguments())
        try:
            self._boot()
        except BaseException:
            self.qemu.close()
            raise

    def _arguments(self) -> List[str]:
        """The emulator's command line: machine, kernel, initrd, console."""
        command_line = f"console={self.kind.console} panic=-1 {self.append}".rstrip()
        return [
            *self.kind.machine.split(),
            # QEMU's own size of this buffer, 1 GB, makes its cores large.
            "-accel", "tcg,tb-size=64",
            "-kernel", str(self.kernel.vmlinuz),
            "-initrd", str(self.kernel.initrd),
            "-append", command_line,
            *self.extra,
        ]

    def _boot(self) -> None:
        """Waits until `/init` reports, and a little longer, then stops the guest."""
        self.qemu.wait_for(lambda: READY in self.qemu.serial_text(), BOOT_SECONDS, READY)
        time.sleep(1)
        self.qemu.qmp.execute("stop")

    def stop_at(self, moment: str) -> None:
        """Lets the guest run until it is stopped in the kernel or in user code."""
        if self.moment == moment:
            return
        (self.qemu.folder / "guest.elf").unlink(missing_ok=True)
        for attempt in range(ATTEMPTS):
            if self._is_at(moment):
                self.moment = moment
                self.registers = self.read_registers()
                return
            self.qemu.qmp.execute("cont")
            # Uneven and growing pauses: the guest's timer must not run in step with them.
            time.sleep(0.001 + attempt * 0.0007 % 0.03)
            self.qemu.qmp.execute("stop")
        state = self.qemu.hmp("info registers")
        raise QemuError(f"{self.kind.name} was never stopped in {moment} code; last:\n{state}")

    def _is_at(self, moment: str) -> bool:
        """Whether the guest is stopped there now, with the tables of that mode in force."""
        text = self.qemu.hmp("info registers")
        if self.kind.is_x86:
            level = _hex_field(text, "CPL")
            at = (level == 3) == (moment == "user") and self._has_user_pages()
            return at and (moment == "user" or self._has_kernel_pages())
        if self.kind.arch == "arm":
            user = _hex_field(text, "PSR") & 0x1F == ARM_USER_MODE
            return user == (moment == "user")
        if _hex_field(text, "PSTATE") & 0xC == 0:
            return moment == "user"
        # At entry and exit an AArch64 kernel runs a while on tables that hold little more
        # than its trampoline in the fixed mappings near the top.
        in_text = 0xFFFF_8000_0000_0000 <= _hex_field(text, "PC") < 0xFFFF_F000_0000_0000
        return moment == "kernel" and in_text

    def _has_kernel_pages(self) -> bool:
        """Whether the kernel's own tables are in force. With page-table isolation it enters and
        leaves on the user's, which lack its direct map (of i386 at PAGE_OFFSET)."""
        return self.kind.arch != "i386" or "gpa:" in self.qemu.hmp("gva2gpa 0xc0001000")

    def _has_user_pages(self) -> bool:
        """Whether pages of busybox are mapped: an idle kernel may run without a process."""
        start = 0x40_0000 if self.kind.arch == "x86_64" else 0x804_8000
        return any(self.gva2gpa(start + index * 0x1000) is not None for index in range(64))

    def read_registers(self) -> Registers:
        """The paging registers in force, by the names of `rr-mem`'s flags."""
        if self.kind.is_x86:
            text = self.qemu.hmp("info registers")
            names = ("CR0", "CR2", "CR3", "CR4", "EFER", "CPL")
            return {name.lower(): _hex_field(text, name) for name in names}
        with GdbStub(connect(self.qemu.gdb_socket, self.qemu.process)) as stub:
            return arm_registers(stub)

    @property
    def dump(self) -> Path:
        """An ELF core by `dump-guest-memory` of the present moment, made at first use."""
        path = self.qemu.folder / "guest.elf"
        if not path.exists():
            self.qemu.qmp.execute("dump-guest-memory", paging=False, protocol=f"file:{path}")
        return path

    @property
    def mtree_f(self) -> str:
        """The flat views, as the monitor prints them."""
        return self.qemu.hmp("info mtree -f")

    @property
    def mtree(self) -> str:
        """The region trees, as the monitor prints them."""
        return self.qemu.hmp("info mtree")

    def gva2gpa(self, address: int) -> Optional[int]:
        """What the monitor maps an address to; `None` when it is not mapped."""
        text = self.qemu.hmp(f"gva2gpa {address:#x}").strip()
        if text == "Unmapped":
            return None
        if not text.startswith("gpa: 0"):
            raise QemuError(f"gva2gpa {address:#x}: {text!r}")
        return int(text[5:], 16)

    def register_flags(self) -> List[str]:
        """The registers as `rr-mem` flags."""
        flags = ["--arch", self.kind.arch]
        names = ("cr0", "cr3", "cr4", "efer", "ttbr0", "ttbr1", "tcr", "sctlr", "dacr", "el")
        for name in names:
            if name in self.registers:
                value = self.registers[name]
                flags += [f"--{name}", str(value) if name == "el" else f"{value:#x}"]
        if not self.kind.is_x86:
            flags += ["--pan", "on" if self.registers.get("pan") else "off"]
        return flags

    def close(self) -> None:
        """Ends the emulator."""
        self.qemu.close()

    def __exit__(self, *_: object) -> None:
        self.close()


def arm_registers(stub: GdbStub) -> Registers:
    """The paging registers in force of an ARM or AArch64 CPU, by flag names.

    On 32-bit ARM the stub calls the 64-bit (MRRC) view `TTBR0` and the 32-bit one
    `TTBR0_EL1`; the former holds all bits of both. The `virt` machines have neither EL2
    nor EL3 unless asked for, so no register is banked. AArch64's SCTLR_EL1 is called
    `SCTLR`.
    """
    state = stub.read_register("cpsr")
    read = stub.read_register
    if "TTBCR" in stub.registers:
        values = {"ttbr0": read("TTBR0"), "ttbr1": read("TTBR1"), "tcr": read("TTBCR"),
                  "sctlr": read("SCTLR"), "dacr": read("DACR")}
        return {**values, "el": arm_exception_level(state)}
    values = {"ttbr0": read("TTBR0_EL1"), "ttbr1": read("TTBR1_EL1"), "tcr": read("TCR_EL1"),
              "sctlr": read("SCTLR")}
    return {**values, "el": state >> 2 & 3, "pan": state >> 22 & 1}


def arm_exception_level(cpsr: int) -> int:
    """The exception level of a 32-bit ARM mode (CPSR.M)."""
    levels = {ARM_USER_MODE: 0, ARM_HYPERVISOR_MODE: 2, ARM_MONITOR_MODE: 3}
    return levels.get(cpsr & 0x1F, 1)


def _hex_field(text: str, name: str) -> int:
    """The hexadecimal value behind `NAME=` in the text of `info registers`."""
    found = re.search(rf"\b{name}=([0-9a-f]+)", text)
    if found is None:
        raise QemuError(f"`info registers` shows no {name}:\n{text}")
    return int(found.group(1), 16)
