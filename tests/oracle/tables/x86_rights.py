"""x86 tables whose rights vary at every level, some with reserved bits set.

Intel SDM volume 3A, "Paging": "Access Rights", "Protection Keys", "Page-Fault
Exceptions". Every frame is
RAM that holds no table, so that a CPU may read, write and execute all of it.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Optional

from .case import Case
from .image import PAGE
from .x86 import (
    CR0_WP,
    EFER_NXE,
    FIVE,
    FOUR,
    GB,
    LEGACY,
    MB,
    NX,
    PAE,
    PS,
    RW,
    US,
    Format,
    P,
    Tables,
    registers,
)

CR4_SMEP, CR4_SMAP = 1 << 20, 1 << 21
CR4_PKE, CR4_PKS = 1 << 22, 1 << 24

# PK in the error code; where a page's key is in its entry.
PK, KEY_SHIFT = 1 << 5, 59

TABLES = (2 * MB, 1 * GB)
FRAMES_LOW, FRAMES = (1 * GB, 3 * GB), (8 * GB, 72 * GB)

# Physical memory of the stub, and how much of it is mapped.
STUB, STUB_SIZE, USER_PAGE = 0x10000, 0x20000, 0x3000

# What QEMU's TCG implements (MAXPHYADDR); bits above are reserved in entries.
PHYS_BITS = 40


@dataclass(frozen=True)
class Mode:
    """The control bits that decide about rights."""

    fmt: Format
    wp: bool
    smep: bool
    smap: bool
    nxe: bool
    pke: bool = False
    pks: bool = False

    @property
    def name(self) -> str:
        """A name that says what is on."""
        flags = {"wp": self.wp, "smep": self.smep, "smap": self.smap, "nxe": self.nxe}
        flags |= {"pke": self.pke, "pks": self.pks}
        return "_".join([self.fmt.name, *(name for name, on in flags.items() if on)])


class RightsTables(Tables):
    """Tables with random rights, a window for the stub, and reserved bits."""

    def __init__(self, mode: Mode, rng: random.Random) -> None:
        super().__init__(mode.fmt, rng, TABLES)
        self.mode = mode
        self.plain = False
        self.reserved: set[int] = set()
        # Key 0 is that of the stub: it may do everything.
        self.chance = random.Random(str(rng.getstate()))
        self.pkru, self.pkrs = self.forbidden(), self.forbidden()

    def forbidden(self) -> int:
        """What keys 1 to 15 forbid."""
        return self.chance.getrandbits(32) & self.chance.getrandbits(32) & ~3

    def noise(self) -> int:
        """Rights of a page."""
        if self.plain:
            return RW | US
        key = self.chance.getrandbits(4) << KEY_SHIFT if self.fmt.sign else 0
        return self._rights(0.6, 0.25) | key

    def table_noise(self, level: int) -> int:
        """Rights of a table; a PDPTE of PAE paging has none."""
        if self.fmt is PAE and level == 0:
            return 0
        return RW | US if self.plain else self._rights(0.85, 0.12)

    def _rights(self, allow: float, deny_fetch: float) -> int:
        bits = RW if self.rng.random() < allow else 0
        bits |= US if self.rng.random() < allow else 0
        if self.fmt is not LEGACY and self.rng.random() < deny_fetch * (
            1 if self.mode.nxe else 0.3
        ):
            bits |= NX
        return bits

    def window(self) -> int:
        """Map the stub: pages of the kernel, and one of the user."""
        base = 0x00400000 | (self.fmt.canonical(1 << (self.fmt.width - 1)) if self.fmt.sign else 0)
        self.plain = True
        for offset in range(0, STUB_SIZE, PAGE):
            self.map(base + offset, STUB + offset)
            if offset != USER_PAGE:
                slot = self.slot_of(base + offset)
                self.put(slot, self.image.get(slot, self.fmt.entry) & ~US)
        self.plain = False
        self.mappings.clear()
        return base

    def slot_of(self, gva: int) -> int:
        """The entry of a 4 KB page that is mapped."""
        return self.descend(gva, len(self.fmt.shifts) - 1)

    def frame(self, shift: int) -> int:
        """RAM for a page of this size."""
        narrow = self.fmt is LEGACY and shift == 12
        low, high = FRAMES_LOW if narrow else FRAMES
        return self.rng.randrange(low >> shift, high >> shift) << shift

    def populate(self, count: int) -> None:
        """Random pages in clusters under shared tables."""
        while len(self.mappings) < count:
            base = self.random_gva()
            shift = self.rng.choice(self.sizes())
            for step in range(self.rng.randrange(1, 7)):
                gva = base + (step << shift) & (1 << 64) - 1
                if self.rng.random() < 0.1:
                    self.swap(gva, shift)
                else:
                    self.add(gva, shift)

    def sizes(self) -> tuple[int, ...]:
        """Which pages the mode has."""
        return self.fmt.pages

    def add(self, gva: int, shift: int) -> None:
        """Map one page, now and then with a reserved bit."""
        before = set(self.children)
        if not self.map(gva, self.frame(shift), shift):
            return
        if self.rng.random() < 0.12:
            level = self.level_of(shift)
            self.reserve(self.descend(self.fmt.canonical(gva), level), shift, level)
        for slot in set(self.children) - before:
            if self.rng.random() < 0.04 and slot != self.root_slot(gva):
                self.reserve(slot, 0, -1)

    def root_slot(self, gva: int) -> int:
        """The entry of the root table."""
        return self.slot(self.root, gva, 0)

    def reserve(self, slot: int, shift: int, level: int) -> None:
        """Set one reserved bit ("Page-Fault Exceptions", the RSVD flag)."""
        value = self.image.get(slot, self.fmt.entry)
        if self.fmt is LEGACY:
            if shift == 22:
                self.reserved.add(slot)
                self.put(slot, value | 1 << 21)
            return
        self.reserved.add(slot)
        bits = [*range(PHYS_BITS, 52)]
        if shift > 12:
            bits += [*range(13, shift)]
        self.put(slot, value | 1 << self.rng.choice(bits))

    def reserve_roots(self) -> None:
        """PS in some PML4E and PML5E; the stub's own is spared."""
        if not self.fmt.sign:
            return
        spared = self.root_slot(self.fmt.canonical(1 << (self.fmt.width - 1)))
        for slot in list(self.children):
            if slot & -PAGE == self.root and slot != spared and self.rng.random() < 0.05:
                self.reserved.add(slot)
                self.put(slot, self.image.get(slot, 8) | PS)

    def path(self, gva: int) -> list[int]:
        """The entries that the generator made on the way to `gva`."""
        slots, table = [], self.root
        for level in range(len(self.fmt.shifts)):
            slots.append(self.slot(table, gva, level))
            if slots[-1] not in self.children:
                break
            table = self.children[slots[-1]]
        return slots

    def fault(self, gva: int, access: str, user: bool) -> Optional[int]:
        """The error code that the manual asks for, or None ("Page-Fault Exceptions")."""
        fetch_bit = self.mode.smep or (self.mode.nxe and self.fmt is not LEGACY)
        code = (2 if access == "w" else 0) | (4 if user else 0)
        code |= 16 if access == "x" and fetch_bit else 0
        words = []
        for slot in self.path(gva):
            word = self.image.get(slot, self.fmt.entry)
            if not word & P:
                return code
            if slot in self.reserved or (word & NX and not self.mode.nxe):
                return code | 8 | 1
            words.append(word)
        top = 1 if self.fmt is PAE else 0
        if self.locked(words[top:], access, user):
            return code | PK | P
        return None if self.allowed(words[top:], access, user) else code | P

    def locked(self, words: list[int], access: str, user: bool) -> bool:
        """ "Protection Keys": AD forbids data, WD writes; WP decides for the supervisor."""
        user_page = all(word & US for word in words)
        if user and not user_page:
            return False
        enabled, rights = (
            (self.mode.pke, self.pkru) if user_page else (self.mode.pks, self.pkrs)
        )
        if not enabled or not self.fmt.sign or access == "x":
            return False
        of_key = rights >> 2 * (words[-1] >> KEY_SHIFT & 15)
        if of_key & 1:
            return True
        return bool(of_key & 2) and access == "w" and (user or self.mode.wp)

    def allowed(self, words: list[int], access: str, user: bool) -> bool:
        """ "Access Rights": W and U/S must be set in every entry, XD in none."""
        user_page = all(word & US for word in words)
        writable = all(word & RW for word in words)
        if user and not user_page:
            return False
        if access == "x":
            blocked = self.mode.smep and user_page and not user
            return not blocked and not any(word & NX for word in words)
        if self.mode.smap and user_page and not user:
            return False
        return access == "r" or writable or not (user or self.mode.wp)


