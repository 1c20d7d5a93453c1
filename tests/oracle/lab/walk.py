"""A second walker of page tables, which chooses the addresses that the oracle is asked.

It lists everything that is present in a guest's tables, for the modes of the test guests
only: x86 of all four modes; ARM short descriptors without TTBR1; LPAE and AArch64 with 4K
granules. It shares nothing with rr-mem and decides nothing about rights: the monitor is
the oracle. Manuals: Intel SDM volume 3, "Paging"; ARM ARM (DDI 0406C), "Virtual Memory
System Architecture"; Arm ARM (DDI 0487), "The AArch64 Virtual Memory System Architecture".
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Callable, Dict, Iterator, List, Optional, Set, Tuple

Read = Callable[[int, int], bytes]

#: Bits 51:12 of a 64-bit x86 entry, 47:12 of a long descriptor.
X86_FRAME = 0x000F_FFFF_FFFF_F000
LONG_FRAME = 0x0000_FFFF_FFFF_F000


@dataclass(frozen=True)
class Page:
    """One present page of any size."""

    gva: int
    gpa: int
    size: int


@dataclass(frozen=True)
class Next:
    """What a present entry leads to: a table or a page, at a physical address."""

    address: int
    page_size: int = 0


@dataclass(frozen=True)
class Level:
    """The shape of one level's tables, and the meaning of its entries."""

    shift: int
    count: int
    entry_size: int
    decode: Callable[[int], Optional[Next]]


class Space:
    """An address space: roots at virtual bases, each with its levels."""

    def __init__(self, read: Read) -> None:
        self._read = read
        self._roots: List[Tuple[int, int, List[Level]]] = []
        self._entries: Dict[Tuple[int, int], List[Tuple[int, Next]]] = {}
        self.tables: Set[Tuple[int, int]] = set()

    def add_root(self, base: int, table: int, levels: List[Level]) -> None:
        """Adds a root table that translates from a virtual address on."""
        self._roots.append((base, table, levels))

    def pages(self) -> Iterator[Page]:
        """All present pages, in order within a root."""
        for base, table, levels in self._roots:
            yield from self._pages(base, table, levels)

    def _pages(self, base: int, table: int, levels: List[Level]) -> Iterator[Page]:
        """The pages below one table."""
        shift = levels[0].shift
        for index, entry in self._present(table, levels[0]):
            gva = base + (index << shift)
            if entry.page_size:
                # An entry that repeats (64K pages, supersections) maps its own part only.
                size = min(entry.page_size, 1 << shift)
                yield Page(gva, entry.address + (gva & (entry.page_size - 1)), size)
            else:
                yield from self._pages(gva, entry.address, levels[1:])

    def _present(self, table: int, level: Level) -> List[Tuple[int, Next]]:
        """The present entries of a table with their indices, read once."""
        key = (table, level.shift)
        if key not in self._entries:
            length = level.count * level.entry_size
            self.tables.add((table, length))
            raw = self._read(table, length)
            values = struct.unpack(f"<{level.count}{'Q' if level.entry_size == 8 else 'I'}", raw)
            decoded = ((index, level.decode(value)) for index, value in enumerate(values) if value)
            self._entries[key] = [(index, found) for index, found in decoded if found]
        return self._entries[key]

    def translate(self, gva: int) -> Optional[int]:
        """The physical address of a virtual one, or nothing."""
        for base, table, levels in self._roots:
            top = levels[0]
            if not base <= gva < base + (top.count << top.shift):
                continue
            for level in levels:
                index = (gva - base) >> level.shift & (level.count - 1)
                found = dict(self._present(table, level)).get(index)
                if found is None:
                    return None
                if found.page_size:
                    return found.address + (gva & (found.page_size - 1))
                table = found.address
        return None


def x86_space(read: Read, registers: Dict[str, int]) -> Space:
    """The space of an x86 CPU with paging on."""
    space = Space(read)
    cr3, cr4 = registers["cr3"], registers["cr4"]
    if not cr4 & 1 << 5:  # CR4.PAE
        space.add_root(0, cr3 & ~0xFFF, _x86_two_levels(bool(cr4 & 1 << 4)))
    elif not registers["efer"] & 1 << 10:  # EFER.LMA
        space.add_root(0, cr3 & 0xFFFF_FFE0, _x86_levels([(30, 4), (21, 512), (12, 512)], False))
    else:
        shifts = [48, 39, 30, 21, 12] if cr4 & 1 << 12 else [39, 30, 21, 12]  # CR4.LA57
        _add_x86_halves(space, cr3 & X86_FRAME, shifts)
    return space


def _add_x86_halves(space: Space, root: int, shifts: List[int]) -> None:
    """The two canonical halves: the root's lower and upper 256 entries."""
    levels = _x86_levels([(shift, 512) for shift in shifts], True)
    top = levels[0]
    half = Level(top.shift, 256, 8, top.decode)
    space.add_root(0, root, [half, *levels[1:]])
    space.add_root((1 << 64) - (256 << top.shift), root + 0x800, [half, *levels[1:]])


