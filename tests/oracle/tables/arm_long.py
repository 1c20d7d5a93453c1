"""ARM long-descriptor tables (AArch64 and ARMv7 LPAE), written from the manual.

Arm ARM (DDI 0487), "The AArch64 Virtual Memory System Architecture":
"Translation table descriptor formats", "Translation granules", "TCR_EL1";
DDI 0406C, "Long-descriptor translation table format".
Nothing here is shared with a walker.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Callable, Optional

from .case import FAR, STUB, Case, Mapping
from .image import PAGE, Image
from .pages import Pages

GB = 1 << 30
MB = 1 << 20

# Descriptors ("VMSAv8-64 translation table format descriptors").
VALID, TABLE, AF = 1 << 0, 1 << 1, 1 << 10
AP_USER, AP_READ_ONLY = 1 << 6, 1 << 7
CONTIGUOUS, PXN, UXN = 1 << 52, 1 << 53, 1 << 54
PXN_TABLE, XN_TABLE, AP_TABLE_NO_USER, AP_TABLE_READ_ONLY = 1 << 59, 1 << 60, 1 << 61, 1 << 62
IGNORED = 0xF << 55
MEMORY_TYPE = 0x7 << 2
SHAREABILITY, NOT_GLOBAL = 0x3 << 8, 1 << 11

# TCR_EL1.
TCR_EPD0, TCR_EPD1 = 1 << 7, 1 << 23
TCR_TBI0, TCR_TBI1 = 1 << 37, 1 << 38
TCR_HPD0, TCR_HPD1, TCR_DS = 1 << 41, 1 << 42, 1 << 59
TG0 = {12: 0, 16: 1, 14: 2}
TG1 = {14: 1, 12: 2, 16: 3}
IPS = {32: 0, 36: 1, 40: 2, 42: 3, 44: 4, 48: 5, 52: 6}
TTBCR_EAE = 1 << 31

NO_ACCESS_FLAG = "the debug walk of long descriptors does not look at the access flag"

# SCTLR_EL1 and SCTLR.
SCTLR_M, SCTLR_WXN, SCTLR_UWXN = 1 << 0, 1 << 19, 1 << 20
HCR_E2H = 1 << 34
TCR_HA, TCR_HD, DBM = 1 << 39, 1 << 40, 1 << 51

RAM_BASE = 0x40000000
RAM = (0x50000000, 0x40000000 + 200 * GB)
RAM_LPAE = (0x50000000, 0x40000000 + 6 * GB)


@dataclass(frozen=True)
class Regime:
    """One translation regime half: granule, sizes and where it begins."""

    granule: int
    va_bits: int
    pa_bits: int = 48
    high: bool = False
    ds: bool = False
    aarch64: bool = True
    hpd: bool = False
    no_af: float = 0.0
    hardware_af: bool = False
    sctlr: int = 0

    @property
    def stride(self) -> int:
        """Index bits of a full table."""
        return self.granule - 3

    def shift(self, level: int) -> int:
        """The lowest address bit that an entry at `level` resolves."""
        return self.granule + (3 - level) * self.stride

    @property
    def start(self) -> int:
        """The level of the root table ("The initial lookup level")."""
        level = 3
        while self.shift(level) + self.stride < self.va_bits:
            level -= 1
        return level

    @property
    def root_bytes(self) -> int:
        """How large the root table is."""
        return 8 << (self.va_bits - self.shift(self.start))

    @property
    def base(self) -> int:
        """The lowest address of this half."""
        width = 64 if self.aarch64 else 32
        return (1 << width) - (1 << self.va_bits) if self.high else 0

    def block_levels(self) -> list[int]:
        """Where blocks are allowed ("Block descriptor and Page descriptor")."""
        first = {12: 1, 14: 2, 16: 2}[self.granule]
        if self.ds or (self.granule == 16 and self.pa_bits == 52):
            first -= 1
        return [level for level in range(first, 4) if level >= self.start]

    def encode(self, gpa: int) -> int:
        """The address field of a descriptor."""
        low = gpa & ((1 << 48) - 1)
        if self.pa_bits < 52:
            return low
        if self.ds:
            return low | (gpa >> 48 & 3) << 48 | (gpa >> 50 & 3) << 8
        return low | (gpa >> 48 & 0xF) << 12

    def ttbr(self, table: int) -> int:
        """The address field of TTBRn_EL1: PA[51:48] sits in bits 5:2."""
        return (table & ((1 << 48) - 1)) | (table >> 48 & 0xF) << 2


class Tables:
    """The tables of one half under construction."""

    def __init__(
        self, regime: Regime, rng: random.Random, image: Image, free: Pages, garbage: bool = True
    ) -> None:
        self.regime, self.rng, self.image, self.free = regime, rng, image, free
        self.mappings: list[Mapping] = []
        self.holes: list[int] = []
        self.children: dict[int, int] = {}
        self.inherited: dict[int, int] = {}
        self.plain = False
        self.root = self._root(garbage)

    def _root(self, garbage: bool) -> int:
        """A root table of its true size, between entries that look valid."""
        regime = self.regime
        page = self.free.take(1 << regime.granule)
        step = max(regime.root_bytes, 64 if regime.aarch64 else 32)
        root = page + self.rng.randrange((1 << regime.granule) // step) * step
        if garbage and regime.root_bytes < 1 << regime.granule:
            for slot in range(page, page + (1 << regime.granule), 8):
                if not root <= slot < root + regime.root_bytes:
                    self.image.put(slot, self.rng.getrandbits(36) << 12 | 0x403, 8)
        return root

    def slot(self, table: int, gva: int, level: int) -> int:
        """The address of the entry for `gva` in a table at `level`."""
        low = gva & ((1 << self.regime.va_bits) - 1)
        bits = self.regime.stride
        return table + ((low >> self.regime.shift(level)) & ((1 << bits) - 1)) * 8

    def table_attributes(self) -> int:
        """Random hierarchical attributes and ignored bits; none while `plain`."""
        if self.plain:
            return 0
        hier = (
            self.rng.getrandbits(64)
            & self.rng.getrandbits(64)
            & (PXN_TABLE | XN_TABLE | AP_TABLE_READ_ONLY)
        )
        no_user = AP_TABLE_NO_USER if self.rng.random() < 0.15 else 0
        return self.rng.getrandbits(8) & 0xFC | hier | no_user

    def descend(self, gva: int, level: int) -> int:
        """The entry for `gva` at `level`; missing tables above are made."""
        table = self.root
        for depth in range(self.regime.start, level):
            slot = self.slot(table, gva, depth)
            if slot not in self.children:
                self._new_table(slot, self.inherited.get(table, 0))
            table = self.children[slot]
        return self.slot(table, gva, level)

    def _new_table(self, slot: int, inherited: int) -> None:
        child = self.free.take(1 << self.regime.granule)
        attributes = self.table_attributes()
        self.children[slot] = child
        self.inherited[child] = inherited | (0 if self.regime.hpd else attributes)
        self.image.put(slot, self.regime.encode(child) | attributes | VALID | TABLE, 8)

    def is_free(self, gva: int, level: int) -> bool:
        """No table and no page sits at or above the entry for `gva`."""
        table = self.root
        for depth in range(self.regime.start, level + 1):
            slot = self.slot(table, gva, depth)
            if slot not in self.children:
                return self.image.get(slot, 8) == 0
            table = self.children[slot]
        return False

    def leaf_attributes(self) -> int:
        """Random rights, memory type, software bits; the access flag mostly set."""
        bits = AP_USER | AP_READ_ONLY | NOT_GLOBAL | CONTIGUOUS | PXN | UXN | IGNORED | MEMORY_TYPE
        if not self.regime.ds:
            bits |= SHAREABILITY
        accessed = AF if self.rng.random() >= self.regime.no_af else 0
        dirty = DBM if self.regime.hardware_af and self.rng.random() < 0.5 else 0
        return self.rng.getrandbits(64) & bits | accessed | dirty

    def map(self, gva: int, gpa: int, level: int = 3, attributes: Optional[int] = None) -> bool:
        """Map one page or block; False when something is there already."""
        size = 1 << self.regime.shift(level)
        gva, gpa = gva & -size, gpa & -size
        if not self.is_free(gva, level):
            return False
        slot = self.descend(gva, level)
        bits = self.leaf_attributes() if attributes is None else attributes
        kind = VALID | (TABLE if level == 3 else 0)
        self.image.put(slot, self.regime.encode(gpa) | bits | kind, 8)
        self.mappings.append(self.mapping(gva, size, gpa, bits, slot))
        return True

    def mapping(self, gva: int, size: int, gpa: int, bits: int, slot: int) -> Mapping:
        """What the attributes mean, those of the tables above included."""
        table = self.root if slot - self.root in range(self.regime.root_bytes) else None
        above = 0 if table else self.inherited.get(slot & -(1 << self.regime.granule), 0)
        user = bool(bits & AP_USER) and not above & AP_TABLE_NO_USER
        writable = not bits & AP_READ_ONLY and not above & AP_TABLE_READ_ONLY
        xn = bool(bits & UXN or above & XN_TABLE)
        pxn = bool(bits & PXN or above & PXN_TABLE)
        if self.regime.aarch64:
            kernel_fetch, user_fetch = not pxn and not (user and writable), not xn
        else:
            kernel_fetch, user_fetch = not xn and not pxn, not xn and user
        if self.regime.sctlr & SCTLR_WXN:
            kernel_fetch &= not writable
            user_fetch &= not (user and writable)
        if self.regime.sctlr & SCTLR_UWXN:
            kernel_fetch &= not (user and writable)
        seen = bool(bits & AF) or self.regime.hardware_af
        return Mapping(gva, size, gpa, True, user, seen, (kernel_fetch, user_fetch))

    def window(self) -> int:
        """Pages or blocks for the stubs, only for the kernel: executable, and writable."""
        level = 3 if self.regime.aarch64 else 2
        size = 1 << self.regime.shift(level)
        room = self.regime.va_bits > self.regime.granule + 2
        gva = self.regime.base + (2 * size if room else 0)
        self.plain = True
        self.map(gva, STUB, level, AF | AP_READ_ONLY)
        if not self.regime.aarch64:
            self.map(gva + size, STUB, level, AF)
        self.plain = False
        return gva

    def invalid(self, gva: int, level: int) -> None:
        """An invalid entry with other bits in use; at level 3 also 0b01."""
        if not self.is_free(gva, level):
            return
        word = self.rng.getrandbits(64) & ~(VALID | TABLE)
        kind = self.rng.choice((0, TABLE, VALID)) if level == 3 else self.rng.choice((0, TABLE))
        word = word & ~(((1 << 52) - 1) & -PAGE) | self.rng.choice(self.free.ranges)[0]
        self.image.put(self.descend(gva, level), word | kind, 8)
        self.holes.append(gva & -(1 << self.regime.shift(level)))

    def random_gva(self) -> int:
        """Any address of this half."""
        return self.regime.base + self.rng.getrandbits(self.regime.va_bits)

    def fill(self, count: int) -> None:
        """Map pages and blocks of every size in clusters, with invalid neighbours."""
        limit = 1 << self.regime.va_bits
        levels = self.regime.block_levels()
        self.map(self.regime.base, self.rng.getrandbits(self.regime.pa_bits))
        self.map(self.regime.base + limit - 1, self.rng.getrandbits(self.regime.pa_bits))
        tries = 0
        while len(self.mappings) < count and tries < 4 * count:
            tries += 1
            level = self.rng.choice([*levels, 3])
            self._cluster(self.random_gva(), level)

    def _cluster(self, base: int, level: int) -> None:
        end = self.regime.base + (1 << self.regime.va_bits)
        for step in range(self.rng.randrange(1, 5)):
            gva = base + (step << self.regime.shift(level))
            if gva >= end:
                return
            if self.rng.random() < 0.2:
                self.invalid(gva, level)
            else:
                self.map(gva, self.rng.getrandbits(self.regime.pa_bits), level)


def tcr(low: Regime, high: Regime) -> int:
    """TCR_EL1 for two halves."""
    value = (64 - low.va_bits) | (64 - high.va_bits) << 16
    value |= TG0[low.granule] << 14 | TG1[high.granule] << 30 | IPS[low.pa_bits] << 32
    value |= TCR_DS if low.ds else 0
    value |= (TCR_HPD0 if low.hpd else 0) | (TCR_HPD1 if high.hpd else 0)
    return value


def outside(rng: random.Random, low: Regime, high: Regime) -> list[int]:
    """Addresses just outside and far outside both halves, top byte varied."""
    edge_low, edge_high = 1 << low.va_bits, high.base
    near = [edge_low, edge_low + 1, edge_high - 1, edge_high - PAGE, 1 << 55, (1 << 55) - 1]
    far = [rng.getrandbits(64) for _ in range(60)]
    return near + far


def aarch64(
    rng: random.Random,
    name: str,
    low: Regime,
    high: Regime,
    extra_tcr: int = 0,
    ram: tuple[int, int] = RAM,
) -> Case:
    """Both halves filled at random."""
    image, free = Image(), Pages(rng, ram)
    high = replace(high, high=True)
    halves = [Tables(low, rng, image, free), Tables(high, rng, image, free)]
    window = halves[1 if extra_tcr & TCR_EPD0 else 0].window()
    for half in halves:
        half.fill(120)
    asid = rng.getrandbits(16) << 48
    regs = {
        "ttbr0": low.ttbr(halves[0].root) | asid,
        "ttbr1": high.ttbr(halves[1].root) | rng.getrandbits(1),
        "tcr": tcr(low, high) | extra_tcr,
        "sctlr": SCTLR_M | low.sctlr,
        "el": 1,
    }
    mappings = halves[0].mappings + halves[1].mappings
    case = Case(name, "aarch64", regs, image, mappings, setup="aarch64")
    holes = halves[0].holes + halves[1].holes
    case.holes = rng.sample(holes, min(60, len(holes))) + outside(rng, low, high)
    case.least_mapped, case.window = 40, window
    return case


# (granule, sizes of the low half, sizes of the high half)
SIZES = {
    12: (16, 21, 25, 30, 31, 36, 39, 42, 47, 48),
    14: (16, 25, 36, 37, 39, 46, 47, 48),
    16: (17, 29, 36, 39, 42, 43, 47, 48),
}


def every_size(granule: int, turn: int) -> Callable[[random.Random], Case]:
    """One granule with one VA size below and another one above."""

    def build(rng: random.Random) -> Case:
        sizes = SIZES[granule]
        low, high = sizes[turn], sizes[-1 - turn]
        name = f"aarch64_{1 << granule - 10}k_{low}_{high}"
        return aarch64(rng, name, Regime(granule, low), Regime(granule, high))

    return build


def mixed_granules(rng: random.Random) -> Case:
    """The two halves use different granules."""
    return aarch64(rng, "aarch64_mixed_granules", Regime(16, 42), Regime(14, 47))


def pa_52_with_64k(rng: random.Random) -> Case:
    """64K granule: 52-bit VA, PA[51:48] in descriptor bits 15:12."""
    regime = Regime(16, 52, pa_bits=52)
    return aarch64(rng, "aarch64_64k_52", regime, replace(regime, va_bits=50))


def lpa2(granule: int, low: int, high: int) -> Callable[[random.Random], Case]:
    """FEAT_LPA2: TCR_EL1.DS with 4K or 16K pages and 52-bit addresses."""

    def build(rng: random.Random) -> Case:
        regime = Regime(granule, low, pa_bits=52, ds=True)
        name = f"aarch64_lpa2_{1 << granule - 10}k_{low}_{high}"
        return aarch64(rng, name, regime, replace(regime, va_bits=high))

    return build


def far_tables(granule: int, ds: bool) -> Callable[[random.Random], Case]:
    """Every table lies above 2**48: TTBR bits 5:2, and the upper bits of descriptors."""

    def build(rng: random.Random) -> Case:
        regime = Regime(granule, 48, pa_bits=52, ds=ds)
        name = f"aarch64_far_{1 << granule - 10}k"
        high = replace(regime, va_bits=52)
        case = aarch64(rng, name, regime, high, ram=(FAR[0], sum(FAR)))
        case.setup, case.window = "aarch64_far", -1
        if regime.root_bytes < 64:
            case.quirk = "PA[51:50] in TTBR bits 5:4 leak into the address of a small root"
        return case

    return build


def disabled_half(bit: int, name: str) -> Callable[[random.Random], Case]:
    """EPD0 or EPD1: no walks through that half, whatever its tables say."""

    def build(rng: random.Random) -> Case:
        case = aarch64(rng, name, Regime(12, 39), Regime(12, 39), bit)
        low_half = bit == TCR_EPD0
        case.holes += [m.gva for m in case.mappings if (m.gva >> 63 == 0) == low_half]
        case.mappings = [m for m in case.mappings if (m.gva >> 63 == 0) != low_half]
        return case

    return build


def tagged(rng: random.Random) -> Case:
    """TBI0 and TBI1: the top byte is ignored, bit 55 picks the half."""
    bits = TCR_TBI0 | TCR_TBI1
    case = aarch64(rng, "aarch64_tbi", Regime(12, 48), Regime(12, 44), bits)
    tags = [rng.getrandbits(8) for _ in case.mappings]
    case.mappings += [
        replace(m, gva=m.gva & (1 << 56) - 1 | tag << 56)
        for m, tag in zip(case.mappings, tags)
        if m.gva & (1 << 56) - 1 | tag << 56 != m.gva
    ]
    case.holes = []
    case.span = (0, 1 << 64)
    case.known = False
    return case


def tagged_low_only(rng: random.Random) -> Case:
    """TBI0 alone: a tagged address of the upper half is not canonical."""
    case = aarch64(rng, "aarch64_tbi0", Regime(14, 47), Regime(14, 47), TCR_TBI0)
    case.holes = [m.gva ^ 1 << rng.randrange(56, 64) for m in case.mappings]
    case.known = False
    return case


def hierarchical_off(rng: random.Random) -> Case:
    """HPD0 and HPD1: APTable, PXNTable and UXNTable are ignored."""
    low, high = Regime(12, 48, hpd=True), Regime(12, 39, hpd=True)
    return aarch64(rng, "aarch64_hpd", low, high)


def short_output(rng: random.Random) -> Case:
    """TCR_EL1.IPS = 36 bits: larger output addresses are address size faults."""
    image, free = Image(), Pages(rng, (RAM[0], 60 * GB))
    regime = Regime(12, 48, pa_bits=36)
    half = Tables(regime, rng, image, free)
    half.fill(150)
    half.regime = replace(regime, pa_bits=48)
    half.fill(300)
    regs = {"ttbr0": half.root, "ttbr1": 0, "tcr": tcr(regime, regime) | TCR_EPD1, "sctlr": 1}
    case = Case("aarch64_ips_36", "aarch64", {**regs, "el": 1}, image, setup="aarch64")
    case.mappings = [m for m in half.mappings if m.gpa < 1 << 36]
    case.holes = [m.gva for m in half.mappings if m.gpa >= 1 << 36]
    return case


def access_flag(rng: random.Random) -> Case:
    """Half of the pages have AF clear, which QEMU 7.2's debug walk ignores."""
    regime = Regime(12, 48, no_af=0.5)
    case = aarch64(rng, "aarch64_access_flag", regime, replace(regime, va_bits=39))
    case.quirk = NO_ACCESS_FLAG
    return case


