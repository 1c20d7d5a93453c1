"""`rrwatch`: who touches a guest byte? Watchpoints on the emulator's bytes behind it."""

import re

import gdb
import rr_mem

from .session import SESSION, Command, address, sentence, show, words

TYPES = {1: "unsigned char", 2: "unsigned short", 4: "unsigned int", 8: "unsigned long long"}
KINDS = {"": gdb.WP_WRITE, "-r": gdb.WP_READ, "-a": gdb.WP_ACCESS}
NAMES = {gdb.WP_WRITE: "write", gdb.WP_READ: "read", gdb.WP_ACCESS: "access"}
REGISTERS = 4
USAGE = "rrwatch takes [-r|-a] ADDRESS [LENGTH], two expressions without spaces, or -p ADDRESS, or -e ADDRESS"


class Watch(gdb.Breakpoint):
    """A watchpoint of gdb on bytes of the inferior, and the guest bytes behind them."""

    def __init__(self, piece, kind, what, guest):
        with gdb.with_parameter("language", "c"):
            super().__init__(f"*({TYPES[piece.length]} *){piece.host:#x}", gdb.BP_WATCHPOINT, kind)
        self.piece = piece
        self.access = NAMES[kind]
        self.what = what
        #: The guest whose tables are looked at again; `None` where no table counts.
        self.guest = guest
        self.watched = gdb.selected_inferior()
        self.moved = False
        self.bytes = self.read()

    @property
    def in_hardware(self):
        """Whether the processor watches, and not gdb step by step."""
        return self.type != gdb.BP_WATCHPOINT

    def read(self):
        """The bytes now; `None` where they cannot be read."""
        try:
            return bytes(self.watched.read_memory(self.piece.host, self.piece.length))
        except gdb.error:
            return None

    def __str__(self):
        return f"{self.number}: {self.what} {self.piece.text}"


class Watches:
    """Every watch, looked at whenever the program stops."""

    def __init__(self):
        self._all = []
        gdb.events.stop.connect(self._guarded(self._stopped))
        gdb.events.memory_changed.connect(self._guarded(lambda _event: self._read()))
        gdb.events.breakpoint_deleted.connect(self._guarded(self._deleted))

    @staticmethod
    def _guarded(act):
        """gdb shows tracebacks of what its events raise."""
        def guarded(event):
            try:
                act(event)
            except Exception as error:
                gdb.write(f"rrwatch: {sentence(error)}\n", gdb.STDERR)
        return guarded

    def own(self):
        """Those of the selected inferior."""
        inferior = gdb.selected_inferior()
        return [watch for watch in self._all if watch.watched == inferior]

    def add(self, watch):
        """Takes one."""
        self._all.append(watch)

    def _deleted(self, breakpoint):
        self._all = [watch for watch in self._all if watch is not breakpoint]

    def _read(self):
        for watch in self.own():
            watch.bytes = watch.read()

    def _stopped(self, event):
        hit = [breakpoint.number for breakpoint in getattr(event, "breakpoints", ())]
        for watch in self.own():
            before, watch.bytes = watch.bytes, watch.read()
            if before != watch.bytes:
                show(f"rrwatch {watch}: {shown(before)} -> {shown(watch.bytes)}{reason(watch, hit)}")
            elif watch.number in hit and watch.access != "write":
                show(f"rrwatch {watch}: {shown(before)}, unchanged")
            remapped(watch)


WATCHES = Watches()


def shown(data):
    """Bytes as a number."""
    return "unreadable" if data is None else f"{int.from_bytes(data, 'little'):#x}"


def reason(watch, hit):
    """What is to be said of a change that gdb did not stop for."""
    if watch.number in hit:
        return ""
    if not watch.enabled:
        return ", while it was disabled"
    recording = gdb.current_recording()
    if watch.in_hardware and recording is not None and recording.method == "full":
        return ", unseen: `record full` needs watchpoints that are set after it"
    if watch.access == "read":
        return ", not by a read"
    return ", unseen by the processor: the host's kernel wrote it, as it does for disk and network input"


def remapped(watch):
    """Says once that the guest address leads elsewhere now."""
    if watch.guest is None or watch.moved:
        return
    watch.guest.forget()
    try:
        gpa = watch.guest.v2p(watch.piece.address).gpa
        watch.moved = gpa != watch.piece.gpa
        now = f"leads to {gpa:#x}"
    except rr_mem.NotMapped:
        watch.moved, now = True, "is not mapped"
    except rr_mem.RrMemError as error:
        watch.moved, now = True, f"cannot be translated ({error})"
    if watch.moved:
        show(f"rrwatch {watch}: the guest has remapped {watch.piece.address:#x}, which {now} now; "
             f"the watch stays where it is: `delete {watch.number}`, and rrwatch again")


