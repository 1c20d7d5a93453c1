"""Guest memory of an emulator (QEMU, PANDA): from any guest address to the host byte, and back.

>>> guest = rr_mem.Guest.from_process(4242)
>>> guest.v2p(0xffffffff81000000)
<Translation 0xffffffff81000000 -> 0x1000000  2M  kernel r-x user ---  pc.ram+0x1000000  host 0x7f36e1000000>

Every exception is a `RrMemError` with `kind`, a short stable name, `hint`, what to do,
`gdb_hint`, the same in the words of the commands in gdb, and `details`, lines that its
sentence leaves out.
"""

from ._native import (
    Alias,
    Cpu,
    Emulator,
    Entry,
    Failure,
    Fault,
    FlatRange,
    Guest,
    Hit,
    IncompleteWarning,
    Line,
    Listing,
    Log,
    MappedTo,
    Mapping,
    MappingChange,
    MemoryChange,
    MissingError,
    NotMapped,
    PageChange,
    Piece,
    Place,
    RamBlock,
    ReadError,
    Region,
    RegisterChange,
    Registers,
    Remark,
    Rights,
    Root,
    RrMemError,
    Rwx,
    Section,
    Slice,
    SourceError,
    Step,
    Symbols,
    Translation,
    UsageError,
    Walk,
    Where,
    diff,
    emulators,
    __version__,
)

__all__ = [
    "Alias", "Cpu", "Emulator", "Entry", "Failure", "Fault", "FlatRange", "Guest", "Hit",
    "IncompleteWarning", "Line", "Listing", "Log", "MappedTo", "Mapping", "MappingChange",
    "MemoryChange", "MissingError", "NotMapped", "PageChange", "Piece", "Place", "RamBlock",
    "ReadError", "Region", "RegisterChange", "Registers", "Remark", "Rights", "Root", "RrMemError",
    "Rwx", "Section", "Slice", "SourceError", "Step", "Symbols", "Translation", "UsageError",
    "Walk", "Where", "diff", "emulators", "__version__",
]