def write_never_execute(rng: random.Random) -> Case:
    """SCTLR_EL1.WXN: what is writable is not executable."""
    low, high = Regime(12, 48, sctlr=SCTLR_WXN), Regime(16, 42, sctlr=SCTLR_WXN)
    return aarch64(rng, "aarch64_wxn", low, high)


def privileged_access_never(rng: random.Random) -> Case:
    """PSTATE.PAN: the kernel does not read what the user may read."""
    case = aarch64(rng, "aarch64_pan", Regime(12, 48), Regime(14, 47))
    case.options["pan"] = "on"
    case.mappings = [replace(m, kernel=not m.user) for m in case.mappings]
    case.window = -1
    return case


def hardware_access_flag(dirty: bool) -> Callable[[random.Random], Case]:
    """TCR_EL1.HA and HD: the CPU sets AF, and makes a DBM page writable."""

    def build(rng: random.Random) -> Case:
        regime = Regime(12, 48, no_af=0.4, hardware_af=True)
        name, bits = ("aarch64_ha_hd", TCR_HA | TCR_HD) if dirty else ("aarch64_ha", TCR_HA)
        case = aarch64(rng, name, regime, replace(regime, va_bits=39), bits)
        case.window = -1
        return case

    return build


def mmu_off(rng: random.Random) -> Case:
    """SCTLR_EL1.M clear: addresses are physical."""
    case = aarch64(rng, "aarch64_mmu_off", Regime(12, 48), Regime(12, 48))
    case.registers["sctlr"] = 0
    case.mappings = [Mapping(0, 1 << 48, 0)]
    case.any_size, case.window = True, STUB
    case.holes = [rng.getrandbits(48) for _ in range(300)]
    case.span = (0, 1 << 48)
    case.least_unmapped = 0
    return case


