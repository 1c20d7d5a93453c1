"""What gdb debugs: an emulator, its core, or a guest through QEMU's gdb stub; and how each is read."""

import gdb
import rr_mem

from . import settings

#: The most that every QEMU's stub gives at once.
PACKET_BYTES = 1024
MODE = "qemu.PhyMemMode"


def connection(inferior):
    """How gdb is connected to an inferior, and by what."""
    found = inferior.connection
    return found, getattr(found, "type", None)


class Reader:
    """The memory of an inferior, as gdb reads it."""

    def __init__(self, inferior):
        self._inferior = inferior

    def read(self, address, length):
        """Bytes at a host address."""
        return self._inferior.read_memory(address, length)


class Writer(Reader):
    """The same of a process that may be changed."""

    def write(self, address, data):
        """Changes bytes at a host address."""
        self._inferior.write_memory(address, data)


class Emulator:
    """An emulator, or a core of one."""

    is_stub = False
    has_monitor = False

    def __init__(self, inferior):
        self._inferior = inferior
        _, self._kind = connection(inferior)

    def guest(self):
        """The guest, through CPU 0."""
        local = self._kind == "native"
        reader = (Writer if self.refusal() is None else Reader)(self._inferior)
        return rr_mem.Guest.from_host(reader, mappings(self._inferior), self._modules(local),
                                      complete=local, layout=settings.LAYOUT.value or None)

    def _modules(self, local):
        """Files that may be the executable and its libraries."""
        space = self._inferior.progspace
        own = [f"/proc/{self._inferior.pid}/exe"] if local else []
        names = [space.filename, *(objfile.filename for objfile in space.objfiles())]
        return own + [name[len("target:"):] if name.startswith("target:") else name for name in names if name]

    def cpu(self, guest):
        """The number of the CPU that the selected thread runs, if it runs one."""
        thread = gdb.selected_thread()
        lwp = thread.ptid[1] if thread is not None else None
        return next((cpu.cpu for cpu in guest.cpus if cpu.thread == lwp), None)

    def refusal(self):
        """Why it cannot be changed; `None` if it can."""
        if self._kind == "core":
            return "a core cannot be changed"
        if self._kind != "native":
            return "what is not a process of this machine, a recording for one, is not changed"
        if gdb.current_recording() is not None:
            return "what is recorded is not changed: `record stop` first"
        return None


class Process:
    """The emulator that `set rrmem pid` names, whatever gdb debugs."""

    has_monitor = False

    def __init__(self, inferior):
        self.is_stub = stub_mode(inferior) is not None

    def guest(self):
        """The guest, through CPU 0."""
        return rr_mem.Guest.from_process(settings.PID.value, layout=settings.LAYOUT.value or None)

    def cpu(self, guest):
        """The stub calls CPU n thread n + 1."""
        thread = gdb.selected_thread()
        wanted = thread.ptid[1] - 1 if self.is_stub and thread is not None else None
        return next((cpu.cpu for cpu in guest.cpus if cpu.cpu == wanted), None)

    def refusal(self):
        """Why it cannot be changed; `None` if it can."""
        return None


class Image:
    """The file of guest memory that `set rrmem image` names, whatever gdb debugs."""

    is_stub = False
    has_monitor = False

    def guest(self):
        """The guest, through CPU 0."""
        return rr_mem.Guest.from_image(settings.IMAGE.value)

    def cpu(self, guest):
        """Threads of gdb's are none of its CPUs."""
        return None

    def refusal(self):
        """Why it cannot be changed."""
        return "a file of guest memory is not changed"


class Stub:
    """A guest at the other end of QEMU's gdb stub."""

    is_stub = True
    has_monitor = True

    def __init__(self, inferior):
        self._inferior = inferior

    def guest(self):
        """The guest, through the CPU that is the selected thread."""
        read = reader_of_registers()
        mtree = self.mtree("-f")
        arch = self._inferior.architecture().name()
        return rr_mem.Guest.from_stub(arch, lambda name: register(read, name), StubMemory(self._inferior), mtree)

    def mtree(self, flags):
        """What the monitor says."""
        return gdb.execute(f"monitor info mtree {flags}", to_string=True).replace("\r", "")

    def cpu(self, guest):
        """Each guest has one."""
        return None

    def refusal(self):
        """Why it cannot be changed."""
        return "through the stub, gdb's own `set {TYPE}ADDRESS = VALUE` changes the guest"


class StubMemory:
    """Guest physical memory through the stub, whose mode is left as it was."""

    def __init__(self, inferior):
        self._connection, _ = connection(inferior)

    def read(self, address, length):
        """Bytes at a guest physical address."""
        before = ask(self._connection, f"q{MODE}")
        ask(self._connection, f"Q{MODE}:1")
        try:
            parts = range(0, length, PACKET_BYTES)
            return b"".join(self._part(address + at, min(PACKET_BYTES, length - at)) for at in parts)
        finally:
            ask(self._connection, f"Q{MODE}:{before}")

    def _part(self, address, length):
        answer = ask(self._connection, f"m{address:x},{length:x}")
        if not answer or answer.startswith("E"):
            raise gdb.MemoryError(f"the stub gives no memory at {address:#x}")
        return bytes.fromhex(answer)


def ask(remote, packet):
    """The answer to a packet; gdb gives none for an empty one."""
    return (remote.send_packet(packet) or b"").decode("latin-1")


def reader_of_registers():
    """What gives a register's value. In code that gdb cannot unwind (vectors, firmware) there
    is no frame object, but expressions still know the registers."""
    try:
        return gdb.newest_frame().read_register
    except gdb.error:
        return lambda name: gdb.parse_and_eval(f"${name}")


def register(read, name):
    """A register of the stub's; `None` where it has none of that name."""
    try:
        value = read(name)
    except (ValueError, gdb.error):
        return None
    if value.type.code == gdb.TYPE_CODE_VOID:
        return None
    # gdb casts no flags.
    return int(value) if value.type.code == gdb.TYPE_CODE_FLAGS else number(value)


def number(value):
    """A value of gdb as an address: not negative, whatever its type."""
    return int(value.cast(gdb.lookup_type("unsigned long long")))


def stub_mode(inferior):
    """What QEMU's stub says of its mode; `None` where gdb is at no such stub."""
    found, kind = connection(inferior)
    if kind not in ("remote", "extended-remote"):
        return None
    return ask(found, f"q{MODE}") or None


def mappings(inferior):
    """The memory map of an inferior."""
    try:
        return gdb.execute("info proc mappings", to_string=True)
    except gdb.error as error:
        raise gdb.GdbError(f"gdb knows no memory map of inferior {inferior.num} ({error}): is it an emulator? "
                           "`set rrmem pid PID` reads one past gdb") from None


def target():
    """What the selected inferior is."""
    inferior = gdb.selected_inferior()
    if settings.IMAGE.value:
        return Image()
    if settings.PID.value:
        return Process(inferior)
    if not inferior.pid:
        raise gdb.GdbError("no emulator is being debugged: attach to one, or load its core")
    return Stub(inferior) if stub_mode(inferior) is not None else Emulator(inferior)
