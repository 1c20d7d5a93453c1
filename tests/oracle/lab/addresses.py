"""Chooses the addresses that a guest is asked about, with a fixed seed."""

from __future__ import annotations

import random
from typing import List, Sequence, Set

from .walk import Page

SEED = 20261123
#: How many addresses of each sort; about 2,000 in all.
ANYWHERE, FOCUS, LARGE, EDGES, UNMAPPED, NOT_CANONICAL = 850, 850, 150, 150, 200, 50


def kernel_split(va_bits: int) -> int:
    """Where the kernel's part of Linux's address space begins."""
    return 0xC000_0000 if va_bits == 32 else 1 << (va_bits - 1)


def choose(pages: Sequence[Page], va_bits: int, moment: str) -> List[int]:
    """Mapped addresses of all sorts, ends of runs, holes, and addresses that cannot be mapped.

    Half of the mapped ones are in the part that the mode of the moment may access.
    """
    chance = random.Random(SEED)
    split = kernel_split(va_bits)
    focus = [page for page in pages if (page.gva < split) == (moment == "user")]
    large = [page for page in pages if page.size > 0x1000]
    addresses = [
        *(_inside(chance, page) for page in chance.choices(pages, k=ANYWHERE)),
        *(_inside(chance, page) for page in chance.choices(focus or pages, k=FOCUS)),
        *(_inside(chance, page) for page in chance.choices(large or pages, k=LARGE)),
        *chance.choices(_edges(pages, va_bits), k=EDGES),
        *random_addresses(chance, va_bits, UNMAPPED),
    ]
    if va_bits > 32:
        addresses += _not_canonical(chance, va_bits, NOT_CANONICAL)
    chance.shuffle(addresses)
    return addresses


def _inside(chance: random.Random, page: Page) -> int:
    """The first, last, middle or any byte of a page."""
    offset = chance.choice((0, page.size - 1, page.size // 2, chance.randrange(page.size)))
    return page.gva + offset


def _edges(pages: Sequence[Page], va_bits: int) -> List[int]:
    """The bytes just before and just after each run of pages."""
    starts = {page.gva for page in pages}
    ends = {page.gva + page.size for page in pages}
    outside = {end for end in ends - starts} | {start - 1 for start in starts - ends}
    return sorted(address for address in outside if _is_canonical(address, va_bits))


def _is_canonical(address: int, va_bits: int) -> bool:
    """Whether an address exists and all its upper bits are equal."""
    if va_bits == 32:
        return 0 <= address < 1 << 32
    upper = address >> (va_bits - 1)
    return 0 <= address and upper in (0, (1 << (65 - va_bits)) - 1)


def random_addresses(chance: random.Random, va_bits: int, count: int) -> List[int]:
    """Random addresses of both halves; nearly all are unmapped."""
    found: Set[int] = {0, (1 << (32 if va_bits == 32 else 64)) - 1}
    while len(found) < count:
        address = chance.randrange(1 << (va_bits - 1))
        if chance.random() < 0.5:
            address = (1 << (32 if va_bits == 32 else 64)) - 1 - address
        found.add(address)
    return sorted(found)


def _not_canonical(chance: random.Random, va_bits: int, count: int) -> List[int]:
    """Addresses whose upper bits are not all equal, both ends of the gap among them."""
    gap = (1 << (va_bits - 1), (1 << 64) - (1 << (va_bits - 1)) - 1)
    return [*gap, *(chance.randint(*gap) for _ in range(count - 2))]
