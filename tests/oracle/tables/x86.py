"""x86 page tables, written from the manual.

Intel SDM volume 3A, chapter "Paging": "Hierarchical Paging Structures: an
Overview", "32-Bit Paging", "PAE Paging", "4-Level Paging and 5-Level Paging".
Nothing here is shared with a walker.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Callable

from .case import Case, Mapping
from .image import PAGE, Image
from .pages import Pages

GB = 1 << 30
MB = 1 << 20

# CR0, CR4, EFER ("Control Registers", "Paging-Mode Enabling").
CR0_PE, CR0_WP, CR0_PG = 1 << 0, 1 << 16, 1 << 31
CR4_PSE, CR4_PAE, CR4_LA57 = 1 << 4, 1 << 5, 1 << 12
EFER_LME, EFER_NXE = 1 << 8, 1 << 11

# Entries ("Formats of CR3 and Paging-Structure Entries").
P, RW, US, PS = 1 << 0, 1 << 1, 1 << 2, 1 << 7
ACCESSED, DIRTY, GLOBAL = 1 << 5, 1 << 6, 1 << 8
PAT_LARGE = 1 << 12
NX = 1 << 63
ADDRESS = ((1 << 52) - 1) & ~0xFFF

RAM_LOW = (2 * MB, 3 * GB)
RAM_HIGH = (4 * GB, 73 * GB)
RAM_TOP = (64 * GB, 73 * GB)


@dataclass(frozen=True)
class Format:
    """The shape of one paging mode: entry size and where each index starts."""

    name: str
    entry: int
    shifts: tuple[int, ...]
    index_bits: int
    width: int
    pages: tuple[int, ...]
    sign: bool

    def index(self, gva: int, level: int) -> int:
        """Which entry of the table at `level` (0 is the root) maps `gva`."""
        top = level == 0 and self.name == "pae"
        bits = 2 if top else self.index_bits
        return (gva >> self.shifts[level]) & ((1 << bits) - 1)

    def canonical(self, gva: int) -> int:
        """`gva` with its upper bits copied from the top implemented bit."""
        gva &= (1 << self.width) - 1
        if self.sign and gva >> (self.width - 1):
            gva |= (1 << 64) - (1 << self.width)
        return gva


LEGACY = Format("legacy", 4, (22, 12), 10, 32, (12, 22), False)
PAE = Format("pae", 8, (30, 21, 12), 9, 32, (12, 21), False)
FOUR = Format("four", 8, (39, 30, 21, 12), 9, 48, (12, 21, 30), True)
FIVE = Format("five", 8, (48, 39, 30, 21, 12), 9, 57, (12, 21, 30), True)


class Tables:
    """A set of page tables under construction."""

    def __init__(self, fmt: Format, rng: random.Random, *ranges: tuple[int, int]) -> None:
        self.fmt = fmt
        self.rng = rng
        self.image = Image()
        self.free = Pages(rng, *ranges)
        self.root = self._root()
        self.children: dict[int, int] = {}
        self.mappings: list[Mapping] = []
        self.holes: list[int] = []

    def _root(self) -> int:
        if self.fmt.sign:
            return self.free.take()
        root = Pages(self.rng, RAM_LOW).take()
        self.free.used.add(root)
        return root + (self.rng.randrange(128) * 32 if self.fmt is PAE else 0)

    def noise(self) -> int:
        """Random bits that an address translation does not look at."""
        bits = self.rng.getrandbits(64)
        if self.fmt is LEGACY:
            return bits & (RW | US | ACCESSED | DIRTY | GLOBAL | 0xE00 | 0x18)
        return bits & (RW | US | ACCESSED | DIRTY | GLOBAL | 0xE00 | 0x18 | NX)

    def table_noise(self, level: int) -> int:
        """The same for an entry that points at a table."""
        if self.fmt is PAE and level == 0:
            return self.rng.getrandbits(64) & 0xE18
        return self.noise()

    def slot(self, table: int, gva: int, level: int) -> int:
        """The address of the entry for `gva` in `table`."""
        return table + self.fmt.index(gva, level) * self.fmt.entry

    def descend(self, gva: int, level: int) -> int:
        """The entry for `gva` at `level`; missing tables above are made."""
        table = self.root
        for depth in range(level):
            slot = self.slot(table, gva, depth)
            if slot not in self.children:
                child = self.free.take()
                self.children[slot] = child
                self.put(slot, child | self.table_noise(depth) | P)
            table = self.children[slot]
        return self.slot(table, gva, level)

    def put(self, slot: int, value: int) -> None:
        """Write a raw entry."""
        self.image.put(slot, value & ((1 << 8 * self.fmt.entry) - 1), self.fmt.entry)

    def level_of(self, shift: int) -> int:
        """At which level a page of `1 << shift` bytes is an entry."""
        return self.fmt.shifts.index(shift)

    def is_free(self, gva: int, level: int) -> bool:
        """No table and no page sits at or above the entry for `gva`."""
        table = self.root
        for depth in range(level + 1):
            slot = self.slot(table, gva, depth)
            if slot not in self.children:
                return self.image.get(slot, self.fmt.entry) == 0
            table = self.children[slot]
        return False

    def map(self, gva: int, gpa: int, shift: int = 12, extra: int = 0) -> bool:
        """Map one page; False when something is there already."""
        size = 1 << shift
        gva = self.fmt.canonical(gva & -size)
        level = self.level_of(shift)
        if not self.is_free(gva, level):
            return False
        value = self.page_address(gpa & -size, shift) | extra | P
        if shift > 12:
            value |= PS | (PAT_LARGE if self.rng.random() < 0.5 else 0)
        else:
            value |= PS if self.rng.random() < 0.5 else 0
        self.put(self.descend(gva, level), value | self.noise())
        self.mappings.append(Mapping(gva, size, gpa & -size))
        return True

    def page_address(self, gpa: int, shift: int) -> int:
        """The address field; PSE-36 keeps PA[39:32] in bits 20:13."""
        if self.fmt is LEGACY and shift == 22:
            return (gpa & 0xFFC00000) | ((gpa >> 32 & 0xFF) << 13)
        return gpa

    def swap(self, gva: int, shift: int) -> None:
        """A non-present entry whose other bits are all in use."""
        level = self.level_of(shift)
        gva = self.fmt.canonical(gva & -(1 << shift))
        if self.is_free(gva, level):
            self.put(self.descend(gva, level), self.rng.getrandbits(64) & ~P | PS)
            self.holes.append(gva)

    def random_gva(self) -> int:
        """Any canonical address."""
        return self.fmt.canonical(self.rng.getrandbits(self.fmt.width))

    def fill(self, count: int, gpa_bits: int) -> None:
        """Map pages of every size in clusters, with swapped neighbours."""
        while len(self.mappings) < count:
            shift = self.rng.choice(self.fmt.pages)
            base = self.random_gva()
            for step in range(self.rng.randrange(1, 6)):
                gva = base + (step << shift)
                if self.rng.random() < 0.2:
                    self.swap(gva, shift)
                else:
                    self.map(gva, self.rng.getrandbits(gpa_bits), shift)

    def non_canonical(self, count: int) -> list[int]:
        """Addresses that look like mapped ones but for their upper bits."""
        if not self.fmt.sign:
            return []
        width = self.fmt.width
        picks = self.rng.sample(self.mappings, min(count, len(self.mappings)))
        flips = [1 << self.rng.randrange(width, 64) for _ in picks]
        return [page.gva ^ flip for page, flip in zip(picks, flips)]

    def case(self, name: str, registers: dict[str, int], **more: object) -> Case:
        """The finished case."""
        span = (0, 1 << (64 if self.fmt.sign else 32))
        made = Case(name, "x86_64", registers, self.image, self.mappings, span=span)
        made.holes = self.holes + self.non_canonical(100)
        for key, value in more.items():
            setattr(made, key, value)
        return made


def registers(tables: Tables, efer: int = EFER_NXE, cr4: int = 0) -> dict[str, int]:
    """The control registers that switch `tables` on."""
    base = {
        "legacy": {"cr4": cr4 | CR4_PSE, "efer": 0},
        "pae": {"cr4": cr4 | CR4_PAE, "efer": efer},
        "four": {"cr4": cr4 | CR4_PAE, "efer": efer | EFER_LME},
        "five": {"cr4": cr4 | CR4_PAE | CR4_LA57, "efer": efer | EFER_LME},
    }[tables.fmt.name]
    flags = tables.rng.getrandbits(12) & 0x18
    return {"cr0": CR0_PG | CR0_PE | CR0_WP, "cr3": tables.root | flags, **base}


def no_paging(rng: random.Random) -> Case:
    """CR0.PG clear: a linear address is the physical address."""
    everything = [Mapping(0, 1 << 32, 0)]
    regs = {"cr0": CR0_PE, "cr3": 0x5000, "cr4": CR4_PAE | CR4_PSE, "efer": 0}
    case = Case("no_paging", "x86_64", regs, Image(), everything, span=(0, 1 << 32))
    case.image.put(0x5000, 0, 8)
    case.holes = [rng.getrandbits(32) for _ in range(200)]
    case.least_unmapped = 0
    case.any_size = True
    return case


def legacy(rng: random.Random) -> Case:
    """32-bit paging with 4 KB and 4 MB pages, PSE-36 addresses up to 40 bits."""
    tables = Tables(LEGACY, rng, RAM_LOW)
    for gva in (0, 0xFFFFF000, 0x80000000):
        tables.map(gva, rng.getrandbits(32))
    for high in range(256):
        tables.map(0xC0000000 + (high % 128 << 22), high << 32 | rng.getrandbits(32), 22)
    while len(tables.mappings) < 260:
        tables.map(rng.getrandbits(31), rng.getrandbits(32))
        tables.swap(rng.getrandbits(31), 12)
    return tables.case("legacy_pse36", registers(tables))


def legacy_pse_each_bit(rng: random.Random) -> Case:
    """PSE-36: each of the eight extra address bits alone, and all of them."""
    tables = Tables(LEGACY, rng, RAM_LOW)
    for turn in range(40):
        for bit in range(32, 40):
            tables.map((turn * 9 + bit) * 4 * MB, (1 << bit) + turn * 4 * MB, 22)
        tables.map(0xF0000000 + turn * 4 * MB, 0xFFFFC00000, 22)
    return tables.case("legacy_pse36_bits", registers(tables))


def legacy_no_pse(rng: random.Random) -> Case:
    """CR4.PSE = 0: bit 7 of a PDE is ignored and every PDE names a table."""
    tables = Tables(LEGACY, rng, RAM_LOW)
    for _ in range(60):
        base = rng.getrandbits(32)
        for step in range(3):
            tables.map(base + step * PAGE, rng.getrandbits(32))
    for index in range(1024):
        slot = tables.root + index * 4
        if slot in tables.children:
            tables.put(slot, tables.image.get(slot, 4) | PS)
    case = tables.case("legacy_no_pse", registers(tables))
    case.registers["cr4"] = 0
    return case


def pae(rng: random.Random, *ranges: tuple[int, int]) -> Case:
    """PAE: CR3 on any 32 bytes, tables above 4 GB, addresses up to 52 bits."""
    tables = Tables(PAE, rng, *(ranges or (RAM_LOW, RAM_HIGH, RAM_TOP)))
    tables.map(0, rng.getrandbits(52))
    tables.map(0xFFFFF000, rng.getrandbits(52))
    for _ in range(60):
        odd = (2 * rng.getrandbits(30) + 1) * 2 * MB
        tables.map(rng.getrandbits(32), odd, 21)
    tables.fill(300, 52)
    return tables.case("pae", registers(tables))


def pae_low(rng: random.Random) -> Case:
    """PAE with every table below 4 GB."""
    return pae(rng, RAM_LOW)


def pae_i386_high(rng: random.Random) -> Case:
    """PAE tables above 4 GB in the 32-bit emulator, whose debug walk is wrong."""
    case = pae(rng, (4 * GB, 9 * GB))
    case.quirk = "qemu-system-i386 keeps a table's address in 32 bits in its debug walk"
    return case


def pae_no_nx(rng: random.Random) -> Case:
    """PAE with EFER.NXE clear; presence does not depend on it."""
    tables = Tables(PAE, rng, RAM_HIGH)
    tables.fill(200, 40)
    return tables.case("pae_nxe_off", registers(tables, efer=0))


def pae_missing_pdpte(rng: random.Random) -> Case:
    """Only the third of four PDPTEs is present; the others hold garbage."""
    tables = Tables(PAE, rng, RAM_LOW, RAM_HIGH)
    for _ in range(150):
        tables.map(0x80000000 | rng.getrandbits(30), rng.getrandbits(44))
    for index in (0, 1, 3):
        tables.put(tables.root + index * 8, rng.getrandbits(64) & ~P)
        tables.holes.extend(index << 30 | rng.getrandbits(30) for _ in range(40))
    return tables.case("pae_missing_pdpte", registers(tables))


def four(rng: random.Random) -> Case:
    """4-level: 4K, 2M and 1G pages, PAT in bit 12, tables anywhere."""
    tables = Tables(FOUR, rng, RAM_LOW, RAM_HIGH, RAM_TOP)
    tables.map(0, rng.getrandbits(40))
    tables.map(-PAGE, rng.getrandbits(40))
    tables.map(0x00007FFFFFFFF000, rng.getrandbits(40))
    tables.map(0xFFFF800000000000, rng.getrandbits(40))
    tables.fill(400, 40)
    return tables.case("four_level", registers(tables))


def four_wide(rng: random.Random) -> Case:
    """4-level with physical addresses of 52 bits, most above 2**48."""
    tables = Tables(FOUR, rng, RAM_TOP)
    tables.fill(300, 52)
    return tables.case("four_level_52_bit", registers(tables, efer=0))


def four_ps_in_pml4e(rng: random.Random) -> Case:
    """PS set in every PML4E: reserved, and QEMU's debug walk ignores it."""
    tables = Tables(FOUR, rng, RAM_LOW, RAM_HIGH)
    tables.fill(200, 40)
    for index in range(512):
        slot = tables.root + index * 8
        if slot in tables.children:
            tables.put(slot, tables.image.get(slot, 8) | PS)
    return tables.case("four_level_ps_in_pml4e", registers(tables))