class Rrwatch(Command):
    """Watch guest memory: rrwatch [-r|-a] ADDRESS [LENGTH] stops at writes to a guest virtual
address (-r: reads, -a: both), rrwatch -p ADDRESS [LENGTH] at those to a physical one,
rrwatch -e ADDRESS at those to the page-table entry that maps a virtual address.
With reverse-continue (rr, or any target that can) it answers "who wrote this guest byte".
Watchpoints of the host's processor are set: four, each on up to 8 aligned bytes. They miss
writes by the host's kernel (disk and network input): the bytes are compared at every stop.
Under KVM guest code triggers none, so it is refused there. `info rrwatch` lists them,
`delete N` deletes one.
Example: rrwatch 0xffffffff81c00000 8"""

    def __init__(self, name):
        super().__init__(name, gdb.COMMAND_BREAKPOINTS)

    def run(self, argument, from_tty):
        """Sets the watchpoints."""
        flags, rest = re.fullmatch(r"((?:-[a-z]+\s+)*)(.*)", argument.strip(), re.DOTALL).groups()
        flags = flags.split()
        if set(flags) - {"-r", "-a", "-p", "-e"} or len(set(flags) & {"-r", "-a"}) > 1 or {"-p", "-e"} <= set(flags):
            raise gdb.GdbError(USAGE)
        kind = KINDS[next((flag for flag in flags if flag in KINDS), "")]
        given = [address(word) for word in words(rest, 1 if "-e" in flags else 2, USAGE)] or [address("")]
        if SESSION.target().is_stub:
            guest_watchpoint(given, kind, flags)
            return
        refuse()
        what, pieces, guest = plan(given, flags)
        if used() + len(pieces) > REGISTERS:
            raise gdb.GdbError(f"the processor has {REGISTERS} watchpoint registers: {used()} are in use, and "
                               f"{len(pieces)} more are needed; `info watchpoints` lists, `delete N` frees")
        for piece in pieces:
            watch(piece, kind, what, guest)


def refuse():
    """Says what cannot be watched."""
    inferior = gdb.selected_inferior()
    if getattr(inferior.connection, "type", None) == "core":
        raise gdb.GdbError("a core does not run: there is nothing to watch")
    if any(cpu.accelerator.startswith("kvm") for cpu in SESSION.guest().cpus):
        raise gdb.GdbError("the guest runs under KVM, where its writes trigger no watchpoint of the host: "
                           "start the emulator with -accel tcg, or watch through its gdb stub")


def plan(given, flags):
    """What is watched, in words; its pieces; the guest, where its tables decide."""
    guest, start = SESSION.guest(), given[0]
    length = given[1] if len(given) > 1 else 1
    if "-e" in flags:
        steps = guest.walk(start).steps
        if not steps:
            raise gdb.GdbError(f"no table maps {start:#x}: paging is off, or it is no address of this mode")
        entry = steps[-1]
        return (f"{entry.level} of {start:#x}, physical",
                guest.watch_plan(entry.at, entry.size, physical=True), None)
    physical = "-p" in flags
    pieces = guest.watch_plan(start, length, physical=physical)
    return ("physical" if physical else "virtual"), pieces, (None if physical else guest)


def used():
    """Watchpoint registers in use."""
    watchpoints = (gdb.BP_HARDWARE_WATCHPOINT, gdb.BP_READ_WATCHPOINT, gdb.BP_ACCESS_WATCHPOINT)
    return sum(breakpoint.type in watchpoints and breakpoint.enabled for breakpoint in gdb.breakpoints())


def watch(piece, kind, what, guest):
    """Sets one watchpoint. gdb's `record full` finds changes only step by step."""
    recording = gdb.current_recording()
    in_steps = recording is not None and recording.method == "full"
    with gdb.with_parameter("can-use-hw-watchpoints", int(not in_steps)):
        made = Watch(piece, kind, what, guest)
    WATCHES.add(made)
    show(f"rrwatch {made}{', step by step in the recording' if in_steps else ''}")


def guest_watchpoint(given, kind, flags):
    """The stub watches guest virtual addresses itself."""
    if {"-p", "-e"} & set(flags):
        raise gdb.GdbError("QEMU's gdb stub watches virtual addresses only: `rrp2v` finds those of a physical one")
    length = given[1] if len(given) > 1 else 1
    if length < 1:
        raise gdb.GdbError("0 bytes cannot be watched")
    form = TYPES.get(length, f"unsigned char (*)[{length}]").rstrip("*")
    with gdb.with_parameter("language", "c"):
        gdb.Breakpoint(f"*({form}{'' if '(*)' in form else ' *'}){given[0]:#x}", gdb.BP_WATCHPOINT, kind)


class InfoRrwatch(Command):
    """Guest bytes that are watched, by the number of the watchpoint."""

    def __init__(self, name):
        super().__init__(name, gdb.COMMAND_STATUS, gdb.COMPLETE_NONE)

    def run(self, argument, from_tty):
        """Lists them."""
        if not WATCHES.own():
            show("No guest bytes are watched.")
        for watch in WATCHES.own():
            state = "" if watch.enabled else ", disabled"
            show(f"{watch}  {watch.access}, hit {watch.hit_count} times{state}, now {shown(watch.bytes)}")


Rrwatch("rrwatch")
InfoRrwatch("info rrwatch")
