"""`rrsym`: names of the guest's kernel, beside addresses of all commands."""

import gdb
import rr_mem

from .session import NAMES, SESSION, Command, address, show


class Rrsym(Command):
    """Name the guest's addresses: rrsym FILE [OFFSET] takes the vmlinux or System.map of its
kernel; where the kernel has moved (KASLR) and no OFFSET is given, it is looked for in the
guest's tables. rrsym off forgets the names, rrsym tells what is named.
Example: rrsym /boot/System.map-6.1.0-18-amd64"""

    def __init__(self, name):
        super().__init__(name, gdb.COMMAND_FILES, gdb.COMPLETE_FILENAME)

    def run(self, argument, from_tty):
        """Reads the file."""
        words = gdb.string_to_argv(argument)
        number = gdb.selected_inferior().num
        if len(words) > 2:
            raise gdb.GdbError("rrsym takes a file and the kernel's offset, an expression without spaces")
        if words == ["off"]:
            NAMES.pop(number, None)
        elif words:
            symbols = rr_mem.Symbols(words[0], address(words[1]) if words[1:] else 0)
            NAMES[number] = symbols if words[1:] else symbols.in_guest(SESSION.guest())
        found = NAMES.get(number)
        show("Guest addresses are not named." if found is None else
             f"Guest addresses are named; the kernel's offset is {found.offset:#x}.")


Rrsym("rrsym")
