"""The guest of the selected inferior, read through gdb, and what all commands share."""

import warnings

import gdb
import rr_mem


class Reader:
    """The memory of an inferior, as gdb reads it."""

    def __init__(self, inferior):
        self._inferior = inferior

    def read(self, address, length):
        """Bytes at a host address."""
        return self._inferior.read_memory(address, length)


class Session:
    """Guests by inferior, kept until something may have changed."""

    def __init__(self):
        self._guests = {}
        self._chosen = {}
        events = gdb.events
        for event in (events.stop, events.cont, events.memory_changed, events.new_objfile,
                      events.clear_objfiles, events.exited, events.inferior_deleted):
            event.connect(self._forget)

    def _forget(self, _event):
        self._guests.clear()

    def choose(self, cpu):
        """Takes this CPU for the selected inferior; `None` for that of the thread."""
        self._chosen[gdb.selected_inferior().num] = cpu

    def guest(self):
        """The guest, as the chosen CPU sees it, or else the CPU of the selected thread."""
        inferior = gdb.selected_inferior()
        if not inferior.pid:
            raise gdb.GdbError("no emulator is being debugged: attach to one, or load its core")
        key = (inferior.num, inferior.pid)
        if key not in self._guests:
            self._guests[key] = open_guest(inferior)
        guest = self._guests[key]
        cpu = self._chosen.get(inferior.num)
        cpu = cpu_of_thread(guest) if cpu is None else cpu
        return guest if cpu == guest.cpu else guest.on_cpu(cpu)


SESSION = Session()


def open_guest(inferior):
    """The guest of an inferior, through CPU 0."""
    kind = getattr(getattr(inferior, "connection", None), "type", None)
    maps = gdb.execute("info proc mappings", to_string=True)
    return rr_mem.Guest.from_host(Reader(inferior), maps, modules(inferior, kind), complete=kind == "native")


def modules(inferior, kind):
    """Files that may be the executable and its libraries."""
    space = inferior.progspace
    own = [f"/proc/{inferior.pid}/exe"] if kind == "native" else []
    loaded = [objfile.filename for objfile in space.objfiles()]
    return own + [name for name in [space.filename, *loaded] if name]


def cpu_of_thread(guest):
    """The number of the CPU that the selected thread runs; else the present one."""
    thread = gdb.selected_thread()
    lwp = thread.ptid[1] if thread is not None else None
    return next((cpu.cpu for cpu in guest.cpus if cpu.thread == lwp), guest.cpu)


def address(expression):
    """The value of a gdb expression, as an address. Functions are not called for it."""
    if not expression.strip():
        raise gdb.GdbError("an address is needed: any expression of gdb")
    with gdb.with_parameter("may-call-functions", False):
        return number(gdb.parse_and_eval(expression))


def number(value):
    """A value of gdb as an address: not negative, whatever its type."""
    return int(value.cast(gdb.lookup_type("unsigned long long")))


def show(text):
    """Prints text, with gdb's pager."""
    gdb.write(f"{text}\n" if text and not text.endswith("\n") else text)


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
        except (rr_mem.RrMemError, gdb.error) as error:
            raise gdb.GdbError(" ".join(str(error).split())) from None

    def run(self, argument, from_tty):
        """What the command does."""
        raise NotImplementedError
