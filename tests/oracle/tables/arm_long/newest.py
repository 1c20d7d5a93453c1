"""Cases of rights alone, which the monitor does not show: E0PD, TBID, EPAN, PIE.

Arm ARM (DDI 0487), "TCR_EL1", "SCTLR_EL1", "Stage 1 Indirect permissions".
"""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Callable

from ..case import Case
from .halves import aarch64
from .permissions import RESERVED
from .regime import (
    SCTLR_EPAN,
    SCTLR_WXN,
    TCR_E0PD0,
    TCR_E0PD1,
    TCR_HA,
    TCR_HD,
    TCR_TBI0,
    TCR_TBI1,
    TCR_TBID0,
    TCR_TBID1,
    Regime,
)

Build = Callable[[random.Random], Case]
PIE = 1 << 1
PAN3 = {"ID_AA64MMFR1_EL1": (20, 3)}
S1PIE = {"ID_AA64MMFR3_EL1": (8, 1)}


def user_barred(bits: int, name: str) -> Build:
    """E0PD0 and E0PD1: EL0 has no access to a half."""

    def build(rng: random.Random) -> Case:
        case = aarch64(rng, name, Regime(12, 48), Regime(16, 42), bits)
        case.mappings = [
            replace(m, user=False, fetch=(m.fetch[0], False))
            if bits & (TCR_E0PD1 if m.gva >> 63 else TCR_E0PD0)
            else m
            for m in case.mappings
        ]
        return case

    return build


def tagged_data_only(rng: random.Random) -> Case:
    """TBI with TBID: loads and stores ignore the top byte, fetches do not."""
    low, high = Regime(12, 48), Regime(12, 44)
    case = aarch64(rng, "aarch64_tbid", low, high, TCR_TBI0 | TCR_TBI1 | TCR_TBID0 | TCR_TBID1)
    case.holes += [m.gva ^ rng.getrandbits(8) << 56 for m in case.mappings]
    case.tags = True
    return case


def executable_is_users(sctlr: int) -> Build:
    """SCTLR_EL1.EPAN: what EL0 may only execute is kept from the kernel's data too."""

    def build(rng: random.Random) -> Case:
        low = Regime(12, 48, sctlr=SCTLR_EPAN | sctlr)
        case = aarch64(rng, f"aarch64_epan{'_wxn' if sctlr else ''}", low, replace(low, va_bits=39))
        case.options["pan"], case.needs = "on", PAN3
        # Without WXN what EL0 executes; the pages with both rights can be read, too.
        case.mappings = [replace(m, kernel=not (m.user or m.fetch[1])) for m in case.mappings]
        return case

    return build


def indirection(name: str, tcr: int = 0, pan: bool = False, sctlr: int = 0) -> Build:
    """TCR2_EL1.PIE: random PIR_EL1 and PIRE0_EL1; index 0 is the stub's own."""

    def build(rng: random.Random) -> Case:
        pir, pire0 = (sum(rng.randrange(16) << 4 * n for n in range(1, 16)) for _ in range(2))
        if pan:
            pire0 = without_reserved(pire0)
        half = Regime(
            *(12, 48), no_af=0.1, hpd=True, sctlr=sctlr, pan=pan, indices=(pir | 0xA, pire0),
            hardware_af=bool(tcr & TCR_HA), hardware_dirty=bool(tcr & TCR_HD),
        )
        case = aarch64(rng, name, half, replace(half, granule=16, va_bits=42), tcr)
        case.registers["tcr"] &= ~(3 << 41)
        case.registers |= {"tcr2": PIE, "pir": pir | 0xA, "pire0": pire0}
        case.needs = S1PIE
        if pan:
            case.options["pan"] = "on"
        return case

    return build


def without_reserved(register: int) -> int:
    """No access instead. QEMU 11.1 lets the kernel in there in spite of PAN."""
    kinds = (register >> 4 * n & 0xF for n in range(16))
    return sum(0 if kind in RESERVED else kind << 4 * n for n, kind in enumerate(kinds))


BUILDERS: tuple[Build, ...] = (
    user_barred(TCR_E0PD0, "aarch64_e0pd0"),
    user_barred(TCR_E0PD1, "aarch64_e0pd1"),
    tagged_data_only,
    executable_is_users(0),
    executable_is_users(SCTLR_WXN),
    *(indirection(f"aarch64_pie{number}") for number in range(3)),
    indirection("aarch64_pie_wxn", sctlr=SCTLR_WXN),
    indirection("aarch64_pie_ha", TCR_HA),
    indirection("aarch64_pie_ha_hd", TCR_HA | TCR_HD),
    *(indirection(f"aarch64_pie_pan{number}", pan=True) for number in range(2)),
)
