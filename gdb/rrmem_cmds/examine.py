"""`rrx` and `rrxp`: guest memory as `x` shows host memory."""

import re

import gdb

from .session import SESSION, Command, address, named, show

#: Where a line has its address.
LABEL = r"^0x[0-9a-f]+(?=:)"
#: Architectures whose code gdb can disassemble, by gdb's name of its own.
SAME = {"i386:x86-64": "x86_64", "i386": "i386", "aarch64": "aarch64", "arm": "arm", "armv7": "arm"}


def last_typed():
    """The line of the history that was typed last; Enter adds none."""
    lines = gdb.execute("show commands", to_string=True).splitlines()
    return lines[-1] if lines else None


class Examine(Command):
    """What `rrx` and `rrxp` have in common."""

    physical = False

    def __init__(self, name):
        super().__init__(name)
        self._format = None
        self._next = None
        self._typed = None

    def run(self, argument, from_tty):
        """Shows memory; with no address, and when Enter repeats it, goes on."""
        letters, expression = split(argument)
        guest = SESSION.guest()
        start = self._start(argument, expression, from_tty)
        found = re.fullmatch(r"(\d*)i", letters)
        if found:
            self._next = code(guest, start, int(found.group(1) or 1), self.physical)
            return
        listing = guest.examine(letters, start, physical=self.physical, previous=self._format)
        show(listing.text if self.physical else named(listing.text, LABEL))
        self._format = listing.format
        self._next = listing.next
        remember(listing)
        if listing.error is not None:
            raise listing.error

    def _start(self, argument, expression, from_tty):
        typed = (argument, last_typed()) if from_tty else None
        again = typed is not None and typed[1] is not None and typed == self._typed
        self._typed = typed
        if (again or not expression) and self._next is not None:
            return self._next
        return address(expression)


def split(argument):
    """`/FMT EXPRESSION`, both optional."""
    found = re.fullmatch(r"\s*(?:/(\S*))?\s*(.*)", argument, re.DOTALL)
    return found.group(1) or "", found.group(2).strip()


def remember(listing):
    """Sets `$_` to the last address shown and `$__` to what is there."""
    if listing.last is not None:
        gdb.set_convenience_variable("_", listing.last)
    if listing.contents:
        gdb.set_convenience_variable("__", int.from_bytes(listing.contents, "little"))


def code(guest, start, count, physical):
    """Shows guest code, by gdb's own disassembler; the address behind it."""
    own = gdb.selected_inferior().architecture()
    if SAME.get(own.name()) != guest.arch:
        raise gdb.GdbError(f"gdb disassembles {own.name()} here, and the guest's code is {guest.arch}")
    try:
        from .disassembly import instructions
    except ImportError:
        raise gdb.GdbError("this gdb is too old to disassemble guest code: 13 or newer can") from None
    def read(at, length):
        return guest.read(at, length, physical=physical)

    for at, text, length in instructions(own, read, start, count):
        line = f"{at:#x}:\t{text}"
        show(line if physical else named(line, LABEL))
        gdb.set_convenience_variable("_", at)
        start = at + length
    return start


class Rrx(Examine):
    """Examine guest memory: rrx/FMT ADDRESS, as x/FMT ADDRESS does for the emulator's own.
ADDRESS is an expression for a guest virtual address. FMT is a repeat count followed by a
format letter of oxzdutfaics and a size letter of bhwg. Without ADDRESS, and on Enter, it goes
on where it stopped. "$_" is set to the last address, "$__" to its contents.
Example: rrx/4gx 0xffffffff81c00000"""


class Rrxp(Examine):
    """Examine guest memory by physical address: rrxp/FMT ADDRESS. See `help rrx`.
Devices are never read.
Example: rrxp/8xb 0xffff0"""

    physical = True


Rrx("rrx")
Rrxp("rrxp")
