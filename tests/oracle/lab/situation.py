"""A guest stopped at a moment, with what is known of it by other means than the program."""

from __future__ import annotations

import random
import re
from pathlib import Path
from typing import List, Optional, Tuple

from .addresses import SEED, choose, kernel_split
from .cli import Row, RrMem, number
from .differences import SHOWN
from .elfcore import ElfCore
from .guests import Guest
from .qemu import Qemu
from .walk import Page, space_of

PLACES = 30
PLACE_BYTES = 64


class Case:
    """A stopped guest, its dump, what is present in its tables, and the program."""

    def __init__(self, guest: Guest, binary: Path) -> None:
        self.guest = guest
        self.core = ElfCore.load(guest.dump)
        self.space = space_of(guest.kind.arch, self.core.read, guest.registers)
        self.pages: List[Page] = list(self.space.pages())
        self.addresses = choose(self.pages, guest.kind.va_bits, guest.moment or "")
        if guest.kind.arch == "aarch64":
            self.addresses += tagged(self.addresses)
        self.answers = [guest.gva2gpa(address) for address in self.addresses]
        self.rr_mem = RrMem(binary, guest)

    def monitor_refuses_the_kernel(self) -> bool:
        """Whether the monitor checks rights and the guest is in user code."""
        return not self.guest.kind.is_x86 and self.guest.moment == "user"

    def ram_places(self) -> List[Tuple[int, int]]:
        """Mapped virtual and physical addresses of varied bytes in RAM within one page."""
        chance = random.Random(SEED)
        split = kernel_split(self.guest.kind.va_bits)
        allowed = [page for page in self.pages if (page.gva < split) == (self.guest.moment == "user")]
        offsets = ((page, chance.randrange(0, page.size, PLACE_BYTES))
                   for page in chance.choices(allowed, [page.size for page in allowed], k=300 * PLACES))
        pairs = {(page.gva + offset, page.gpa + offset) for page, offset in offsets
                 if self.is_varied(page.gpa + offset)}
        return chance.sample(sorted(pairs), PLACES)

    def is_varied(self, gpa: int) -> bool:
        """Whether the bytes are in the dump and are not a mere fill."""
        return (self.core.holds(gpa, PLACE_BYTES)
                and len(set(self.core.read(gpa, PLACE_BYTES))) >= 8)


def tagged(addresses: List[int]) -> List[int]:
    """Some user addresses with a tag: TCR_EL1.TBI0 is set in Linux, TBI1 is not."""
    low = [address for address in addresses if address < 1 << 48]
    return [address | 0x5A << 56 for address in low[:40]]


def disagreements(case: Case, rows: List[Row], expected: List[Optional[int]]) -> List[str]:
    """A line for each of the first rows that give another physical address."""
    return [
        f"{address:#x}: expected {wanted and hex(wanted)}, got {row['gpa']} ({row['fault']}, {row['error']})"
        for address, wanted, row in zip(case.addresses, expected, rows)
        if number(row["gpa"]) != wanted and not only_the_flag(case, address, wanted, row)
    ][:SHOWN]


def only_the_flag(case: Case, address: int, wanted: Optional[int], row: Row) -> bool:
    """Whether the page is there and its access flag is clear, which the monitor does not look at.

    Arm ARM, "The Access flag": the first access to such a page faults. The guests' kernels make
    pages old when memory is short; QEMU's debug walk of long descriptors ignores that.
    """
    fault = row["fault"]
    if case.guest.kind.is_x86 or not fault or fault["kind"] != "access_flag":
        return False
    clear = not int(fault["entry"], 16) >> 10 & 1
    untagged = address if address >> 55 & 1 else address & (1 << 55) - 1
    return clear and wanted is not None and case.space.translate(untagged) == wanted


def monitor_bytes(guest: Guest, command: str, address: int, count: int) -> bytes:
    """Bytes by the monitor's `x` or `xp`."""
    text = guest.qemu.hmp(f"{command} /{count}xb {address:#x}")
    values = re.findall(r"\b0x([0-9a-f]{2})\b", re.sub(r"(?m)^[0-9a-f]+:", "", text))
    assert len(values) == count, text
    return bytes(int(value, 16) for value in values)


def gpa2hva(qemu: Qemu, gpa: int) -> Optional[int]:
    """Where the monitor says that a byte of RAM is; `None` when it is no RAM."""
    text = qemu.hmp(f"gpa2hva {gpa:#x}")
    found = re.match(r"Host virtual address for 0x[0-9a-f]+ \(.*\) is 0x([0-9a-f]+)", text)
    return int(found.group(1), 16) if found else None
