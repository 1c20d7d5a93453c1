"""Functions for expressions: `x/4gx $rr_host(GVA)`, `break f if $rr_u32(GVA) == 3`."""

import gdb

from .session import SESSION, sentence
from .targets import number


class Function(gdb.Function):
    """A function of a guest virtual address, whose every failure is one sentence."""

    def __init__(self, name, answer):
        super().__init__(name)
        self._answer = answer

    def invoke(self, gva):
        """Called by gdb."""
        try:
            return self._answer(SESSION.guest(), number(gva))
        except Exception as error:
            raise sentence(error) from None


def host(guest, gva):
    """The address in the emulator."""
    found = guest.v2p(gva)
    if found.host is None:
        raise gdb.GdbError(f"{gva:#x} is at {found.gpa:#x}, where no RAM of the emulator is")
    return found.host


def unsigned(size):
    """The function that gives the little-endian number of `size` bytes."""
    return lambda guest, gva: int.from_bytes(guest.read(gva, size), "little")


def string(guest, gva):
    """The guest's string, up to its NUL."""
    return guest.string(gva).decode("utf-8", "replace")


Function("rr_host", host)
Function("rr_str", string)
Function("rr_phys", lambda guest, gva: guest.v2p(gva).gpa)
for bits in (8, 16, 32, 64):
    Function(f"rr_u{bits}", unsigned(bits // 8))
