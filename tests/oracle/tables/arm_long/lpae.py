"""Cases of ARMv7's long descriptors (LPAE): PL1 and PL0, and Hyp mode."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Callable, Optional

from ..case import Case, Mapping
from ..image import Image
from ..pages import Pages
from .build import Tables
from .regime import (
    MB,
    NO_ACCESS_FLAG,
    RAM_LPAE,
    SCTLR_M,
    SCTLR_UWXN,
    SCTLR_WXN,
    TTBCR_EAE,
    Regime,
)


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