def five(rng: random.Random) -> Case:
    """5-level: PML5[0] with PML4 >= 256, both halves, 57-bit canonical form."""
    tables = Tables(FIVE, rng, RAM_LOW, RAM_HIGH, RAM_TOP)
    for gva in (0, -PAGE, (1 << 56) - PAGE, -(1 << 56), 1 << 47, -(1 << 47) - PAGE):
        tables.map(gva, rng.getrandbits(52))
    for _ in range(60):
        tables.map(1 << 47 | rng.getrandbits(47), rng.getrandbits(52))
        tables.map(-(1 << 48) | rng.getrandbits(47), rng.getrandbits(52))
    tables.fill(400, 52)
    return tables.case("five_level", registers(tables))


def uniform(rng: random.Random) -> Case:
    """Every entry of every table is the same: one frame, 2**36 aliases."""
    tables = Tables(FOUR, rng, RAM_HIGH)
    page = [tables.root, *(tables.free.take() for _ in range(3)), 0x123456000]
    for table, child in zip(page, page[1:]):
        tables.image.write(table, (child | P | RW).to_bytes(8, "little") * 512)
    bases = [tables.random_gva() & -PAGE for _ in range(300)]
    tables.mappings = [Mapping(base, PAGE, page[-1]) for base in bases]
    case = tables.case("four_level_uniform", registers(tables), known=False)
    return case


