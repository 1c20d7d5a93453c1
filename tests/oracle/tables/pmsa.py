"""Random regions for memory protection units, and what they mean by the manuals.

A picture of the address space is painted region by region, the lowest number first, so
that the highest stays visible: DDI 0406C.d and DDI 0403E.e, "Protected Memory System
Architecture". Nothing here searches a region for an address, as walkers do.
"""

from __future__ import annotations

import random
from bisect import bisect_right
from dataclasses import dataclass, field, replace
from typing import Optional

SPACE = 1 << 32
"""Reads, writes and fetches of the privileged, then of the user, by AP."""
PERMISSIONS = {
    0: ("---", "---"), 1: ("rwx", "---"), 2: ("rwx", "r-x"), 3: ("rwx", "rwx"),
    4: ("---", "---"), 5: ("r-x", "---"), 6: ("r-x", "r-x"), 7: ("r-x", "r-x"),
}  # fmt: skip
Rights = tuple[str, str]


@dataclass(frozen=True)
class Region:
    """A region of `1 << shift` bytes, some of whose eighths are holes."""

    base: int
    shift: int
    ap: int
    never: bool
    holes: int
    on: bool = True

    def size(self) -> int:
        """Size, subregions and enable, as registers hold them."""
        return self.holes << 8 | (self.shift - 1) << 1 | int(self.on)

    def access(self) -> int:
        """The register of attributes."""
        return int(self.never) << 12 | self.ap << 8

    def parts(self) -> list[tuple[int, int]]:
        """First address and end of what it has."""
        if self.shift < 8:
            return [(self.base, self.base + (1 << self.shift))]
        eighth = 1 << self.shift - 3
        kept = (number for number in range(8) if not self.holes >> number & 1)
        starts = (self.base + number * eighth for number in kept)
        return [(start, start + eighth) for start in starts]


@dataclass
class Picture:
    """What is visible: from each border on, the rights there, or None."""

    borders: list[int] = field(default_factory=lambda: [0])
    colours: list[Optional[Rights]] = field(default_factory=lambda: [None])

    def at(self, address: int) -> Optional[Rights]:
        """The rights at an address."""
        return self.colours[bisect_right(self.borders, address) - 1]

    def paint(self, first: int, end: int, colour: Optional[Rights]) -> None:
        """Gives every address from `first` to before `end` one colour."""
        behind = self.at(end) if end < SPACE else None
        kept = [(b, c) for b, c in zip(self.borders, self.colours) if not first <= b < end]
        kept.append((first, colour))
        if end < SPACE and all(border != end for border, _ in kept):
            kept.append((end, behind))
        kept.sort(key=lambda pair: pair[0])
        self.borders, self.colours = [b for b, _ in kept], [c for _, c in kept]

    def paint_never(self, first: int, end: int) -> None:
        """Takes fetches away from first to end."""
        for start in [first, *(b for b in self.borders if first < b < end)]:
            colour, later = self.at(start), [b for b in self.borders if b > start]
            if colour is not None:
                without = (colour[0].replace("x", "-"), colour[1].replace("x", "-"))
                self.paint(start, min([end, *later]), without)


