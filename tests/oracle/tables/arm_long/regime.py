"""Bits of the long-descriptor format, and a half of a translation regime.

Arm ARM (DDI 0487), "The AArch64 Virtual Memory System Architecture":
"VMSAv8-64 translation table format descriptors", "TCR_EL1", "TTBR0_EL1".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

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
TCR_TBID0, TCR_TBID1 = 1 << 51, 1 << 52
TCR_E0PD0, TCR_E0PD1 = 1 << 55, 1 << 56
TCR_HPD0, TCR_HPD1, TCR_DS = 1 << 41, 1 << 42, 1 << 59
TG0 = {12: 0, 16: 1, 14: 2}
TG1 = {14: 1, 12: 2, 16: 3}
IPS = {32: 0, 36: 1, 40: 2, 42: 3, 44: 4, 48: 5, 52: 6}
TTBCR_EAE = 1 << 31

NO_ACCESS_FLAG = "the debug walk of long descriptors does not look at the access flag"

# SCTLR_EL1 and SCTLR.
SCTLR_M, SCTLR_WXN, SCTLR_UWXN, SCTLR_EPAN = 1 << 0, 1 << 19, 1 << 20, 1 << 57
HCR_E2H = 1 << 34
TCR_HA, TCR_HD, DBM = 1 << 39, 1 << 40, 1 << 51

RAM = (0x50000000, 0x40000000 + 200 * GB)
RAM_LPAE = (0x50000000, 0x40000000 + 6 * GB)


@dataclass(frozen=True)
class Regime:
    """One translation regime half: granule, sizes and where it begins.

    `indices` are PIR and PIRE0, where permissions are indirect.
    """

    granule: int
    va_bits: int
    pa_bits: int = 48
    high: bool = False
    ds: bool = False
    aarch64: bool = True
    hpd: bool = False
    no_af: float = 0.0
    hardware_af: bool = False
    hardware_dirty: bool = False
    sctlr: int = 0
    indices: Optional[tuple[int, int]] = None
    pan: bool = False

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
