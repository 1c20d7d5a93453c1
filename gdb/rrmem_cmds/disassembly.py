"""Guest code by gdb's disassembler, which is lent guest memory for a moment (gdb 13)."""

import gdb
from gdb.disassembler import DisassembleInfo, Disassembler, builtin_disassemble, register_disassembler

import rr_mem


class GuestInfo(DisassembleInfo):
    """Bytes come from the guest; gdb's own idea of a high address may be a negative number."""

    def __init__(self, info, read, start):
        super().__init__(info)
        self._read = read
        self._start = start

    def read_memory(self, length, offset=0):
        """Called by gdb."""
        try:
            return self._read(self._start + offset, length)
        except rr_mem.RrMemError as error:
            raise gdb.MemoryError(str(error)) from None


class Guest(Disassembler):
    """Replaces gdb's own disassembler at one address."""

    def __init__(self, read):
        super().__init__("rr-mem guest")
        self._read = read
        self.start = 0

    def __call__(self, info):
        return builtin_disassemble(GuestInfo(info, self._read, self.start))


def instructions(architecture, read, start, count):
    """`count` instructions from guest address `start` on: address, text, length."""
    guest = Guest(read)
    previous = register_disassembler(guest, architecture.name())
    try:
        for _ in range(count):
            read(start, 1)
            guest.start = start
            (one,) = architecture.disassemble(start)
            yield start, one["asm"], one["length"]
            start += one["length"]
    finally:
        register_disassembler(previous, architecture.name())