@dataclass(frozen=True)
class PmsaCase:
    """Regions, and how the MPU is switched on."""

    name: str
    profile: str
    regions: tuple[Region, ...]
    background: bool

    def picture(self) -> Picture:
        """What they mean."""
        picture = Picture()
        if self.background:
            paint_map(picture, self.profile)
        for region in self.regions:
            reserved = self.profile == "r" and region.ap == 7
            privileged, user = PERMISSIONS[0 if reserved else region.ap]
            if region.never:
                privileged, user = privileged.replace("x", "-"), user.replace("x", "-")
            for first, end in region.parts() if region.on else []:
                picture.paint(first, end, (privileged, user))
        if self.profile == "m":
            picture.paint_never(0xE000_0000, SPACE)
            picture.paint(0xE000_0000, 0xE010_0000, ("rw-", "---"))
        return picture

    def probes(self, rng: random.Random, count: int) -> list[int]:
        """Borders, their neighbours, and random addresses near and far."""
        borders = [border for region in self.regions for part in region.parts() for border in part]
        near = [border + step for border in borders for step in (-1, 0, 1, 0x400)]
        chosen = rng.sample(near, min(len(near), count // 2))
        apart = (rng.getrandbits(rng.randrange(5, 32)) for _ in range(count // 4))
        chosen += [rng.choice(borders) ^ distance for distance in apart]
        chosen += [rng.getrandbits(32) for _ in range(count - len(chosen))]
        return sorted({address % SPACE for address in chosen})


def paint_map(picture: Picture, profile: str) -> None:
    """The default memory map, for the privileged."""
    executed = {"m": (0, 1, 2, 3, 6, 7, 8, 9), "r": range(8)}[profile]
    for top in range(16):
        privileged = "rwx" if top in executed else "rw-"
        picture.paint(top << 28, (top + 1) << 28, (privileged, "---"))


def region(rng: random.Random) -> Region:
    """Any region: small ones lie together, so that they overlap."""
    shift = rng.choice([5, 6, 7, 8, 9, 10, 11, 12, 13, 16, 20, 24, 28, 29, 30, 31, 32])
    near = rng.choice([0, 0x2000_0000, 0x4000_0000, 0xE000_0000, 0xFFFF_0000])
    base = (near + rng.getrandbits(15) if shift < 20 else rng.getrandbits(32)) % SPACE
    return Region(
        base=base >> shift << shift,
        shift=shift,
        ap=rng.randrange(8),
        never=rng.random() < 0.4,
        holes=rng.choice([0, 0, rng.getrandbits(8), 1 << rng.randrange(8)]),
        on=rng.random() < 0.9,
    )


def cases(profile: str, seed: int, count: int, most: int) -> list[PmsaCase]:
    """`count` cases with up to `most` regions."""
    made = []
    for number in range(count):
        rng = random.Random(f"{profile} {seed} {number}")
        regions = tuple(region(rng) for _ in range(rng.randrange(2, most + 1)))
        regions = (replace(regions[0], on=True), *regions[1:])
        name = f"pmsa-{profile}-{seed}-{number}"
        made.append(PmsaCase(name, profile, regions, rng.random() < 0.5))
    return made


@dataclass(frozen=True)
class Range:
    """A region of PMSAv8-32: DDI 0568, "PRBAR", "PRLAR"."""

    first: int
    end: int
    ap: int
    never: bool
    on: bool = True

    def registers(self) -> tuple[int, int]:
        """PRBAR and PRLAR."""
        return self.first | self.ap << 1 | int(self.never), (self.end - 64) | int(self.on)

    def rights(self) -> Rights:
        """Of the privileged, and of the user."""
        whole = ("r-" if self.ap & 2 else "rw") + ("-" if self.never else "x")
        return whole, whole if self.ap & 1 else "---"


@dataclass(frozen=True)
class RangesCase:
    """Regions that must not overlap: where they do, nobody may do anything."""

    name: str
    regions: tuple[Range, ...]
    background: bool

    def picture(self) -> Picture:
        """Segment by segment: what covers it."""
        picture = Picture()
        if self.background:
            paint_map(picture, "r")
        on = [region for region in self.regions if region.on]
        borders = sorted({border for region in on for border in (region.first, region.end)})
        for first, end in zip(borders, borders[1:]):
            over = [region for region in on if region.first <= first and end <= region.end]
            if over:
                picture.paint(first, end, over[0].rights() if len(over) == 1 else None)
        return picture

    def probes(self, rng: random.Random, count: int) -> list[int]:
        """Borders, their neighbours, and random addresses."""
        borders = [border for region in self.regions for border in (region.first, region.end)]
        near = [border + step for border in borders for step in (-1, 0, 1, 0x400)]
        chosen = rng.sample(near, min(len(near), count // 2))
        chosen += [rng.getrandbits(32) for _ in range(count - len(chosen))]
        return sorted({address % SPACE for address in chosen})


def ranges(seed: int, count: int, most: int) -> list[RangesCase]:
    """`count` cases with up to `most` regions of PMSAv8."""
    made = []
    for number in range(count):
        rng = random.Random(f"v8 {seed} {number}")
        ends = sorted(rng.sample(range(1, 1 << 26), 2 * rng.randrange(1, most + 1)))
        pairs = list(zip(ends[::2], ends[1::2]))
        if rng.random() < 0.7:
            # One reaches into its neighbours.
            first, end = rng.choice(pairs)
            farther = min((1 << 26) - 1, end + rng.getrandbits(24))
            pairs[pairs.index((first, end))] = (first, farther)
        regions = tuple(
            Range(first << 6, end << 6, rng.randrange(4), rng.random() < 0.4, rng.random() < 0.9)
            for first, end in pairs
        )
        made.append(RangesCase(f"pmsa-v8-{seed}-{number}", regions, rng.random() < 0.5))
    return made
