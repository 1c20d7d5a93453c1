"""Reads and writes the ELF cores that `dump-guest-memory` makes: physical memory and notes.

Format: System V ABI, "Program Header" and "Note Section"; both classes, little-endian.
A segment's `p_paddr` is the guest-physical address of its bytes.
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from dataclasses import dataclass
from pathlib import Path
from typing import List, Sequence, Tuple

ET_CORE = 4
PT_LOAD = 1
PT_NOTE = 4
EM_386, EM_ARM, EM_X86_64, EM_AARCH64 = 3, 40, 62, 183


@dataclass(frozen=True)
class Segment:
    """A piece of guest-physical memory."""

    address: int
    data: bytes


@dataclass(frozen=True)
class Note:
    """A note with its owner's name."""

    owner: str
    kind: int
    data: bytes


class HoleError(Exception):
    """Guest-physical memory that the core does not hold."""


class ElfCore:
    """The contents of a core."""

    def __init__(self, machine: int, segments: Sequence[Segment], notes: Sequence[Note]) -> None:
        self.machine = machine
        self.segments = sorted(segments, key=lambda segment: segment.address)
        self.notes = list(notes)
        self._starts = [segment.address for segment in self.segments]

    @classmethod
    def load(cls, path: Path) -> ElfCore:
        """Parses a core of either class."""
        data = path.read_bytes()
        if data[:4] != b"\x7fELF":
            raise ValueError(f"{path} is not an ELF file")
        wide = data[4] == 2
        (machine,) = struct.unpack_from("<H", data, 18)
        segments: List[Segment] = []
        notes: List[Note] = []
        for kind, offset, address, size in _program_headers(data, wide):
            if kind == PT_LOAD and size:
                segments.append(Segment(address, data[offset : offset + size]))
            elif kind == PT_NOTE:
                notes += _parse_notes(data[offset : offset + size])
        return cls(machine, segments, notes)

    def read(self, address: int, length: int) -> bytes:
        """Bytes of one segment."""
        index = bisect_right(self._starts, address) - 1
        if index >= 0:
            segment = self.segments[index]
            offset = address - segment.address
            if offset + length <= len(segment.data):
                return segment.data[offset : offset + length]
        raise HoleError(f"{address:#x}+{length:#x} is not in the core")

    def holds(self, address: int, length: int) -> bool:
        """Whether one segment has all these bytes."""
        try:
            self.read(address, length)
        except HoleError:
            return False
        return True

    def save(self, path: Path) -> None:
        """Writes the core; class 32 for 32-bit machines, as QEMU does."""
        wide = self.machine in (EM_X86_64, EM_AARCH64)
        header_size, entry_size = (64, 56) if wide else (52, 32)
        notes = b"".join(_note_bytes(note) for note in self.notes)
        offset = header_size + entry_size * (1 + len(self.segments))
        headers = [_program_header(wide, PT_NOTE, offset, 0, len(notes))]
        offset += len(notes)
        for segment in self.segments:
            headers.append(_program_header(wide, PT_LOAD, offset, segment.address, len(segment.data)))
            offset += len(segment.data)
        body = b"".join(segment.data for segment in self.segments)
        path.write_bytes(self._header(wide, len(headers)) + b"".join(headers) + notes + body)

    def _header(self, wide: bool, count: int) -> bytes:
        """The ELF header."""
        ident = b"\x7fELF" + bytes([2 if wide else 1, 1, 1]) + bytes(9)
        layout, sizes = ("<HHIQQQIHHHHHH", (64, 56)) if wide else ("<HHIIIIIHHHHHH", (52, 32))
        fields = (ET_CORE, self.machine, 1, 0, sizes[0], 0, 0, *sizes, count, 0, 0, 0)
        return ident + struct.pack(layout, *fields)


def _program_headers(data: bytes, wide: bool) -> List[Tuple[int, int, int, int]]:
    """(kind, file offset, physical address, file size) of each program header."""
    if wide:
        (table,) = struct.unpack_from("<Q", data, 32)
        size, count = struct.unpack_from("<HH", data, 54)
        layout = struct.Struct("<I4xQ8xQQ")
    else:
        (table,) = struct.unpack_from("<I", data, 28)
        size, count = struct.unpack_from("<HH", data, 42)
        layout = struct.Struct("<II4xII")
    return [layout.unpack_from(data, table + index * size) for index in range(count)]


def _program_header(wide: bool, kind: int, offset: int, address: int, size: int) -> bytes:
    """One program header; the virtual address stays 0."""
    if wide:
        return struct.pack("<IIQQQQQQ", kind, 0, offset, 0, address, size, size, 0)
    return struct.pack("<IIIIIIII", kind, offset, 0, address, size, size, 0, 0)


def _parse_notes(data: bytes) -> List[Note]:
    """The notes of a note segment."""
    notes: List[Note] = []
    offset = 0
    while offset + 12 <= len(data):
        name_size, desc_size, kind = struct.unpack_from("<III", data, offset)
        offset += 12
        owner = data[offset : offset + name_size].rstrip(b"\0").decode()
        offset += -(-name_size // 4) * 4
        notes.append(Note(owner, kind, data[offset : offset + desc_size]))
        offset += -(-desc_size // 4) * 4
    return notes


def _note_bytes(note: Note) -> bytes:
    """A note, its name and its contents each padded to four bytes."""
    owner = note.owner.encode() + b"\0"
    header = struct.pack("<III", len(owner), len(note.data), note.kind)
    return header + owner + bytes(-len(owner) % 4) + note.data + bytes(-len(note.data) % 4)
