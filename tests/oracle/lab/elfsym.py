"""Reads the exported symbols of an ELF executable, and nothing else.

Format: System V ABI, "Object Files" (64-bit little-endian only: the hosts of the tests).
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Dict, List, NamedTuple

SHT_DYNSYM = 11
PT_LOAD = 1


class Section(NamedTuple):
    """The members of a section header."""

    name: int
    kind: int
    flags: int
    address: int
    offset: int
    size: int
    link: int
    info: int
    alignment: int
    entry_size: int


def dynamic_symbols(path: Path) -> Dict[str, int]:
    """The defined symbols of `.dynsym` and their link-time addresses."""
    data = path.read_bytes()
    sections = _sections(data)
    table = next((section for section in sections if section.kind == SHT_DYNSYM), None)
    if table is None:
        raise ValueError(f"{path} exports no symbols")
    strings = sections[table.link]
    symbols: Dict[str, int] = {}
    for offset in range(table.offset, table.offset + table.size, table.entry_size):
        name, _info, _other, section, value, _size = struct.unpack_from("<IBBHQQ", data, offset)
        if section != 0:
            start = strings.offset + name
            symbols[data[start : data.index(b"\0", start)].decode()] = value
    return symbols


def _sections(data: bytes) -> List[Section]:
    """All section headers."""
    if data[:6] != b"\x7fELF\x02\x01":
        raise ValueError("not a 64-bit little-endian ELF file")
    (table,) = struct.unpack_from("<Q", data, 0x28)
    size, count = struct.unpack_from("<HH", data, 0x3A)
    return [
        Section(*struct.unpack_from("<IIQQQQIIQQ", data, table + index * size))
        for index in range(count)
    ]


def first_load_address(path: Path) -> int:
    """The link-time address of the first loaded segment."""
    with path.open("rb") as file:
        header = file.read(0x1000)
    (table,) = struct.unpack_from("<Q", header, 0x20)
    size, count = struct.unpack_from("<HH", header, 0x36)
    for index in range(count):
        (kind,) = struct.unpack_from("<I", header, table + index * size)
        if kind == PT_LOAD:
            offset, address = struct.unpack_from("<QQ", header, table + index * size + 8)
            return int(address - offset)
    raise ValueError(f"{path} has no loaded segment")
