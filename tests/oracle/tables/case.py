"""What a generator hands over: tables, registers, and addresses to ask about."""

from __future__ import annotations

import os
import random
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Callable, Optional

from .image import PAGE, Image

# Guest-physical memory of the stubs on the ARM boards; no table is put there.
STUB = 0x48000000

# A memory device above 2**48: start and size.
FAR = (0x5A00040000000, 2 << 30)
WORD = 1 << 64
# How many times the usual number of addresses is asked (tests/torture).
SCALE = int(os.environ.get("RR_MEM_ORACLE_SCALE", "1"))


@dataclass(frozen=True)
class Mapping:
    """`size` bytes at guest-virtual `gva` appear at guest-physical `gpa`.

    `kernel` and `user` say in which mode they can be read, `fetch` whether the kernel and
    the user can execute them, `write` the same of writing where the generator says so,
    `accessed` that the access flag is set.
    """

    gva: int
    size: int
    gpa: int
    kernel: bool = True
    user: bool = True
    accessed: bool = True
    fetch: tuple[bool, bool] = (True, True)
    write: Optional[tuple[bool, bool]] = None

    def translate(self, gva: int) -> int:
        """The guest-physical address of a byte inside."""
        return self.gpa + gva - self.gva


def no_opinion(gva: int) -> Optional[int]:
    """The order of checks makes no difference."""
    return None


@dataclass
class Case:
    """One set of tables and the registers that point at them.

    `known` says that `mappings` is everything that is mapped, so the generator
    has an opinion of its own. Tables of random words have no such opinion.
    `wires` are the physical address bits that exist (A20).
    `any_size` says that the sizes of its mappings are not those of pages.
    `mode` is the privilege in which QEMU is asked (ARM checks rights).
    `manual` is the fault status that the manual's order of checks asks for where the
    CPU of QEMU checks in another order, else None.
    `window` is where 1 MB of the stubs' memory is mapped for the kernel, or -1;
    `writable` is where it can be written, if not there.
    `options` are further options of rr-mem, which the set-ups also honour (a20, pan, hcr).
    `needs` are fields of ID registers with their least values: the CPU has the feature.
    `tags`: the top byte of an address is a tag, for data alone.
    `quirk` says why QEMU's debug walk is wrong here: then the generator, which
    wrote what the manual says, is the judge. `quirk_runs`: the CPU itself is wrong too.
    """

    name: str
    arch: str
    registers: dict[str, int]
    image: Image
    mappings: list[Mapping] = field(default_factory=list)
    holes: list[int] = field(default_factory=list)
    span: tuple[int, int] = (0, WORD)
    wires: int = WORD - 1
    known: bool = True
    any_size: bool = False
    mode: str = "kernel"
    options: dict[str, str] = field(default_factory=dict)
    quirk: str = ""
    quirk_runs: bool = False
    setup: str = ""
    tags: bool = False
    needs: dict[str, tuple[int, int]] = field(default_factory=dict)
    window: int = -1
    writable: int = -1
    manual: Callable[[int], Optional[int]] = no_opinion
    least_mapped: int = 60
    least_unmapped: int = 50

    def mapping(self, gva: int) -> Optional[Mapping]:
        """The mapping that the generator made for `gva`."""
        plain = (gva & (1 << 56) - 1) | (gva >> 55 & 1) * (0xFF << 56)
        if self.tags and plain != gva:
            found = self.mapping(plain)
            return found and replace(found, gva=found.gva + gva - plain, fetch=(False, False))
        for mapping in self.mappings:
            if mapping.gva <= gva < mapping.gva + mapping.size:
                return mapping
        return None

    def present(self, gva: int) -> Optional[int]:
        """Where the generator meant `gva` to be; None if nowhere."""
        mapping = self.mapping(gva)
        return mapping.translate(gva) & self.wires if mapping else None

    def readable(self, gva: int, user: bool) -> bool:
        """Whether the CPU may read, access flag included."""
        mapping = self.mapping(gva)
        if mapping is None or not mapping.accessed:
            return False
        return mapping.user if user else mapping.kernel

    def expected(self, gva: int) -> Optional[int]:
        """Where a read in the case's own mode finds `gva`; None if it faults."""
        return self.present(gva) if self.readable(gva, self.mode == "user") else None

    def executable(self, gva: int, user: bool) -> bool:
        """Whether the CPU may fetch an instruction."""
        mapping = self.mapping(gva)
        return mapping is not None and mapping.accessed and mapping.fetch[user]


def edges(mapping: Mapping, rng: random.Random) -> Iterable[int]:
    """First and last byte, both neighbours, and a byte in the middle."""
    end = mapping.gva + mapping.size
    inside = mapping.gva + rng.randrange(mapping.size)
    return (mapping.gva, end - 1, mapping.gva - 1, end, inside)


def probes(case: Case, rng: random.Random, limit: int = 400) -> list[int]:
    """The addresses to ask about, without repeats, inside the case's span."""
    low, size = case.span
    limit *= SCALE
    found = [low, low + size - 1, *case.holes]
    mappings = list(case.mappings)
    rng.shuffle(mappings)
    for mapping in mappings * SCALE:
        found.extend(edges(mapping, rng))
    near = [hole + rng.randrange(PAGE) for hole in case.holes[: limit // 8] * SCALE]
    wild = [low + rng.randrange(size) for _ in range(limit // 8)]
    picked = found[: limit - len(near) - len(wild)] + near + wild
    inside = [gva for gva in picked if low <= gva < low + size and 0 <= gva < WORD]
    return list(dict.fromkeys(inside))