def garbage_block(rng: random.Random) -> Case:
    """A block at level 0 of the 4K granule is reserved: a translation fault."""
    case = aarch64(rng, "aarch64_level_0_block", Regime(12, 48), Regime(12, 48))
    base = case.registers["ttbr0"] & ((1 << 48) - 1) & -PAGE
    free = [i for i in range(512) if case.image.get(base + i * 8, 8) == 0]
    for index in free[:100]:
        case.image.put(base + index * 8, rng.getrandbits(48) & -PAGE | AF | VALID, 8)
        case.holes.append(index << 39 | rng.getrandbits(39))
    case.quirk, case.quirk_runs = "QEMU 7.2 takes a level 0 block as a 512 GB page", True
    return case


def uniform(rng: random.Random) -> Case:
    """Every entry of every table is the same: one frame, 2**36 aliases."""
    image, free = Image(), Pages(rng, RAM)
    pages = [free.take() for _ in range(4)]
    for level, (table, child) in enumerate(zip(pages, [*pages[1:], 0x12345000])):
        word = child | VALID | TABLE | (AF if level == 3 else 0)
        image.write(table, word.to_bytes(8, "little") * 512)
    regime = Regime(12, 48)
    regs = {"ttbr0": pages[0], "ttbr1": pages[0], "tcr": tcr(regime, regime), "sctlr": 1, "el": 1}
    maps = [Mapping(rng.getrandbits(48) & -PAGE, PAGE, 0x12345000) for _ in range(200)]
    case = Case("aarch64_uniform", "aarch64", regs, image, maps, setup="aarch64", known=False)
    case.holes = [1 << 48 | rng.getrandbits(60) for _ in range(120)]
    return case


