"""ARM long-descriptor tables (AArch64 and ARMv7 LPAE), written from the manual.

Arm ARM (DDI 0487), "The AArch64 Virtual Memory System Architecture":
"Translation table descriptor formats", "Translation granules", "TCR_EL1";
DDI 0406C, "Long-descriptor translation table format".
Nothing here is shared with a walker.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Callable

from ..case import Case
from .features import (
    access_flag,
    disabled_half,
    hardware_access_flag,
    hierarchical_off,
    mmu_off,
    privileged_access_never,
    short_output,
    tagged,
    tagged_low_only,
    write_never_execute,
)
from .garbage import garbage_block, noise, uniform
from .halves import SIZES, every_size, far_tables, lpa2, mixed_granules, pa_52_with_64k
from .levels import el2_and_el0, other_level
from .lpae import hyp, lpae
from .newest import BUILDERS as NEWEST
from .regime import SCTLR_UWXN, SCTLR_WXN, TCR_EPD0, TCR_EPD1, TCR_HD, Regime

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


def rights(seed: int) -> list[Case]:
    """Cases that are about rights alone."""
    return [build(random.Random(seed * 1000 + 800 + n)) for n, build in enumerate(NEWEST)]


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
