"""ARM tables before ARMv7, written from the manuals.

ARM Architecture Reference Manual (DDI 0100I), part B: "Virtual Memory System Architecture"
(first-level and second-level descriptors, access permissions, domains, fault checking
sequence), "Fast Context Switch Extension". ARM1176 TRM (DDI 0301H), "Hardware page table
translation", for SCTLR.XP = 0. Nothing here is shared with a walker.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Optional

from .case import Case, Mapping
from .image import Image
from .pages import Pages

KB, MB = 1 << 10, 1 << 20
#: The board has 256 MB of RAM from 0 on: tables, what may be written, the stubs.
TABLES, TARGETS, STUB = (16 * MB, 96 * MB), (96 * MB, 240 * MB), 255 * MB
#: The section with the high vectors is the stubs'.
WINDOW, VECTORS = 0xFFF00000, 0xFFFF0000
TINY, SMALL, LARGE, SECTION, SUPERSECTION = KB, 4 * KB, 64 * KB, MB, 16 * MB
M, S, R, V, XP = 1 << 0, 1 << 8, 1 << 9, 1 << 13, 1 << 23
NO_ACCESS, CLIENT, MANAGER = 0, 1, 3
FCSE_SIZE = 32 * MB


@dataclass(frozen=True)
class Cpu:
    """A CPU of the emulator, and what its tables have.

    `v6k` is false of the first ARMv6, where APX:AP = 0b111 is reserved.
    """

    name: str
    version: int
    xscale: bool = False
    v6k: bool = True

    @property
    def setup(self) -> str:
        """The emulator's set-up."""
        return f"legacy_{self.name}"


CPUS = (
    Cpu("arm926", 5), Cpu("arm1026", 5), Cpu("ti925t", 4), Cpu("sa1110", 4),
    Cpu("pxa255", 5, xscale=True), Cpu("pxa270", 5, xscale=True),
    Cpu("arm1136", 6), Cpu("arm1136-r2", 6, v6k=False), Cpu("arm1176", 6), Cpu("arm11mpcore", 6),
)


@dataclass(frozen=True)
class Place:
    """What maps an address: `rights` are (read, write, execute) of kernel and user."""

    level: int
    domain: int
    rights: tuple[str, str]