def noise(regime: Regime, name: str) -> Callable[[random.Random], Case]:
    """Tables of random words that point only at each other."""

    def build(rng: random.Random) -> Case:
        image, free = Image(), Pages(rng, RAM if regime.aarch64 else RAM_LPAE)
        pool = [free.take(1 << regime.granule) for _ in range(12)]
        for page in pool:
            for slot in range(page, page + (1 << regime.granule), 8):
                image.put(slot, _noise_entry(rng, regime, pool), 8)
        regs = noise_registers(rng, regime, pool)
        arch = "aarch64" if regime.aarch64 else "arm"
        setup = "aarch64" if regime.aarch64 else "arm"
        case = Case(name, arch, regs, image, known=False, setup=setup)
        width = 64 if regime.aarch64 else 32
        case.span = (0, 1 << width)
        low = [rng.getrandbits(regime.va_bits) for _ in range(500)]
        case.holes = low + [(1 << width) - 1 - rng.getrandbits(regime.va_bits) for _ in low]
        rng.shuffle(case.holes)
        return case

    return build


def noise_registers(rng: random.Random, regime: Regime, pool: list[int]) -> dict[str, int]:
    """Both bases inside the pool."""
    low, high = rng.sample(pool, 2)
    if not regime.aarch64:
        sizes = (32 - regime.va_bits) * 0x10001
        return {"ttbr0": low, "ttbr1": high, "tcr": TTBCR_EAE | sizes, "sctlr": 1, "el": 1}
    return {"ttbr0": low, "ttbr1": high, "tcr": tcr(regime, regime), "sctlr": 1, "el": 1}


