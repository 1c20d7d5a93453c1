"""Cases of EL2 and EL3."""

from __future__ import annotations

import random
from typing import Callable

from ..case import Case
from ..image import Image
from ..pages import Pages
from .build import Tables
from .halves import aarch64
from .regime import HCR_E2H, IPS, RAM, SCTLR_M, TG0, Regime


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
