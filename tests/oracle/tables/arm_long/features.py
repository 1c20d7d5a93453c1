"""Cases of one feature each: TCR_EL1's and SCTLR_EL1's bits, PAN, the access flag."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Callable

from ..case import STUB, Case, Mapping
from ..image import Image
from ..pages import Pages
from .build import Tables
from .halves import aarch64, tcr
from .regime import (
    GB,
    NO_ACCESS_FLAG,
    RAM,
    SCTLR_WXN,
    TCR_EPD0,
    TCR_EPD1,
    TCR_HA,
    TCR_HD,
    TCR_TBI0,
    TCR_TBI1,
    Regime,
)


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
