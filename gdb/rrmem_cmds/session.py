"""The guest of the selected inferior, kept until something changes, and what all commands share."""

import re
import traceback
import warnings

import gdb
import rr_mem

from . import settings
from .targets import number, target


#: Symbols of the guest's kernel, by number of the inferior.
NAMES = {}


class Session:
    """Guests by inferior and thread, kept until something may have changed."""

    def __init__(self):
        self._guests = {}
        self._seen = {}
        self._said = set()
        events = gdb.events
        for event in (events.stop, events.cont, events.memory_changed, events.register_changed, events.new_objfile,
                      events.clear_objfiles, events.exited, events.inferior_deleted):
            event.connect(lambda _event: self.forget())
        settings.CHANGED.append(self.forget)

    def forget(self):
        """Forgets what was read: the next command reads it again."""
        self._guests.clear()
        self._seen.clear()

    def guest(self, verbose=False):
        """The guest, as the chosen CPU sees it, or else the CPU of the selected thread; `verbose`
        says how answers come about, too."""
        guest, found = self._opened()
        chosen, space = settings.CPU.value, settings.AS.value or None
        cpu = found.cpu(guest) if chosen == "auto" else address(chosen)
        registers, arch = given_registers(), settings.ARCH.value or None
        key = (guest, cpu, space, arch, tuple(registers.items()))
        if key not in self._seen:
            self._seen[key] = seen(guest, cpu, space, arch, registers)
        self._remark(gdb.selected_inferior().num, self._seen[key], verbose)
        return self._seen[key]

    def target(self):
        """What the guest is read from."""
        return self._opened()[1]

    def _opened(self):
        inferior, thread = gdb.selected_inferior(), gdb.selected_thread()
        key = (inferior.num, inferior.pid, thread.num if thread is not None else None)
        if key not in self._guests or not settings.CACHE.value:
            found = target()
            self._seen.clear()
            self._guests[key] = found.guest(), found
        return self._guests[key]

    def _remark(self, inferior, guest, verbose):
        """Says once what may make answers wrong, and how they come about if that is asked for."""
        for remark in guest.remarks:
            if (verbose or not remark.detail) and (inferior, remark.text) not in self._said:
                self._said.add((inferior, remark.text))
                gdb.write(f"note: {remark.text}{': ' if remark.gdb_hint else ''}{remark.gdb_hint}\n")


SESSION = Session()


def seen(guest, cpu, space, arch, registers):
    """The guest as the settings have it."""
    if space or cpu not in (None, guest.cpu):
        guest = guest.on_cpu(guest.cpu if cpu is None else cpu, space)
    return guest.with_registers(arch, **registers) if registers or arch else guest


def given_registers():
    """The registers that `set rrmem registers` gives."""
    found = {}
    for word in settings.REGISTERS.value.split():
        name, equals, value = word.partition("=")
        if not equals:
            raise gdb.GdbError(f"{word} is no register with a value: `set rrmem registers cr3=0x1000`")
        found[name] = address(value)
    return found


def address(expression):
    """The value of a gdb expression, as an address. Functions are not called for it."""
    return number(evaluate(expression))


def evaluate(expression):
    """The value of a gdb expression. Functions are not called for it."""
    if not expression.strip():
        raise gdb.GdbError("an address is needed: any expression of gdb")
    with gdb.with_parameter("may-call-functions", False):
        return gdb.parse_and_eval(expression)


def words(argument, most, usage):
    """Expressions without spaces, `most` at most."""
    found = gdb.string_to_argv(argument)
    if len(found) > most:
        raise gdb.GdbError(usage)
    return found


def named(text, where):
    """Text with names behind the guest addresses that the pattern `where` finds."""
    symbols = NAMES.get(gdb.selected_inferior().num)
    if symbols is None:
        return text

    def name(found):
        known = symbols.name(int(found.group(), 16))
        return f"{found.group()} <{known}>" if known else found.group()
    return re.sub(where, name, text, flags=re.MULTILINE)


def show(text):
    """Prints text, with gdb's pager."""
    if settings.COLOR.value:
        text = re.sub(r"^(\s*)(0x[0-9a-f]+)", "\\1\033[34m\\2\033[m", text, flags=re.MULTILINE)
    gdb.write(f"{text}\n" if text and not text.endswith("\n") else text)


def sentence(error):
    """What is said of a failure."""
    if settings.DEBUG.value:
        gdb.write(traceback.format_exc(), gdb.STDERR)
        gdb.write("".join(f"{line}\n" for line in getattr(error, "details", ())), gdb.STDERR)
    if getattr(error, "kind", None) == "no_emulator" and isinstance(error, rr_mem.MissingError):
        if settings.IMAGE.value:
            return gdb.GdbError("a file of guest memory has no emulator: `set rrmem image` without a name reads gdb's process")
        return gdb.GdbError("QEMU's gdb stub does not tell: `set rrmem pid PID` reads the emulator past gdb")
    text = " ".join(str(error).split())
    if isinstance(error, rr_mem.RrMemError):
        hint = getattr(error, "gdb_hint", "")
        return gdb.GdbError(f"{text}\nhint: {hint}" if hint else text)
    if isinstance(error, (gdb.error, gdb.GdbError)):
        return gdb.GdbError(text)
    return gdb.GdbError(f"a fault of these commands: {type(error).__name__}, {text} (`set rrmem debug on` shows where)")


class Command(gdb.Command):
    """A command whose every failure is one sentence."""

    def __init__(self, name, kind=gdb.COMMAND_DATA, completer=gdb.COMPLETE_EXPRESSION):
        super().__init__(name, kind, completer)

    def invoke(self, argument, from_tty):
        """Called by gdb."""
        try:
            with warnings.catch_warnings(record=True) as notes:
                warnings.simplefilter("always")
                self.run(argument, from_tty)
            for note in notes:
                show(f"note: {note.message}")
        except Exception as error:
            raise sentence(error) from None

    def run(self, argument, from_tty):
        """What the command does."""
        raise NotImplementedError
