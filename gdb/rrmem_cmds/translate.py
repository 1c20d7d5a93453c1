"""`rrv2p`, `rrp2v`, `rrfind`, `rrwhere`: from one kind of address to another."""

import gdb

from .session import SESSION, Command, address, named, show

#: Words of `rrv2p` that take another, with what it may be.
CHOICES = {"-a": ("r", "w", "x"), "-p": ("user", "kernel", "current")}


class Rrv2p(Command):
    """Where a guest virtual address leads: rrv2p [-v] [-a r|w|x] [-p user|kernel|current] ADDRESS.
Physical address, page size, effective rights, region and host address; -v shows every table
entry on the way. -a and -p ask whether the CPU could make this access, and with which fault it
ends if not; alone, -p asks about a read, and -a is with the CPU's privilege.
Example: rrv2p -a w -p user $rsp"""

    def __init__(self, name):
        # A class with a method `complete` is given no completer.
        gdb.Command.__init__(self, name, gdb.COMMAND_DATA)

    def complete(self, text, word):
        """The words that may stand here, or the symbols of an expression."""
        # Later releases of gdb ask first without a word: where do words end?
        word = word or ""
        before = text[:len(text) - len(word)].split()
        if before and before[-1] in CHOICES:
            return [choice for choice in CHOICES[before[-1]] if choice.startswith(word)]
        return gdb.COMPLETE_EXPRESSION

    def run(self, argument, from_tty):
        """Shows the translation, with -v the walk."""
        verbose, query, expression = parsed(argument)
        guest = SESSION.guest(verbose)
        walk = guest.walk(address(expression), **query)
        if verbose:
            show(named(f"{walk.gva:#x}  ({walk.mode})", r"^0x[0-9a-f]+"))
            for step in walk.steps:
                show(step.text)
        if walk.error is not None:
            # The same question, so that the error comes with its hint.
            guest.v2p(walk.gva, **query)
            raise gdb.GdbError(walk.error.text)
        if walk.gpa is None:
            raise gdb.GdbError("".join([walk.text, *(f"\nnote: {remark.text}" for remark in walk.remarks)]))
        show(named(walk.text, r"^0x[0-9a-f]+"))


def parsed(argument):
    """Whether to show the walk, the access that is asked about, and the expression."""
    verbose, query, rest = False, {}, argument.strip()
    keywords = {"-a": "access", "-p": "priv"}
    while True:
        word, _, after = rest.partition(" ")
        if word == "-v":
            verbose, rest = True, after.lstrip()
        elif word in keywords:
            query[keywords[word]], _, rest = after.lstrip().partition(" ")
            rest = rest.lstrip()
        else:
            return verbose, query, rest


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
