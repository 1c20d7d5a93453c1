"""`rrcpu`, `rrram`, `rrmtree`, `rrpt`: the guest's CPUs, RAM, regions and page tables."""

import gdb

from .session import SESSION, Command, address, named, show


class Rrcpu(Command):
    """The guest's CPUs: rrcpu lists them, rrcpu N takes CPU N for all commands, rrcpu auto the
one that the selected thread runs. At QEMU's gdb stub, CPUs are gdb's threads."""

    def __init__(self, name):
        super().__init__(name, gdb.COMMAND_STATUS)

    def run(self, argument, from_tty):
        """Lists or chooses."""
        if argument == "auto":
            gdb.execute("set rrmem cpu auto")
            return
        guest = SESSION.guest()
        if not argument:
            for cpu in guest.cpus:
                text = named(cpu.text, r"(?<=  pc )0x[0-9a-f]+")
                show(f"{'*' if cpu.cpu == guest.cpu else ' '} {text}")
        else:
            gdb.execute(f"set rrmem cpu {guest.on_cpu(address(argument)).cpu}")


class Rrram(Command):
    """The RAM blocks of the guest and where they are in the emulator."""

    def __init__(self, name):
        super().__init__(name, gdb.COMMAND_STATUS, gdb.COMPLETE_NONE)

    def run(self, argument, from_tty):
        """Lists them."""
        for block in SESSION.guest().ram_blocks:
            show(block.text)


class Rrmtree(Command):
    """The region tree of the guest, as the monitor's `info mtree` prints it: rrmtree [-f].
-f prints the flat views."""

    def __init__(self, name):
        super().__init__(name, gdb.COMMAND_STATUS, gdb.COMPLETE_NONE)

    def run(self, argument, from_tty):
        """Prints the tree."""
        if argument not in ("", "-f"):
            raise gdb.GdbError("rrmtree takes -f, for the flat views, and nothing else")
        target = SESSION.target()
        show(target.mtree(argument) if target.has_monitor else SESSION.guest().mtree(flat=argument == "-f"))


class Rrpt(Command):
    """What the guest's page tables map: rrpt [-f FILTER]... [FIRST [LAST]], two expressions without
spaces. A FILTER is words with commas between that must all hold: w, x (any privilege may), u, s
(user, kernel only), ro, nx, wx, large, 4K, 2M, 1G. Several are alternatives.
Example: rrpt -f w,x -f u,wx"""

    def run(self, argument, from_tty):
        """Lists the mappings."""
        words, filters = gdb.string_to_argv(argument), []
        while words[:1] == ["-f"]:
            filters += words[1:2]
            del words[:2]
        limits = [address(word) for word in words]
        if len(limits) > 2:
            raise gdb.GdbError("rrpt takes -f FILTER, the first and the last address, and nothing else")
        found = SESSION.guest().mappings(*limits, merge="rights", filters=filters)
        if not found:
            raise gdb.GdbError("nothing is mapped there")
        for run in found:
            show(run.text)


Rrcpu("rrcpu")
Rrram("rrram")
Rrmtree("rrmtree")
Rrpt("rrpt")