def self_map(rng: random.Random) -> Case:
    """A PML4E that points at its own table, as Windows has it."""
    tables = Tables(FOUR, rng, RAM_LOW, RAM_HIGH)
    tables.fill(150, 40)
    index = next(i for i in range(256, 512) if tables.root + i * 8 not in tables.children)
    tables.put(tables.root + index * 8, tables.root | P | RW)
    own = tables.fmt.canonical(sum(index << shift for shift in (39, 30, 21, 12)))
    tables.mappings.append(Mapping(own, PAGE, tables.root))
    window = tables.fmt.canonical(index << 39)
    looped = [window | (gva >> 9 & 0x7FFFFFF000) for gva in (m.gva for m in tables.mappings)]
    case = tables.case("four_level_self_map", registers(tables), known=False)
    case.holes.extend(looped)
    return case


def noise(fmt: Format, cr4: int = 0, top: int = 73 * GB) -> Callable[[random.Random], Case]:
    """Tables of random words that point only at each other."""

    def build(rng: random.Random) -> Case:
        low_only = fmt is LEGACY or not top
        ranges = (RAM_LOW,) if low_only else (RAM_LOW, (4 * GB, top))
        tables = Tables(fmt, rng, *ranges)
        pool = [tables.root & -PAGE, *(tables.free.take() for _ in range(30))]
        for page in pool:
            for offset in range(0, PAGE, fmt.entry):
                tables.put(page + offset, _noise_entry(rng, fmt, pool))
        case = tables.case(f"noise_{fmt.name}{cr4 or ''}", registers(tables), known=False)
        case.registers["cr4"] = case.registers["cr4"] & ~CR4_PSE | cr4
        case.holes = [tables.random_gva() for _ in range(1200)]
        return case

    return build


