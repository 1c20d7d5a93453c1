"""Writes the tables of one half.

Arm ARM (DDI 0487), "Translation granules", "The initial lookup level"; DDI 0406C,
"Long-descriptor translation table format".
"""

from __future__ import annotations

import random
from typing import Optional

from ..case import STUB, Mapping
from ..image import PAGE, Image
from ..pages import Pages
from .permissions import indirect
from .regime import (
    AF,
    AP_READ_ONLY,
    AP_TABLE_NO_USER,
    AP_TABLE_READ_ONLY,
    AP_USER,
    CONTIGUOUS,
    DBM,
    IGNORED,
    MEMORY_TYPE,
    NOT_GLOBAL,
    PXN,
    PXN_TABLE,
    SCTLR_UWXN,
    SCTLR_WXN,
    SHAREABILITY,
    TABLE,
    UXN,
    VALID,
    XN_TABLE,
    Regime,
)


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
        may = self.regime.hardware_af or self.regime.indices
        dirty = DBM if may and self.rng.random() < 0.5 else 0
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
        if self.regime.indices:
            return indirect(self.regime, Mapping(gva, size, gpa), bits)
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