def build(mode: Mode, rng: random.Random) -> tuple[Case, RightsTables]:
    """One case of one mode, and the tables, which know what the manual wants."""
    tables = RightsTables(mode, rng)
    window = tables.window()
    tables.populate(220)
    tables.reserve_roots()
    cr4 = (CR4_SMEP if mode.smep else 0) | (CR4_SMAP if mode.smap else 0)
    cr4 |= (CR4_PKE if mode.pke else 0) | (CR4_PKS if mode.pks else 0)
    regs = registers(tables, EFER_NXE if mode.nxe else 0, cr4)
    if not mode.wp:
        regs["cr0"] &= ~CR0_WP
    regs["phys-bits"] = PHYS_BITS
    regs |= {"pkru": tables.pkru} if mode.pke else {}
    regs |= {"pkrs": tables.pkrs} if mode.pks else {}
    case = tables.case(f"rights_{mode.name}", regs, window=window, known=False)
    case.setup, case.holes = "x86_64", tables.holes
    case.options["ac"] = "off"
    return case, tables


def questions(case: Case, rng: random.Random, limit: int) -> list[int]:
    """16-byte aligned addresses at both ends, inside, and around each page."""
    low, size = case.span
    found = [hole + rng.randrange(PAGE // 16) * 16 for hole in case.holes[: limit // 8]]
    for mapping in case.mappings:
        end = mapping.gva + mapping.size
        inside = mapping.gva + rng.randrange(mapping.size // 16) * 16
        found += [mapping.gva, end - 16, inside, end % (low + size)]
    rng.shuffle(found)
    kept = [gva for gva in found if not case.window <= gva < case.window + STUB_SIZE]
    return list(dict.fromkeys(kept))[:limit]


MODES = (
    *(
        Mode(FOUR, *flags)
        for flags in (
            (True, False, False, True),
            (False, False, False, True),
            (True, True, False, True),
            (True, False, True, True),
            (False, True, True, True),
            (True, True, True, False),
            (False, False, False, False),
        )
    ),
    *(
        Mode(fmt, *flags)
        for fmt in (FIVE, PAE, LEGACY)
        for flags in (
            (True, True, True, True),
            (True, False, False, False),
            (False, True, False, True),
        )
        if not (fmt is LEGACY and flags[3] and flags[0])
    ),
    Mode(LEGACY, True, True, True, False),
    Mode(FOUR, True, False, False, True, pke=True),
    Mode(FOUR, False, True, False, True, pke=True, pks=True),
    Mode(FOUR, True, False, True, True, pke=True, pks=True),
    Mode(FIVE, True, True, False, True, pke=True, pks=True),
    Mode(FIVE, True, False, False, False, pks=True),
    Mode(PAE, True, False, False, True, pke=True),
)


def cases(seed: int, scale: int = 1) -> Iterator[tuple[Case, RightsTables]]:
    """Every mode, `scale` times; the same tables for the same seed."""
    for number, mode in enumerate(MODES):
        for turn in range(scale):
            case, tables = build(mode, random.Random((seed + 7919 * turn) * 1000 + number))
            case.name += f"_{turn}" if turn else ""
            yield case, tables
