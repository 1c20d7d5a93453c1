"""Cases that no system makes: reserved blocks, tables that are all alike, random words."""

from __future__ import annotations

import random
from typing import Callable

from ..case import Case, Mapping
from ..image import PAGE, Image
from ..pages import Pages
from .halves import aarch64, tcr
from .regime import AF, RAM, RAM_LPAE, TABLE, TTBCR_EAE, VALID, Regime


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
