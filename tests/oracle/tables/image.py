"""A sparse image of guest-physical memory.

Only pages that were written exist; everything else reads as zero.
The image knows nothing of page tables.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Callable

PAGE = 0x1000


class Image:
    """Guest-physical bytes, kept as a dictionary of 4 KB pages."""

    def __init__(self) -> None:
        self.pages: dict[int, bytearray] = {}

    def _page(self, gpa: int) -> bytearray:
        return self.pages.setdefault(gpa // PAGE, bytearray(PAGE))

    def write(self, gpa: int, data: bytes) -> None:
        """Store `data` at `gpa`."""
        while data:
            offset = gpa % PAGE
            part = data[: PAGE - offset]
            self._page(gpa)[offset : offset + len(part)] = part
            gpa += len(part)
            data = data[len(part) :]

    def read(self, gpa: int, size: int) -> bytes:
        """Load `size` bytes that do not cross a page."""
        page = self.pages.get(gpa // PAGE)
        offset = gpa % PAGE
        return bytes(page[offset : offset + size]) if page else bytes(size)

    def put(self, gpa: int, value: int, size: int) -> None:
        """Store a little-endian word of `size` bytes."""
        self.write(gpa, value.to_bytes(size, "little"))

    def get(self, gpa: int, size: int) -> int:
        """Load a little-endian word of `size` bytes."""
        return int.from_bytes(self.read(gpa, size), "little")

    def items(self) -> Iterator[tuple[int, bytes]]:
        """(guest-physical address, 4 KB) of every page that exists."""
        for number, page in sorted(self.pages.items()):
            yield number * PAGE, bytes(page)

    def store(self, fd: int, place: Callable[[int], int]) -> None:
        """Write every page into `fd` at the file offset `place(gpa)`."""
        for gpa, data in self.items():
            os.pwrite(fd, data, place(gpa))

    def save(self, path: str, base: int, size: int) -> None:
        """Write a raw file with holes that starts at guest-physical `base`."""
        fd = os.open(path, os.O_CREAT | os.O_RDWR | os.O_TRUNC, 0o600)
        try:
            os.ftruncate(fd, size)
            self.store(fd, lambda gpa: gpa - base)
        finally:
            os.close(fd)