def _noise_entry(rng: random.Random, regime: Regime, pool: list[int]) -> int:
    """Never a block where the manual has none: QEMU and the manual differ there."""
    if rng.random() < 0.06:
        return 0
    attributes = rng.getrandbits(64) & (0xFF0 | 0xFFF << 52 | 0xC)
    kind = VALID | TABLE if rng.random() < 0.9 or regime.start < 1 else VALID
    word = rng.choice(pool) | attributes | AF | kind
    return word if rng.random() < 0.95 else word & ~VALID


# ARMv7 LPAE.


def lpae(
    t0sz: int, t1sz: int, epd: int = 0, no_af: float = 0.0, sctlr: int = 0
) -> Callable[[random.Random], Case]:
    """LPAE with every start level and split between TTBR0 and TTBR1."""

    def build(rng: random.Random) -> Case:
        image, free = Image(), Pages(rng, RAM_LPAE)
        low = Regime(12, 32 - t0sz, pa_bits=40, aarch64=False, no_af=no_af, sctlr=sctlr)
        high = replace(low, va_bits=32 - t1sz, high=True)
        halves = [Tables(low, rng, image, free), Tables(high, rng, image, free)]
        stub_half = halves[epd & 1]
        window = stub_half.window()
        for half in halves:
            half.fill(120)
        value = TTBCR_EAE | t0sz | t1sz << 16 | (1 << 7 if epd & 1 else 0) | (epd & 2) << 22
        regs = {"ttbr0": halves[0].root, "ttbr1": halves[1].root, "tcr": value, "sctlr": 1, "el": 1}
        case = Case(
            f"lpae_{t0sz}_{t1sz}_{epd}{'_access_flag' if no_af else ''}",
            "arm",
            regs,
            image,
            setup="arm",
        )
        case.span, case.window, case.writable = (0, 1 << 32), window, window + 2 * MB
        case.quirk = NO_ACCESS_FLAG if no_af else ""
        case.registers["sctlr"] |= sctlr
        case.name += {0: "", SCTLR_WXN: "_wxn", SCTLR_UWXN: "_uwxn"}[sctlr]
        case.mappings = lpae_visible(halves, t0sz, t1sz, epd)
        case.holes = halves[0].holes[:60] + halves[1].holes[:60]
        case.holes += [m.gva for half in halves for m in half.mappings[:60]]
        case.least_mapped = 60
        return case

    return build


