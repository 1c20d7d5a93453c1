"""ARM short-descriptor tables, written from the manual.

Arm ARM (DDI 0406C), "Short-descriptor translation table format": "Translation
table walks, when using the Short-descriptor translation table format", "Memory
access control": "Access permissions", "Domains, Short-descriptor format only".
Nothing here is shared with a walker.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Callable, Optional

from .case import STUB, Case, Mapping, no_opinion
from .image import PAGE, Image
from .pages import Pages

MB = 1 << 20
RAM = (0x50000000, 0x100000000)
SCTLR_M, SCTLR_AFE, SCTLR_TRE = 1 << 0, 1 << 29, 1 << 28
PD0, PD1 = 1 << 4, 1 << 5
SMALL, LARGE, SECTION, SUPERSECTION = 1 << 12, 1 << 16, 1 << 20, 1 << 24
WINDOW, WINDOW_HIGH = 0x400000, 0xF0400000
PXN_TABLE = 1 << 2
NO_ACCESS, CLIENT, MANAGER = 0, 1, 3

# AP[2:0] -> (a privileged read is allowed, an unprivileged one is). 0b100 is reserved.
READABLE = {
    0b000: (False, False),
    0b001: (True, False),
    0b010: (True, True),
    0b011: (True, True),
    0b101: (True, False),
    0b110: (True, True),
    0b111: (True, True),
}


Status = Callable[[int], Optional[int]]


@dataclass(frozen=True)
class Coarse:
    """A second-level table, and what its descriptor says of all its pages."""

    base: int
    domain: int
    pxn: bool


class Tables:
    """Both halves of a short-descriptor address space under construction.

    With AFE no domain is Manager: QEMU 7.2 does not look at the access flag
    there, while "Access flag fault" of the manual has no such exception.
    """

    def __init__(self, rng: random.Random, split: int, afe: bool = False) -> None:
        self.rng, self.split, self.afe = rng, split, afe
        self.image, self.free = Image(), Pages(rng, RAM)
        self.mappings: list[Mapping] = []
        self.holes: list[int] = []
        self.coarse: dict[int, Coarse] = {}
        kinds = (CLIENT, CLIENT, NO_ACCESS, CLIENT if afe else MANAGER)
        self.domains = [CLIENT, *(rng.choice(kinds) for _ in range(15))]
        small = 0x4000 >> split
        self.low = self.free.take(0x4000) + rng.randrange(0x4000 // small) * small
        self.high = self.free.take(0x4000)
        self._garbage(self.low, small)

    def _garbage(self, root: int, size: int) -> None:
        """Sections around a root table that is smaller than its page."""
        start = root & -0x4000
        for slot in range(start, start + 0x4000, 4):
            if self.split and not root <= slot < root + size:
                self.image.put(slot, self.rng.getrandbits(12) << 20 | 0xC02, 4)

    @property
    def dacr(self) -> int:
        """The domain access control register."""
        return sum(kind << 2 * number for number, kind in enumerate(self.domains))

    def root_slot(self, gva: int) -> int:
        """The first-level descriptor for an address; TTBCR.N picks the table."""
        uses_low = self.split == 0 or gva >> (32 - self.split) == 0
        return (self.low if uses_low else self.high) + (gva >> 20) * 4

    def permissions(self) -> int:
        """Random AP[2:0] without the reserved value; AP[0] is AF under AFE."""
        if self.afe:
            return self.rng.getrandbits(3) | (self.rng.random() < 0.85)
        return self.rng.choice(tuple(READABLE))

    def readable(self, ap: int, domain: int) -> tuple[bool, bool]:
        """Whether a privileged and an unprivileged read are allowed."""
        if self.domains[domain] == NO_ACCESS:
            return False, False
        if self.domains[domain] == MANAGER:
            return True, True
        return (True, bool(ap & 2)) if self.afe else READABLE[ap]

    def add(
        self, gva: int, size: int, gpa: int, ap: int, domain: int, never: tuple[bool, bool]
    ) -> None:
        """Remember a mapping; `never` is PXN and XN, which a Manager domain overrides."""
        kernel, user = self.readable(ap, domain)
        pxn, xn = never if self.domains[domain] != MANAGER else (False, False)
        fetch = (kernel and not xn and not pxn, user and not xn)
        accessed = bool(ap & 1) or not self.afe
        self.mappings.append(Mapping(gva, size, gpa, kernel, user, accessed, fetch))

    def status_by_order(self, gva: int) -> Optional[int]:
        """ "VMSA MMU fault-checking sequence": the second-level descriptor and the access
        flag are checked before the domain, and all before XN. QEMU 7.2 checks the domain
        before it reads the second level, and XN before the access flag.
        """
        slot = self.root_slot(gva)
        mapping = next((m for m in self.mappings if m.gva <= gva < m.gva + m.size), None)
        if mapping is None:
            return 0x7 if slot in self.coarse else None
        if mapping.accessed:
            return None
        return 0x3 if mapping.size >= SECTION else 0x6

    def is_free(self, gva: int, count: int = 1) -> bool:
        """None of `count` first-level descriptors is in use."""
        slots = [self.root_slot(gva + step * MB) for step in range(count)]
        return not any(self.image.get(slot, 4) for slot in slots)

    def section(self, gva: int, gpa: int) -> None:
        """A 1 MB section; bit 0 is PXN."""
        gva, gpa = gva & -SECTION, gpa & 0xFFF00000
        if not self.is_free(gva):
            return
        ap, domain = self.permissions(), self.rng.randrange(16)
        noise = self.rng.getrandbits(32) & 0x000B721D
        word = gpa | noise | (ap & 3) << 10 | (ap >> 2) << 15 | domain << 5 | 0b10
        self.image.put(self.root_slot(gva), word, 4)
        self.add(gva, SECTION, gpa, ap, domain, (bool(word & 1), bool(word & 0x10)))

    def window(self, gva: int) -> int:
        """A section for the stubs: domain 0, only for the kernel, executable."""
        self.image.put(self.root_slot(gva), STUB | 0x400 | 0b10, 4)
        self.add(gva, SECTION, STUB, 0b001, 0, (False, False))
        return gva

    def supersection(self, gva: int, gpa: int) -> None:
        """A 16 MB supersection, 16 equal descriptors; always in domain 0."""
        gva, gpa = gva & -SUPERSECTION, gpa & 0xFFFF000000
        if not self.is_free(gva, 16):
            return
        ap = self.permissions()
        address = gpa & 0xFF000000 | (gpa >> 32 & 0xF) << 20 | (gpa >> 36 & 0xF) << 5
        noise = self.rng.getrandbits(32) & 0x000B721D
        word = address | noise | (ap & 3) << 10 | (ap >> 2) << 15 | 1 << 18 | 0b10
        for step in range(16):
            self.image.put(self.root_slot(gva + step * MB), word, 4)
        self.add(gva, SUPERSECTION, gpa, ap, 0, (bool(word & 1), bool(word & 0x10)))

    def table(self, gva: int) -> Optional[Coarse]:
        """The second-level table for an address."""
        slot = self.root_slot(gva)
        if slot not in self.coarse:
            if self.image.get(slot, 4):
                return None
            base = self.free.take() + self.rng.randrange(4) * 0x400
            domain = self.rng.randrange(16)
            noise = self.rng.getrandbits(10) & 0x20C
            self.coarse[slot] = Coarse(base, domain, bool(noise & PXN_TABLE))
            self.image.put(slot, base | noise | domain << 5 | 0b01, 4)
        return self.coarse[slot]

    def small(self, gva: int, gpa: int) -> None:
        """A 4 KB page; bit 0 is XN."""
        gva, gpa = gva & -SMALL, gpa & 0xFFFFF000
        found = self.table(gva)
        if not found or self.image.get(self._slot(found.base, gva), 4):
            return
        ap = self.permissions()
        noise = self.rng.getrandbits(32) & 0xDCD
        word = gpa | noise | (ap & 3) << 4 | (ap >> 2) << 9 | 0b10
        self.image.put(self._slot(found.base, gva), word, 4)
        self.add(gva, SMALL, gpa, ap, found.domain, (found.pxn, bool(word & 1)))

    def large(self, gva: int, gpa: int) -> None:
        """A 64 KB page: 16 equal descriptors."""
        gva, gpa = gva & -LARGE, gpa & 0xFFFF0000
        found = self.table(gva)
        slots = [self._slot(found.base, gva + step * SMALL) for step in range(16)] if found else []
        if not found or any(self.image.get(slot, 4) for slot in slots):
            return
        ap = self.permissions()
        noise = self.rng.getrandbits(32) & 0xFC0C & ~0x200
        word = gpa | noise | (ap & 3) << 4 | (ap >> 2) << 9 | 0b01
        for slot in slots:
            self.image.put(slot, word, 4)
        self.add(gva, LARGE, gpa, ap, found.domain, (found.pxn, bool(word & 0x8000)))

    def _slot(self, table: int, gva: int) -> int:
        return table + (gva >> 12 & 0xFF) * 4

    def fault(self, gva: int) -> None:
        """An invalid descriptor whose other bits are in use, at either level."""
        word = self.rng.getrandbits(32) & ~0b11
        if self.rng.random() < 0.5 and self.is_free(gva):
            self.image.put(self.root_slot(gva), word, 4)
            self.holes.append(gva & -SECTION)
            return
        found = self.table(gva)
        if found and not self.image.get(self._slot(found.base, gva), 4):
            self.image.put(self._slot(found.base, gva), word, 4)
            self.holes.append(gva & -SMALL)

    def fill(self, count: int) -> None:
        """Map pages of every size in clusters."""
        for gva in (0, 0xFFFFFFFF, 0x7FFFFFFF, 0x80000000):
            self.small(gva, self.rng.getrandbits(32))
        kinds = (self.section, self.supersection, self.small, self.large)
        sizes = (SECTION, SUPERSECTION, SMALL, LARGE)
        while len(self.mappings) < count:
            pick = self.rng.randrange(4)
            base = self.rng.getrandbits(32) >> self.rng.choice((0, 0, self.split))
            for step in range(self.rng.randrange(1, 5)):
                gva = base + step * sizes[pick] & 0xFFFFFFFF
                if self.rng.random() < 0.2:
                    self.fault(gva)
                else:
                    kinds[pick](gva, self.rng.getrandbits(40))

    def case(self, name: str, ttbcr: int, sctlr: int) -> Case:
        """The finished case."""
        regs = {
            "ttbr0": self.low | self.rng.getrandbits(7) & 0x4A,
            "ttbr1": self.high | self.rng.getrandbits(7) & 0x4A,
            "tcr": ttbcr,
            "sctlr": sctlr,
            "dacr": self.dacr,
            "el": 1,
        }
        made = Case(name, "arm", regs, self.image, self.mappings, setup="arm")
        made.manual = self.status_by_order
        made.span, made.holes = (0, 1 << 32), self.holes[:60]
        return made


def split(n: int, disable: int = 0) -> Callable[[random.Random], Case]:
    """TTBCR.N splits the space; PD0 and PD1 switch halves off.

    QEMU keeps PD0 and PD1 only on a CPU with the Security Extensions.
    """

    def build(rng: random.Random) -> Case:
        tables = Tables(rng, n)
        window = tables.window(WINDOW_HIGH if disable == PD0 else WINDOW)
        tables.fill(240)
        name = f"short_n{n}" + {0: "", PD0: "_pd0", PD1: "_pd1"}[disable]
        case = tables.case(name, n | disable, SCTLR_M)
        case.window = window if n or disable != PD0 else -1
        edge = 1 << 32 - n
        if disable:
            off_low = disable == PD0
            case.holes += [m.gva for m in case.mappings if (m.gva < edge) == off_low]
            case.mappings = [m for m in case.mappings if (m.gva < edge) != off_low]
            case.manual = no_opinion if n == 0 else disabled(case.manual, edge, off_low)
            case.setup, case.least_mapped = "arm_secure", 20 if n else 0
        return case

    return build


def disabled(order: Status, edge: int, off_low: bool) -> Status:
    """In a half that is switched off nothing is read."""
    return lambda gva: None if (gva < edge) == off_low else order(gva)


def access_flag(n: int) -> Callable[[random.Random], Case]:
    """SCTLR.AFE: AP[0] is the access flag, AP[2:1] the simplified rights."""

    def build(rng: random.Random) -> Case:
        tables = Tables(rng, n, afe=True)
        window = tables.window(WINDOW)
        tables.fill(240)
        case = tables.case(f"short_afe_n{n}", n, SCTLR_M | SCTLR_AFE | SCTLR_TRE)
        case.window = window
        return case

    return build


def mmu_off(rng: random.Random) -> Case:
    """SCTLR.M clear: addresses are physical."""
    case = split(0)(rng)
    case.name, case.registers["sctlr"], case.window = "short_mmu_off", 0, STUB
    case.mappings, case.any_size, case.least_unmapped = [Mapping(0, 1 << 32, 0)], True, 0
    case.holes = [rng.getrandbits(32) for _ in range(200)]
    case.manual = no_opinion
    return case


def noise(n: int, sctlr: int) -> Callable[[random.Random], Case]:
    """Random first-level and second-level words, no reserved AP."""

    def build(rng: random.Random) -> Case:
        tables = Tables(rng, n, afe=bool(sctlr & SCTLR_AFE))
        tables.domains = [kind or CLIENT for kind in tables.domains]
        pool = [tables.free.take() for _ in range(8)]
        for root in (tables.low & -0x4000, tables.high):
            for slot in range(root, root + 0x4000, 4):
                tables.image.put(slot, _noise_first(rng, pool), 4)
        for slot in (page + offset for page in pool for offset in range(0, PAGE, 4)):
            tables.image.put(slot, _no_reserved(rng.getrandbits(32), 9, 4), 4)
        window = tables.window(WINDOW)
        suffix = "_afe" if sctlr & SCTLR_AFE else ""
        case = tables.case(f"short_noise_n{n}{suffix}", n, sctlr)
        case.known, case.window = False, window
        case.manual = no_opinion
        case.holes = [rng.getrandbits(32) >> rng.choice((0, n)) for _ in range(1000)]
        return case

    return build


def _no_reserved(word: int, apx: int, ap: int) -> int:
    """AP[2:0] = 0b100 is reserved: make it 0b101."""
    return word | 1 << ap if word >> apx & 1 and not word >> ap & 3 else word


def _noise_first(rng: random.Random, pool: list[int]) -> int:
    word = rng.getrandbits(32)
    if word & 3 == 1:
        return rng.choice(pool) + rng.randrange(4) * 0x400 | word & 0x3FF
    return _no_reserved(word, 15, 10) if word & 2 else word


BUILDERS: tuple[Callable[[random.Random], Case], ...] = (
    *(split(n) for n in range(8)),
    access_flag(0),
    access_flag(2),
    mmu_off,
    noise(0, SCTLR_M),
    noise(3, SCTLR_M),
    noise(1, SCTLR_M | SCTLR_AFE),
    split(0, PD0),
    split(1, PD0),
    split(1, PD1),
    split(5, PD1),
)


def cases(seed: int) -> Iterator[Case]:
    """Every short-descriptor case, the same ones for the same seed."""
    for number, build in enumerate(BUILDERS):
        yield build(random.Random(seed * 1000 + number))
    for number in (0, 2, 8, 12):
        case = BUILDERS[number](random.Random(seed * 1000 + 500 + number))
        case.name, case.mode, case.registers["el"] = case.name + "_user", "user", 0
        case.least_mapped = 50
        yield case
