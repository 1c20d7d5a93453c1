"""Disk images that snapshots go into."""

from __future__ import annotations

import struct
from pathlib import Path

CLUSTER = 1 << 16


def empty_qcow2(path: Path) -> None:
    """An empty image of 1 MB (QEMU, docs/interop/qcow2.txt): the header, a table and a block
    of reference counts, and the first table of the disk, a cluster each."""
    header = struct.pack(">4sIQIIQIIQQIIQ", b"QFI\xfb", 3, 0, 0, 16, 1 << 20, 0, 1, 3 * CLUSTER,
                         CLUSTER, 1, 0, 0)
    header += struct.pack(">QQQII", 0, 0, 0, 4, 104)
    table = struct.pack(">Q", 2 * CLUSTER)
    counts = struct.pack(">4H", 1, 1, 1, 1)
    path.write_bytes(b"".join(part.ljust(CLUSTER, b"\0") for part in (header, table, counts, b"")))