def lpae_visible(halves: list[Tables], t0sz: int, t1sz: int, epd: int) -> list[Mapping]:
    """Which mappings are reached ("Determining which TTBR is used")."""
    low_end = (1 << 32 - t0sz) if t0sz or not t1sz else (1 << 32) - (1 << 32 - t1sz)
    high_start = (1 << 32) - (1 << 32 - t1sz) if t1sz else 1 << 32 - t0sz
    low = [clip(m, 0, low_end) for m in halves[0].mappings]
    high = [clip(m, high_start, 1 << 32) for m in halves[1].mappings]
    kept = ([] if epd & 1 else low) + ([] if epd & 2 or not (t0sz or t1sz) else high)
    return [m for m in kept if m is not None]


def clip(mapping: Mapping, low: int, high: int) -> Optional[Mapping]:
    """The mapping if it lies inside; block sizes never straddle the split."""
    return mapping if low <= mapping.gva and mapping.gva + mapping.size <= high else None


def other_level(level: int, regime: Regime) -> Callable[[random.Random], Case]:
    """EL2 or EL3: one half, another TCR ("TCR_EL2", "TCR_EL3"), one privilege."""

    def build(rng: random.Random) -> Case:
        image, free = Image(), Pages(rng, RAM)
        half = Tables(regime, rng, image, free)
        half.fill(200)
        value = (64 - regime.va_bits) | TG0[regime.granule] << 14 | IPS[regime.pa_bits] << 16
        value |= 1 << 31 | 1 << 23 | (1 << 24 if regime.hpd else 0) | (1 << 32 if regime.ds else 0)
        regs = {"ttbr0": regime.ttbr(half.root), "tcr": value, "sctlr": SCTLR_M, "el": level}
        name = f"aarch64_el{level}_{1 << regime.granule - 10}k_{regime.va_bits}"
        case = Case(name, "aarch64", regs, image, half.mappings, setup=f"aarch64_el{level}")
        beyond = [rng.getrandbits(64 - regime.va_bits) << regime.va_bits for _ in range(80)]
        case.holes = half.holes[:60] + [gva | m.gva for gva, m in zip(beyond, half.mappings) if gva]
        return case

    return build


