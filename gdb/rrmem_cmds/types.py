"""`rrprint`: guest bytes as a value of a type that gdb knows."""

import re

import gdb
import rr_mem

from .session import SESSION, Command, address, evaluate, show

#: Elements of an array, as gdb's own `print elements`.
MOST = 200


class Rrprint(Command):
    """Show guest memory as a value: rrprint[/FMT] TYPE ADDRESS. TYPE is any that gdb knows, for
instance from `add-symbol-file vmlinux`; ADDRESS is an expression without spaces for a guest
virtual address. Strings behind pointers are the guest's.
Example: rrprint struct task_struct $rr_u64(0xffffffff82a15a80)"""

    def __init__(self, name):
        super().__init__(name, gdb.COMMAND_DATA, gdb.COMPLETE_SYMBOL)

    def run(self, argument, from_tty):
        """Shows the value."""
        found = re.fullmatch(r"\s*(?:/(\w)\s)?\s*(.*\S)\s+(\S+)\s*", argument, re.DOTALL)
        if found is None:
            raise gdb.GdbError("rrprint takes a type and an address: rrprint struct task_struct 0xffff888003a00000")
        letter, name, place = found.groups()
        kind = type_of(name)
        guest, start = SESSION.guest(), address(place)
        if not kind.sizeof:
            raise gdb.GdbError(f"{name} has no size here: its definition is not in gdb's symbols")
        value = gdb.Value(guest.read(start, kind.sizeof), kind)
        show(f"({name} at {start:#x}) = {Text(guest, letter).of(value)}")


def type_of(name):
    """A type by its name."""
    try:
        return evaluate(f"({name} *) 0").type.target()
    except gdb.error:
        return gdb.lookup_type(name)


class Text:
    """Values as text; gdb's own would follow pointers in the emulator's memory."""

    def __init__(self, guest, letter):
        self._guest = guest
        self._options = {"format": letter} if letter else {}

    def of(self, value):
        """One value."""
        kind = value.type.strip_typedefs()
        if kind.code in (gdb.TYPE_CODE_STRUCT, gdb.TYPE_CODE_UNION):
            return self._members(value, kind)
        if kind.code == gdb.TYPE_CODE_ARRAY and not is_text(kind.target()):
            first, last = kind.range()
            shown = [self.of(value[index]) for index in range(first, min(last, first + MOST - 1) + 1)]
            return "{" + ", ".join(shown + (["..."] if last - first >= MOST else [])) + "}"
        if kind.code == gdb.TYPE_CODE_PTR and is_text(kind.target()):
            return self._string(int(value))
        return value.format_string(raw=True, **self._options)

    def _members(self, value, kind):
        fields = [field for field in kind.fields() if hasattr(field, "bitpos")]
        named = [(f"{field.name} = " if field.name else "", self.of(value[field])) for field in fields]
        return "{" + ", ".join(name + text for name, text in named) + "}"

    def _string(self, start):
        try:
            return f"{start:#x} {quoted(self._guest.string(start, MOST))}" if start else "0x0"
        except rr_mem.RrMemError:
            return f"{start:#x}"


def is_text(kind):
    """Whether it is a character."""
    kind = kind.strip_typedefs()
    return kind.code == gdb.TYPE_CODE_INT and kind.sizeof == 1


def quoted(data):
    """Bytes as a string of C."""
    return '"' + data.decode("latin-1").encode("unicode_escape").decode().replace('"', '\\"') + '"'


Rrprint("rrprint")