def _x86_levels(shapes: List[Tuple[int, int]], giant: bool) -> List[Level]:
    """Levels of 64-bit entries; 1G pages exist in the 4- and 5-level modes only."""
    leaves = (12, 21, 30) if giant else (12, 21)
    return [Level(shift, count, 8, _x86_decoder(shift, shift in leaves)) for shift, count in shapes]


def _x86_decoder(shift: int, may_be_page: bool) -> Callable[[int], Optional[Next]]:
    """P, PS and the frame of a 64-bit entry."""

    def decode(value: int) -> Optional[Next]:
        if not value & 1:
            return None
        if may_be_page and (shift == 12 or value & 1 << 7):
            return Next(value & X86_FRAME & -(1 << shift), 1 << shift)
        return Next(value & X86_FRAME)

    return decode


def _x86_two_levels(page_size_extension: bool) -> List[Level]:
    """The levels of 32-bit paging, with 4M pages and PSE-36."""

    def directory(value: int) -> Optional[Next]:
        if not value & 1:
            return None
        if page_size_extension and value & 1 << 7:
            high = (value >> 13 & 0xFF) << 32
            return Next(high | value & 0xFFC0_0000, 1 << 22)
        return Next(value & 0xFFFF_F000)

    def table(value: int) -> Optional[Next]:
        return Next(value & 0xFFFF_F000, 1 << 12) if value & 1 else None

    return [Level(22, 1024, 4, directory), Level(12, 1024, 4, table)]


def arm_space(read: Read, registers: Dict[str, int]) -> Space:
    """The stage 1 space of a 32-bit ARM CPU: short or long descriptors by TTBCR.EAE."""
    space = Space(read)
    control = registers["tcr"]
    if not control >> 31:
        if control & 7:
            raise NotImplementedError("TTBCR.N is not 0")
        space.add_root(0, registers["ttbr0"] & 0xFFFF_C000, _short_levels())
        return space
    low, high = control & 7, control >> 16 & 7
    high_base = (1 << 32) - (1 << (32 - high)) if high else 1 << 32 - low
    # With T0SZ = 0, TTBR0 translates everything below the part of TTBR1.
    _add_long_root(space, 0, registers["ttbr0"], min(1 << 32 - low, high_base))
    if high_base < 1 << 32:
        _add_long_root(space, high_base, registers["ttbr1"], (1 << 32) - high_base)
    return space


def aarch64_space(read: Read, registers: Dict[str, int]) -> Space:
    """The stage 1 space of an AArch64 CPU with 4K granules at both ends."""
    control = registers["tcr"]
    if control >> 14 & 3 != 0 or control >> 30 & 3 != 2 or control >> 59 & 1:
        raise NotImplementedError("not 4K granules")
    space = Space(read)
    low, high = 1 << 64 - (control & 0x3F), 1 << 64 - (control >> 16 & 0x3F)
    _add_long_root(space, 0, registers["ttbr0"], low)
    _add_long_root(space, (1 << 64) - high, registers["ttbr1"], high)
    return space


def _add_long_root(space: Space, base: int, register: int, size: int) -> None:
    """A root of long descriptors; the size of its range gives the first level."""
    shift = next(shift for shift in (12, 21, 30, 39) if size <= 512 << shift)
    levels = [_long_level(below, 512) for below in (39, 30, 21, 12) if below < shift]
    count = -(-size // (1 << shift))
    table = register & LONG_FRAME if count > 256 else register & 0x0000_FFFF_FFFF_FFE0
    space.add_root(base, table, [_long_level(shift, count), *levels])


def _long_level(shift: int, count: int) -> Level:
    """One level of long descriptors: 0b11 is a table or page, 0b01 a block."""

    def decode(value: int) -> Optional[Next]:
        if value & 3 == 3:
            return Next(value & LONG_FRAME, 1 << 12 if shift == 12 else 0)
        if value & 3 == 1 and shift in (21, 30):
            return Next(value & LONG_FRAME & -(1 << shift), 1 << shift)
        return None

    return Level(shift, count, 8, decode)


def _short_levels() -> List[Level]:
    """The levels of short descriptors."""

    def first(value: int) -> Optional[Next]:
        kind = value & 3
        if kind == 0:
            return None
        if kind == 1:
            return Next(value & 0xFFFF_FC00)
        if value & 1 << 18:
            high = (value >> 20 & 0xF) << 32 | (value >> 5 & 0xF) << 36
            return Next(high | value & 0xFF00_0000, 1 << 24)
        return Next(value & 0xFFF0_0000, 1 << 20)

    def second(value: int) -> Optional[Next]:
        kind = value & 3
        if kind == 0:
            return None
        return Next(value & 0xFFFF_0000, 1 << 16) if kind == 1 else Next(value & 0xFFFF_F000, 1 << 12)

    return [Level(20, 4096, 4, first), Level(12, 256, 4, second)]


def space_of(arch: str, read: Read, registers: Dict[str, int]) -> Space:
    """The space of a guest, by the name of its architecture."""
    makers = {"i386": x86_space, "x86_64": x86_space, "arm": arm_space, "aarch64": aarch64_space}
    return makers[arch](read, registers)
