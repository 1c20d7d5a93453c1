"""Writes cpio archives of the "newc" format, the one that Linux reads as an initrd.

Format: Linux Documentation/driver-api/early-userspace/buffer-format.rst.
Only what an initrd needs: files, folders and character devices; no reading.
"""

from __future__ import annotations

import stat
from dataclasses import dataclass
from typing import Iterable


@dataclass(frozen=True)
class CpioEntry:
    """One member of an archive."""

    name: str
    mode: int
    data: bytes = b""
    rdev_major: int = 0
    rdev_minor: int = 0

    @classmethod
    def folder(cls, name: str) -> CpioEntry:
        """A folder that everyone may enter."""
        return cls(name, stat.S_IFDIR | 0o755)

    @classmethod
    def file(cls, name: str, data: bytes, executable: bool = False) -> CpioEntry:
        """A regular file."""
        return cls(name, stat.S_IFREG | (0o755 if executable else 0o644), data)

    @classmethod
    def character_device(cls, name: str, major: int, minor: int) -> CpioEntry:
        """A character device node, which needs no rights to put in an archive."""
        return cls(name, stat.S_IFCHR | 0o600, b"", major, minor)


def write_newc(entries: Iterable[CpioEntry]) -> bytes:
    """The archive, with its trailer."""
    members = [*entries, CpioEntry("TRAILER!!!", 0)]
    return b"".join(_member(index + 1, entry) for index, entry in enumerate(members))


def _member(inode: int, entry: CpioEntry) -> bytes:
    """One member: header, name and data, each padded to four bytes."""
    name = entry.name.encode() + b"\0"
    fields = (
        inode, entry.mode, 0, 0, 1, 0, len(entry.data),
        0, 0, entry.rdev_major, entry.rdev_minor, len(name), 0,
    )
    header = b"070701" + b"".join(b"%08X" % field for field in fields)
    return _padded(header + name) + _padded(entry.data)


def _padded(data: bytes) -> bytes:
    """The bytes with zeros up to a multiple of four."""
    return data + bytes(-len(data) % 4)
