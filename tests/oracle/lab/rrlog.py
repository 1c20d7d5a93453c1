"""A small reader of record/replay logs, written from the formats' descriptions alone.

It shares nothing with rr-mem and decides nothing by fit: who records says what to expect.
"""

from __future__ import annotations

import struct
from collections import Counter
from dataclasses import dataclass, field
from typing import Dict, Iterator, List, Optional, Tuple

PANDA_KINDS = {
    0: ("INPUT_1", 1), 1: ("INPUT_2", 2), 2: ("INPUT_4", 4), 3: ("INPUT_8", 8),
    4: ("INTERRUPT_REQUEST", 4), 5: ("EXIT_REQUEST", 2), 7: ("END_OF_LOG", 0),
    8: ("PENDING_INTERRUPTS", 4), 9: ("EXCEPTION", 4),
}
#: Name, bytes of the struct, where in it the length of the data is, and how it is coded.
PANDA_CALLS = {
    0: ("CPU_MEM_RW", 24, "<I", 16), 1: ("MEM_REGION_CHANGE", 40, "<I", 24),
    2: ("CPU_MEM_UNMAP", 24, "<Q", 16), 3: ("HD_TRANSFER", 32, "", 0),
    4: ("NET_TRANSFER", 32, "", 0), 5: ("HANDLE_PACKET", 16, "<I", 8),
    6: ("SERIAL_RECEIVE", 16, "", 0), 7: ("SERIAL_READ", 16, "", 0),
    8: ("SERIAL_SEND", 16, "", 0), 9: ("SERIAL_WRITE", 16, "", 0),
    10: ("CPU_REG_WRITE", 24, "<i", 20),
}


@dataclass
class Counted:
    """What is in a log."""

    entries: "Counter[str]" = field(default_factory=Counter)
    read: int = 0
    last: int = 0
    data: Dict[str, List[bytes]] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """All entries."""
        return sum(self.entries.values())

    def add(self, name: str, data: Optional[bytes] = None) -> None:
        """Counts an entry."""
        self.entries[name] += 1
        if data is not None:
            self.data.setdefault(name, []).append(data)


def panda(log: bytes) -> Counted:
    """The whole entries of a nondet log."""
    counted = Counted(read=8)
    while counted.read < len(log):
        entry = _panda_entry(log, counted.read)
        if entry is None:
            break
        name, count, end, data = entry
        counted.add(name, data)
        counted.read, counted.last = end, count
    return counted


def panda_starts(log: bytes) -> List[int]:
    """Where each whole entry starts."""
    starts, at = [], 8
    while (entry := _panda_entry(log, at)) is not None:
        starts.append(at)
        at = entry[2]
    return starts


def _panda_entry(log: bytes, at: int) -> Optional[Tuple[str, int, int, Optional[bytes]]]:
    """Name, instruction count, end and data of an entry; none when it is cut."""
    if at + 10 > len(log):
        return None
    count, kind, _ = struct.unpack_from("<QBB", log, at)
    at += 10
    if kind != 6:
        name, size = PANDA_KINDS[kind]
        return (name, count, at + size, None) if at + size <= len(log) else None
    name, size, code, where = PANDA_CALLS[log[at]]
    at += 1
    if at + size > len(log):
        return None
    length = struct.unpack_from(code, log, at + where)[0] if code else 0
    end = at + size + length
    return (name, count, end, log[at + size:end]) if end <= len(log) else None


#: Events of 0xe0200c before the causes of a shutdown, and behind them: name, fixed bytes,
#: whether the last four of these count bytes that follow.
ASYNC = ["BH", "BH_ONESHOT", "INPUT", "INPUT_SYNC", "CHAR_READ", "BLOCK", "NET"]
BEFORE: List[Tuple[str, int, bool]] = [
    ("INSTRUCTION", 4, False), ("INTERRUPT", 0, False), ("EXCEPTION", 0, False),
    ("BH", 8, False), ("BH_ONESHOT", 8, False), ("INPUT", 0, False), ("INPUT_SYNC", 0, False),
    ("CHAR_READ", 5, True), ("BLOCK", 8, False), ("NET", 9, True),
]
BEHIND: List[Tuple[str, int, bool]] = [
    ("CHAR_WRITE", 8, False), ("CHAR_READ_ALL", 4, True), ("CHAR_READ_ALL_ERROR", 4, False),
    ("AUDIO_OUT", 4, False), ("AUDIO_IN", 0, False), ("RANDOM", 8, True),
    ("CLOCK", 8, False), ("CLOCK", 8, False), *[("CHECKPOINT", 0, False)] * 9, ("END", 0, False),
]


def qemu(log: bytes, causes: int) -> Counted:
    """The events of a replay log 0xe0200c of a release with so many causes of a shutdown."""
    counted = Counted(read=12)
    for name, at, end, data in qemu_events(log, causes):
        if name == "INSTRUCTION":
            counted.last += struct.unpack_from(">I", log, at + 1)[0]
        counted.add(name, data)
        counted.read = end
    return counted


def qemu_events(log: bytes, causes: int) -> Iterator[Tuple[str, int, int, Optional[bytes]]]:
    """Name, place, end and data of each event."""
    version, _ = struct.unpack_from(">IQ", log)
    assert version == 0xE0200C, hex(version)
    table = BEFORE + [("SHUTDOWN", 0, False)] * (causes + 1) + BEHIND
    at = 12
    while at < len(log):
        name, fixed, counts = table[log[at]]
        assert name not in ("INPUT", "AUDIO_OUT", "AUDIO_IN"), "not recorded by these tests"
        end = at + 1 + fixed
        data = None
        if counts:
            length = struct.unpack_from(">I", log, end - 4)[0]
            data, end = log[end:end + length], end + length
        yield name, at, end, data
        at = end
