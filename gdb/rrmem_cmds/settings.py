"""`set rrmem ...` and `show rrmem ...`."""

import gdb

#: Called when a setting has changed.
CHANGED = []


class Prefix(gdb.Command):
    """Settings of rr-mem."""

    def __init__(self, name):
        super().__init__(name, gdb.COMMAND_SUPPORT, gdb.COMPLETE_NONE, True)

    def invoke(self, argument, from_tty):
        """Called by gdb where no setting is named."""
        gdb.execute(f"help {self.name}")


class Setting(gdb.Parameter):
    """A setting: its name, kind, first value and what it is."""

    def __init__(self, name, kind, value, doc, words=None):
        first = doc[0].lower() + doc[1:].splitlines()[0]
        self.set_doc, self.show_doc = f"Set {first}", f"Show {first}"
        self.__doc__ = doc
        super().__init__(f"rrmem {name}", gdb.COMMAND_SUPPORT, kind, *([words] if words else []))
        self._name = name
        self.value = value

    def get_set_string(self):
        """Called by gdb behind `set`."""
        for changed in CHANGED:
            changed()
        return ""

    def get_show_string(self, shown):
        """Called by gdb for `show`."""
        return f"rrmem {self._name} is {shown or 'not set'}."


for verb in ("set rrmem", "show rrmem"):
    prefix = Prefix.__new__(Prefix)
    prefix.name = verb
    prefix.__init__(verb)

CPU = Setting("cpu", gdb.PARAM_STRING_NOESCAPE, "auto",
              "The CPU whose tables all commands use.\nIts number, or auto: that of the selected thread.")
COLOR = Setting("color", gdb.PARAM_BOOLEAN, False, "Whether addresses are shown in colour.")
DEBUG = Setting("debug", gdb.PARAM_BOOLEAN, False,
                "Whether failures show Python's traceback.\nFor whoever looks for a fault of these commands.")
CACHE = Setting("cache", gdb.PARAM_BOOLEAN, True,
                "Whether what was read is kept until something may have changed it.\nOff, every command reads anew.")
LAYOUT = Setting("layout", gdb.PARAM_OPTIONAL_FILENAME, "",
                 "The file of QEMU's struct offsets.\nNot set, they come from debug info, or with rr-mem.")
REGISTERS = Setting("registers", gdb.PARAM_STRING_NOESCAPE, "",
                    "Registers that count instead of the CPU's own.\nWords such as cr3=0x1000 or tcr=$1, by the manual's "
                    "names in lower case; each value is an expression without spaces.")
ARCH = Setting("arch", gdb.PARAM_STRING_NOESCAPE, "",
               "The guest's architecture: i386, x86_64, arm or aarch64.\nAnother than the source's discards the source's registers.")
AS = Setting("as", gdb.PARAM_STRING_NOESCAPE, "",
             "The emulator's address space that memory is seen through.\nNot set, it is the one that the CPU uses.")
IMAGE = Setting("image", gdb.PARAM_OPTIONAL_FILENAME, "",
                "The file of guest memory that all commands read, whatever gdb debugs.\nRaw RAM, an ELF core, a kdump, a "
                "migration stream: what `rr-mem --image` takes.")
PID = Setting("pid", gdb.PARAM_ZUINTEGER, 0,
              "The process of the emulator, read past gdb.\nFor gdb at the stub of a QEMU on this machine; 0 is none.")
WRITE = Setting("write", gdb.PARAM_BOOLEAN, False, "Whether rrset may change guest memory.")
