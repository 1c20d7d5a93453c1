"""`rrset`: changes guest memory, when that is allowed."""

import re
import struct

import gdb

from . import settings
from .session import SESSION, Command, address, evaluate, show

FLOATS = {4: "<f", 8: "<d"}
SIZES = {"b": 1, "h": 2, "w": 4, "g": 8}


class Rrset(Command):
    """Change guest memory: rrset[/SIZE] ADDRESS = VALUE. Off until `set rrmem write on`.
ADDRESS is a guest virtual address, VALUE a number, or an array of characters. SIZE is one of
bhwg; without, it is that of VALUE's type. RAM of a running emulator is changed, and nothing
else: no core, no recording. Code that QEMU has translated is not translated anew.
Example: rrset/g 0xffff888003a00010 = 0"""

    def run(self, argument, from_tty):
        """Changes it."""
        found = re.fullmatch(r"\s*(?:/([bhwg])\s)?(.+?)(?<![=!<>])=(?!=)(.+)", argument, re.DOTALL)
        if found is None:
            raise gdb.GdbError("rrset takes ADDRESS = VALUE, and a size of bhwg: rrset/w ADDRESS = VALUE")
        if not settings.WRITE.value:
            raise gdb.GdbError("rrset changes the guest: if you mean it, `set rrmem write on`")
        size, place, value = found.groups()
        start, data = address(place), raw(evaluate(value), SIZES.get(size))
        guest, refusal = SESSION.guest(), SESSION.target().refusal()
        if refusal is not None:
            raise gdb.GdbError(refusal)
        guest.write(start, data)
        SESSION.forget()
        show(f"{start:#x}: {len(data)} bytes written")


def raw(value, size):
    """The bytes of a number, or of an array of characters."""
    kind = value.type.strip_typedefs()
    if kind.code == gdb.TYPE_CODE_ARRAY and size is None:
        first, last = kind.range()
        return b"".join(raw(value[index], None) for index in range(first, last + 1))
    if kind.code == gdb.TYPE_CODE_FLT and kind.sizeof in FLOATS and size is None:
        return struct.pack(FLOATS[kind.sizeof], float(value))
    try:
        number = int(value)
        return number.to_bytes(size or kind.sizeof, "little", signed=number < 0)
    except (OverflowError, gdb.error):
        raise gdb.GdbError(f"{value} is no number of {size or kind.sizeof} bytes, nor an array of characters") from None


Rrset("rrset")