class Tables:
    """An address space under construction.

    `anywhere` puts pages all over the physical addresses; otherwise they are in RAM that may
    be read, written and executed.
    """

    def __init__(self, rng: random.Random, cpu: Cpu, sctlr: int, split: int, anywhere: bool) -> None:
        self.rng, self.cpu, self.sctlr, self.split = rng, cpu, sctlr, split
        self.anywhere, self.xp = anywhere, bool(sctlr & XP)
        self.image, self.free = Image(), Pages(rng, TABLES)
        self.mappings: list[Mapping] = []
        self.places: list[tuple[int, int, Place]] = []
        self.tables: dict[int, tuple[int, int, bool]] = {}
        self.holes: list[int] = []
        self.reserved = False
        others = [NO_ACCESS, 2, MANAGER, *(rng.choice((0, 1, 1, 1, 2, 3)) for _ in range(12))]
        self.domains = [CLIENT, *rng.sample(others, 15)]
        size = 0x4000 >> split
        self.low = self.free.take(0x4000) + rng.randrange(0x4000 // size) * size
        self.high = self.free.take(0x4000)

    @property
    def dacr(self) -> int:
        """The domain access control register."""
        return sum(kind << 2 * number for number, kind in enumerate(self.domains))

    def root_slot(self, mva: int) -> int:
        """The first-level descriptor for a modified virtual address."""
        low = self.split == 0 or mva >> (32 - self.split) == 0
        return (self.low if low else self.high) + (mva >> 20) * 4

    def target(self, size: int) -> int:
        """A physical address for a page."""
        start, end = (0, 1 << 32) if self.anywhere else TARGETS
        return self.rng.randrange(start // size, end // size) * size

    def rights(self, domain: int, ap: int, never: bool = False) -> tuple[str, str]:
        """What the kernel and the user may: the table "Access permissions"."""
        kind = self.domains[domain]
        if kind == MANAGER:
            return "rwx", "rwx"
        if kind != CLIENT:
            return "", ""
        system, rom = bool(self.sctlr & S), bool(self.sctlr & R)
        zero = {(True, False): ("r", ""), (False, True): ("r", "r")}.get((system, rom), ("", ""))
        kernel, user = {
            0: zero, 1: ("rw", ""), 2: ("rw", "r"), 3: ("rw", "rw"),
            5: ("r", ""), 6: ("r", "r"), 7: ("r", "r"),
        }[ap]
        execute = lambda may: may + ("x" if "r" in may and not never else "")
        return execute(kernel), execute(user)

    def ap(self) -> int:
        """A value of AP, or of APX and AP."""
        if not self.xp:
            return self.rng.randrange(4)
        return self.rng.choice((0, 1, 2, 3, 5, 6, 7) if self.cpu.v6k else (0, 1, 2, 3, 5, 6))

    def add(self, gva: int, size: int, gpa: int, place: Place) -> None:
        """Remember a mapping."""
        kernel, user = place.rights
        fetch = ("x" in kernel, "x" in user)
        self.mappings.append(Mapping(gva, size, gpa, "r" in kernel, "r" in user, True, fetch))
        self.places.append((gva, size, place))

    def is_free(self, gva: int, count: int = 1) -> bool:
        """None of the first-level descriptors is in use."""
        return not any(self.image.get(self.root_slot(gva + step * MB), 4) for step in range(count))

    def window(self) -> None:
        """The stubs' section: domain 0, for the kernel alone."""
        self.image.put(self.root_slot(WINDOW), STUB | 1 << 10 | 0b10, 4)
        self.add(WINDOW, SECTION, STUB, Place(1, 0, self.rights(0, 1)))

    def section(self, gva: int) -> None:
        """1 MB. Without XP bit 4 is no XN, and bit 15 no APX."""
        gva &= -SECTION
        if not self.is_free(gva):
            return
        ap, domain, gpa = self.ap(), self.rng.randrange(16), self.target(SECTION)
        noise = self.rng.getrandbits(32) & (0x0003721C if self.xp else 0x000BF21C)
        word = gpa | noise | (ap & 3) << 10 | (ap >> 2) << 15 | domain << 5 | 0b10
        self.image.put(self.root_slot(gva), word, 4)
        never = self.xp and bool(word & 0x10)
        self.add(gva, SECTION, gpa, Place(1, domain, self.rights(domain, ap, never)))

    def supersection(self, gva: int) -> None:
        """16 MB, of ARMv6: 16 equal descriptors, in domain 0."""
        gva &= -SUPERSECTION
        if self.cpu.version < 6 or not (self.xp or self.reserved) or not self.is_free(gva, 16):
            return
        ap, gpa = self.ap(), self.target(SUPERSECTION)
        word = gpa | (ap & 3) << 10 | (ap >> 2) << 15 | 1 << 18 | 0b10
        for step in range(16):
            self.image.put(self.root_slot(gva + step * MB), word, 4)
        self.add(gva, SUPERSECTION, gpa, Place(1, 0, self.rights(0, ap)))

    def table(self, gva: int) -> Optional[tuple[int, int, bool]]:
        """The second-level table for an address: base, domain, whether it is fine."""
        slot = self.root_slot(gva)
        if slot not in self.tables:
            if self.image.get(slot, 4):
                return None
            fine = self.cpu.version < 6 and self.rng.random() < 0.5
            base = self.free.take() + (0 if fine else self.rng.randrange(4) * KB)
            domain = self.rng.randrange(16)
            noise = self.rng.getrandbits(12) & (0xE1C if fine else 0x20C if self.xp else 0x21C)
            self.tables[slot] = (base, domain, fine)
            self.image.put(slot, base | noise | domain << 5 | (0b11 if fine else 0b01), 4)
        return self.tables[slot]

    def slots(self, gva: int, size: int) -> list[int]:
        """The second-level descriptors of a page, if they are free."""
        found = self.table(gva)
        if found is None:
            return []
        base, _, fine = found
        unit = KB if fine else 4 * KB
        count = max(size // unit, 1)
        slots = [base + ((gva + step * unit) % MB // unit) * 4 for step in range(count)]
        return [] if any(self.image.get(slot, 4) for slot in slots) else slots

    def page(self, gva: int, size: int) -> None:
        """A large or small page, with four subpages where there is no XP."""
        gva &= -size
        slots = self.slots(gva, size)
        if not slots:
            return
        gpa, noise = self.target(size), self.rng.getrandbits(32)
        _, domain, _ = self.tables[self.root_slot(gva)]
        kind = 0b01 if size == LARGE else 0b10
        if self.xp:
            self.page_of_xp(gva, size, slots, noise & (0xFC0C if size == LARGE else 0xDCD))
            return
        same = self.rng.random() < 0.3
        first = self.ap()
        aps = [first if same else self.ap() for _ in range(4)]
        word = gpa | noise & (0xF00C if size == LARGE else 0xC) | kind
        word |= sum(ap << 4 + 2 * number for number, ap in enumerate(aps))
        for slot in slots:
            self.image.put(slot, word, 4)
        parts = 1 if len(set(aps)) == 1 else 4
        for number in range(parts):
            at = number * size // parts
            place = Place(2, domain, self.rights(domain, aps[number]))
            self.add(gva + at, size // parts, gpa + at, place)

    def page_of_xp(self, gva: int, size: int, slots: list[int], noise: int) -> None:
        """A page of ARMv6: one APX and AP, and XN."""
        gpa, ap = self.target(size), self.ap()
        _, domain, _ = self.tables[self.root_slot(gva)]
        kind = 0b01 if size == LARGE else 0b10
        word = gpa | noise & ~0x200 | (ap & 3) << 4 | (ap >> 2) << 9 | kind
        for slot in slots:
            self.image.put(slot, word, 4)
        never = bool(word & (0x8000 if size == LARGE else 1))
        self.add(gva, size, gpa, Place(2, domain, self.rights(domain, ap, never)))

    def odd(self, gva: int) -> None:
        """The descriptor 0b11: a tiny page, an extended small one, or reserved."""
        if self.xp or self.table(gva) is None:
            return
        _, domain, fine = self.tables[self.root_slot(gva)]
        size = TINY if fine else SMALL
        gva &= -size
        slots = self.slots(gva, size)
        if not slots:
            return
        gpa, ap = self.target(size), self.ap()
        word = gpa | self.rng.getrandbits(12) & (0x3CC if fine else 0xFCC) | ap << 4 | 0b11
        self.image.put(slots[0], word, 4)
        if fine or self.cpu.xscale or self.cpu.version >= 6:
            self.add(gva, size, gpa, Place(2, domain, self.rights(domain, ap)))
        else:
            self.holes.append(gva)

    def fault(self, gva: int) -> None:
        """An invalid descriptor whose other bits are in use, at either level."""
        word = self.rng.getrandbits(32) & ~0b11
        if self.rng.random() < 0.4 and self.is_free(gva):
            self.image.put(self.root_slot(gva), word | 0b100, 4)
            self.holes.append(gva & -SECTION)
            return
        slots = self.slots(gva, SMALL)
        if slots:
            self.image.put(slots[0], word | 0b100, 4)
            self.holes.append(gva & -SMALL)

    def reserve(self, gva: int) -> None:
        """The first-level descriptor 0b11 of ARMv6, which is reserved."""
        if self.is_free(gva):
            self.image.put(self.root_slot(gva), self.free.take() | 0b11, 4)
            self.holes.append(gva & -SECTION)

    def fill(self, count: int) -> None:
        """Map pages of every size in clusters; half of them in the lowest 64 MB."""
        self.window()
        makers = {
            SECTION: self.section, SUPERSECTION: self.supersection, TINY: self.odd,
            SMALL: lambda gva: self.page(gva, SMALL), LARGE: lambda gva: self.page(gva, LARGE),
        }
        while len(self.mappings) < count:
            size = self.rng.choice((SECTION, SECTION, SUPERSECTION, TINY, TINY, SMALL, SMALL, LARGE))
            base = self.rng.getrandbits(32) >> self.rng.choice((0, 0, 4, 6, self.split))
            for step in range(self.rng.randrange(1, 6)):
                gva = base + step * size & 0xFFFFFFFF
                draw = self.rng.random()
                if draw < 0.15:
                    self.fault(gva)
                elif draw < 0.2 and (self.xp or self.reserved):
                    self.reserve(gva)
                else:
                    makers[size](gva)

    def noise(self) -> None:
        """Random words in first-level and second-level tables."""
        pool = [self.free.take() for _ in range(12)]
        for root in {self.low & -0x4000, self.high}:
            for slot in range(root, root + 0x4000, 4):
                self.image.put(slot, self.noise_first(pool), 4)
        for slot in (page + offset for page in pool for offset in range(0, 4 * KB, 4)):
            self.image.put(slot, self.no_reserved(self.rng.getrandbits(32), 9, 4), 4)
        self.window()

    def noise_first(self, pool: list[int]) -> int:
        """A word whose tables are of the pool. What QEMU takes otherwise is left out."""
        word = self.rng.getrandbits(32)
        if self.cpu.version >= 6 and word & 3 == 3 and not self.xp:
            word ^= 0b10
        if self.cpu.version >= 6 and not self.xp and word & 3 == 2:
            word &= ~(1 << 18)
        if word & 1 and not (self.xp and word & 2):
            inside = 0xFFF if word & 2 else 0x3FF
            return self.rng.choice(pool) + self.rng.randrange(4) * KB & ~inside | word & inside
        return self.no_reserved(word, 15, 10) if word & 2 else word

    def no_reserved(self, word: int, apx: int, ap: int) -> int:
        """Without the reserved values of APX and AP: 0b100, and 0b111 before v6K."""
        if not self.xp or not word >> apx & 1:
            return word
        return word & ~(3 << ap) | (self.rng.choice((1, 2)) << ap)

    def status(self, gva: int, access: str, user: bool) -> Optional[int]:
        """The fault status, by "Fault-checking sequence"; None where there is no fault."""
        found = next((p for start, size, p in self.places if start <= gva < start + size), None)
        if found is None:
            return 0x7 if self.root_slot(gva) in self.tables else 0x5
        page = 2 if found.level == 2 else 0
        if self.domains[found.domain] in (NO_ACCESS, 2):
            return 0x9 | page
        return None if access in found.rights[user] else 0xD | page

    def second_level_of_no_domain(self, gva: int) -> bool:
        """QEMU looks at the domain before it reads a second-level descriptor."""
        found = self.tables.get(self.root_slot(gva))
        return found is not None and self.domains[found[1]] in (NO_ACCESS, 2)


class LegacyCase(Case):
    """A case whose generator knows every fault."""

    tables: Tables
    process: int

    def modified(self, gva: int) -> int:
        """The address that the tables see ("Fast Context Switch Extension")."""
        return gva | self.process if gva < FCSE_SIZE else gva

    def mapping(self, gva: int) -> Optional[Mapping]:
        """The mapping that the generator made."""
        mva = self.modified(gva)
        found = Case.mapping(self, mva)
        if found is None or mva == gva:
            return found
        moved = found.gva - mva + gva
        rights = (found.kernel, found.user, found.accessed, found.fetch)
        return Mapping(moved, found.size, found.gpa, *rights)

    def fault(self, gva: int, access: str, user: bool) -> Optional[int]:
        """The fault status of an access."""
        return self.tables.status(self.modified(gva), access, user)

    def qemu_prefers(self, gva: int) -> bool:
        """A domain fault hides that the page is not there."""
        return self.tables.second_level_of_no_domain(self.modified(gva))


@dataclass(frozen=True)
class Mode:
    """The registers of a case."""

    name: str
    sctlr: int = 0
    split: int = 0
    process: int = 0
    reserved: bool = False
    noise: bool = False


OLD = (
    Mode("plain"), Mode("system", S), Mode("rom", R), Mode("both", S | R),
    Mode("fcse", process=5 << 25), Mode("noise", noise=True),
)
V6 = (
    *OLD, Mode("n3", split=3), Mode("n7_rom", R, split=7), Mode("n1_fcse", split=1, process=63 << 25),
    Mode("xp", XP), Mode("xp_system", XP | S), Mode("xp_rom", XP | R), Mode("xp_n2", XP, split=2),
    Mode("xp_fcse", XP, process=9 << 25), Mode("reserved", reserved=True),
    Mode("noise_n1", split=1, noise=True), Mode("noise_xp", XP, process=7 << 25, noise=True),
)
RESERVED = "with SCTLR.XP = 0 QEMU takes 0b11 for a fine table and a supersection for a section"


def build(cpu: Cpu, mode: Mode, seed: int, anywhere: bool, count: int) -> LegacyCase:
    """One case, the same one for the same seed."""
    rng = random.Random(f"{cpu.name} {mode.name} {seed} {anywhere}")
    tables = Tables(rng, cpu, mode.sctlr, mode.split, anywhere)
    tables.reserved = mode.reserved
    if mode.noise:
        tables.noise()
    else:
        tables.fill(count)
    regs = {
        "ttbr0": tables.low, "tcr": mode.split, "sctlr": M | V | mode.sctlr,
        "dacr": tables.dacr, "fcseidr": mode.process, "el": 1, "arm-version": cpu.version,
        **({"ttbr1": tables.high} if cpu.version >= 6 else {}),
    }
    case = LegacyCase(f"{cpu.name}_{mode.name}", "arm", regs, tables.image, tables.mappings, setup=cpu.setup)
    case.tables, case.process = tables, mode.process
    case.options = {"xscale": "on" if cpu.xscale else "off"}
    case.known = not mode.noise
    if mode.noise:
        tables.holes = [rng.getrandbits(32) >> rng.choice((0, 7)) for _ in range(1000)]
    case.span, case.holes, case.window = (0, 1 << 32), tables.holes[: 1000 if mode.noise else 80], WINDOW
    case.quirk = RESERVED if mode.reserved else ""
    return case


def cases(seed: int, anywhere: bool, count: int) -> Iterator[LegacyCase]:
    """Every CPU in every mode."""
    for cpu in CPUS:
        for mode in V6 if cpu.version >= 6 else OLD:
            yield build(cpu, mode, seed, anywhere, count)
