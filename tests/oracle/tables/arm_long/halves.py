"""A case of EL1 and EL0: both halves filled at random, and the sizes they may have."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Callable

from ..case import FAR, Case
from ..image import PAGE, Image
from ..pages import Pages
from .build import Tables
from .regime import IPS, RAM, SCTLR_M, TCR_DS, TCR_EPD0, TCR_HPD0, TCR_HPD1, TG0, TG1, Regime


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
