"""Permission indirection: rights by PIR_EL1 and PIRE0_EL1.

Arm ARM (DDI 0487), "Stage 1 Indirect permissions", "PIR_EL1", "PIRE0_EL1".
"""

from __future__ import annotations

from dataclasses import replace

from ..case import Mapping
from .regime import AF, Regime

NOT_DIRTY = 1 << 7
# Perm of PIR and PIRE0: what 0b0110 writes it does not execute, but it counts as
# executable beside the other privilege. `g` is a guarded control stack.
PERMISSIONS = (
    *("", "r", "x", "rx", "", "rw", "rwX", "rwx"),
    *("r", "rg", "rx", "", "rw", "", "rwx", ""),
)
# Without a meaning of its own.
RESERVED = (0x4, 0xB, 0xD, 0xF)


def permission_index(bits: int) -> int:
    """Bits 54, 53, 51 and 6 of a descriptor."""
    return (bits >> 53 & 3) << 2 | (bits >> 51 & 1) << 1 | bits >> 6 & 1


def permissions(regime: Regime, bits: int) -> tuple[str, str]:
    """What the kernel and the user may do."""
    assert regime.indices
    shift = 4 * permission_index(bits)
    kernel, user = (PERMISSIONS[register >> shift & 0xF] for register in regime.indices)
    if set(kernel.lower()) & set("xg") and set(user) & set("wg"):
        return "", ""
    if bits & NOT_DIRTY and not regime.hardware_dirty:
        return kernel.replace("w", ""), user.replace("w", "")
    return kernel, user


def indirect(regime: Regime, place: Mapping, bits: int) -> Mapping:
    """The mapping with its rights. PSTATE.PAN: no data of what PIRE0 names for EL0."""
    assert regime.indices
    both = permissions(regime, bits)
    if regime.pan and regime.indices[1] >> 4 * permission_index(bits) & 0xF:
        both = both[0].replace("r", "").replace("w", ""), both[1]
    return replace(
        place,
        kernel="r" in both[0],
        user="r" in both[1],
        accessed=bool(bits & AF) or regime.hardware_af,
        fetch=("x" in both[0], "x" in both[1]),
        write=("w" in both[0], "w" in both[1]),
    )