def _noise_entry(rng: random.Random, fmt: Format, pool: list[int]) -> int:
    kind = rng.random()
    if kind < 0.08:
        return 0
    soft = rng.getrandbits(64) & ~ADDRESS & ~P & ~PS
    present = 0 if kind < 0.16 else P
    return soft | rng.choice(pool) | present | (PS if rng.random() < 0.15 else 0)


BUILDERS: tuple[Callable[[random.Random], Case], ...] = (
    no_paging,
    legacy,
    legacy_pse_each_bit,
    legacy_no_pse,
    noise(LEGACY),
    noise(LEGACY, CR4_PSE),
    pae,
    pae_no_nx,
    pae_missing_pdpte,
    noise(PAE),
    four,
    four_wide,
    four_ps_in_pml4e,
    uniform,
    self_map,
    noise(FOUR),
    five,
    noise(FIVE),
)


def cases(seed: int) -> Iterator[Case]:
    """Every x86 case, the same ones for the same seed."""
    for number, build in enumerate(BUILDERS):
        case = build(random.Random(seed * 1000 + number))
        case.setup = "x86_64"
        yield case
    small = (no_paging, legacy, pae_low, noise(PAE, top=0), pae_i386_high)
    for number, build in enumerate(small):
        case = build(random.Random(seed * 1000 + 500 + number))
        case.setup, case.arch = "i386", "i386"
        case.name += "_i386"
        yield case
