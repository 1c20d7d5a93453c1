"""Guest code by gdb's disassembler, which is lent guest memory for a moment (gdb 13)."""

import gdb
from gdb.disassembler import DisassembleInfo, Disassembler, builtin_disassemble, register_disassembler

import rr_mem


class GuestInfo(DisassembleInfo):
    """Bytes come from the guest."""

    def __init__(self, info, read):
        super().__init__(info)
        self._read = read

    def read_memory(self, length, offset=0):
        """Called by gdb."""
        try:
            return self._read(self.address + offset, length)
        except rr_mem.RrMemError as error:
            raise gdb.MemoryError(str(error)) from None


class Guest(Disassembler):
    """Stands in for gdb's own."""

    def __init__(self, read):
        super().__init__("rr-mem guest")
        self._read = read

    def __call__(self, info):
        return builtin_disassemble(GuestInfo(info, self._read))


def instructions(architecture, read, start, count):
    """`count` instructions from guest address `start` on, one after the other."""
    previous = register_disassembler(Guest(read), architecture.name())
    try:
        for _ in range(count):
            read(start, 1)
            (one,) = architecture.disassemble(start)
            yield one
            start = one["addr"] + one["length"]
    finally:
        register_disassembler(previous, architecture.name())