def el2_and_el0(low: Regime, high: Regime) -> Callable[[random.Random], Case]:
    """HCR_EL2.E2H: EL2 has two halves and the TCR of EL1."""

    def build(rng: random.Random) -> Case:
        name = f"aarch64_e2h_{1 << low.granule - 10}k_{low.va_bits}_{high.va_bits}"
        case = aarch64(rng, name, low, high)
        case.setup, case.options["hcr"] = "aarch64_el2", hex(HCR_E2H)
        case.registers["el"], case.window = 2, -1
        return case

    return build


def hyp(t0sz: int) -> Callable[[random.Random], Case]:
    """Hyp mode: HTTBR and HTCR, one half, long descriptors."""

    def build(rng: random.Random) -> Case:
        image, free = Image(), Pages(rng, RAM_LPAE)
        half = Tables(Regime(12, 32 - t0sz, 40, aarch64=False), rng, image, free)
        half.fill(200)
        regs = {"ttbr0": half.root, "tcr": 1 << 31 | 1 << 23 | t0sz, "sctlr": SCTLR_M, "el": 2}
        case = Case(f"hyp_{t0sz}", "arm", regs, image, half.mappings, setup="arm_hyp")
        case.span, case.holes = (0, 1 << 32), half.holes[:60]
        return case

    return build


