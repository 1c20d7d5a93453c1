"""`rrv2p`, `rrp2v`, `rrfind`, `rrwhere`: from one kind of address to another."""

import gdb

from .session import SESSION, Command, address, named, show


class Rrv2p(Command):
    """Where a guest virtual address leads: rrv2p [-v] ADDRESS.
Physical address, page size, effective rights, region and host address; -v shows every table
entry on the way."""

    def run(self, argument, from_tty):
        """Shows the translation, with -v the walk."""
        verbose = argument.startswith("-v ")
        gva = address(argument[2:] if verbose else argument)
        walk = SESSION.guest().walk(gva)
        if verbose:
            show(named(f"{gva:#x}  ({walk.mode})", r"^0x[0-9a-f]+"))
            for step in walk.steps:
                show(step.text)
        if walk.error is not None:
            raise gdb.GdbError(walk.error)
        if walk.translation is None:
            raise gdb.GdbError(walk.text)
        show(named(walk.text, r"^0x[0-9a-f]+"))


class Rrp2v(Command):
    """Every guest virtual address of a physical one: rrp2v ADDRESS."""

    def run(self, argument, from_tty):
        """Shows the aliases."""
        gpa = address(argument)
        aliases = SESSION.guest().p2v(gpa)
        if not aliases:
            raise gdb.GdbError(f"{gpa:#x} -> not mapped")
        for alias in aliases:
            show(named(alias.text, r"(?<=-> )0x[0-9a-f]+"))


class Rrfind(Command):
    """What memory_region_find returns for a guest physical address: rrfind ADDRESS."""

    def run(self, argument, from_tty):
        """Shows the region."""
        gpa = address(argument)
        found = SESSION.guest().find(gpa)
        if found is None:
            raise gdb.GdbError(f"{gpa:#x} -> no region")
        show(found.text)


class Rrwhere(Command):
    """Which guest byte a pointer of the emulator leads to: rrwhere EXPRESSION.
RAM block, region, physical address and every virtual address."""

    def run(self, argument, from_tty):
        """Shows where the pointer leads."""
        found = SESSION.guest().where(address(argument))
        if found.ram_block is None:
            raise gdb.GdbError(found.text)
        show(found.text)
        for place in found.places:
            show(named(place.text, r"(?<=^    )0x[0-9a-f]+"))
            if place.more:
                show("    and more")


Rrv2p("rrv2p")
Rrp2v("rrp2v")
Rrfind("rrfind")
Rrwhere("rrwhere")