BUILDERS: tuple[Callable[[random.Random], Case], ...] = (
    *(every_size(12, turn) for turn in range(len(SIZES[12]))),
    *(every_size(14, turn) for turn in range(len(SIZES[14]))),
    *(every_size(16, turn) for turn in range(len(SIZES[16]))),
    mixed_granules,
    pa_52_with_64k,
    lpa2(12, 52, 48),
    lpa2(12, 49, 39),
    lpa2(14, 52, 50),
    lpa2(14, 48, 47),
    disabled_half(TCR_EPD0, "aarch64_epd0"),
    disabled_half(TCR_EPD1, "aarch64_epd1"),
    tagged,
    tagged_low_only,
    hierarchical_off,
    short_output,
    access_flag,
    write_never_execute,
    privileged_access_never,
    hardware_access_flag(False),
    hardware_access_flag(True),
    mmu_off,
    garbage_block,
    uniform,
    noise(Regime(12, 39), "aarch64_noise_4k_39"),
    noise(Regime(12, 48), "aarch64_noise_4k_48"),
    noise(Regime(14, 36), "aarch64_noise_16k_36"),
    noise(Regime(16, 42), "aarch64_noise_64k_42"),
)

OTHER_LEVELS = (
    other_level(2, Regime(12, 48)),
    other_level(2, Regime(12, 36, hpd=True)),
    other_level(2, Regime(14, 47)),
    other_level(2, Regime(16, 52, pa_bits=52)),
    el2_and_el0(Regime(12, 48), Regime(12, 39)),
    el2_and_el0(Regime(16, 42), Regime(16, 47)),
    other_level(3, Regime(12, 39)),
    other_level(3, Regime(14, 52, pa_bits=52, ds=True)),
    far_tables(12, True),
    far_tables(14, True),
    far_tables(16, False),
    hyp(0),
    hyp(3),
)

LPAE_BUILDERS = (
    *(lpae(t0sz, 0) for t0sz in (0, 1, 2, 7)),
    *(lpae(0, t1sz) for t1sz in (1, 2, 5)),
    *(lpae(*pair) for pair in ((1, 1), (2, 1), (3, 4), (7, 7))),
    lpae(1, 1, 1),
    lpae(1, 1, 2),
    lpae(1, 0, no_af=0.5),
    lpae(0, 1, sctlr=SCTLR_WXN),
    lpae(1, 1, sctlr=SCTLR_UWXN),
    noise(Regime(12, 31, 40, aarch64=False), "lpae_noise"),
)


def as_user(case: Case) -> Case:
    """The same case as EL0 sees it."""
    case.name, case.mode, case.least_mapped = case.name + "_user", "user", 20
    case.registers["el"] = 0
    return case


def cases(seed: int) -> Iterator[Case]:
    """Every long-descriptor case, the same ones for the same seed."""
    for number, build in enumerate(BUILDERS):
        yield build(random.Random(seed * 1000 + number))
    for number, build in enumerate(BUILDERS[:1] + BUILDERS[8:9] + BUILDERS[28:29]):
        case = build(random.Random(seed * 1000 + number + 300))
        yield as_user(case)
    for number, build in enumerate(LPAE_BUILDERS):
        yield build(random.Random(seed * 1000 + number + 500))
    for number, build in enumerate(OTHER_LEVELS):
        yield build(random.Random(seed * 1000 + number + 700))
    yield as_user(LPAE_BUILDERS[7](random.Random(seed * 1000 + 600)))
