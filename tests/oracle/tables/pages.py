"""Hands out places for page tables."""

from __future__ import annotations

import random

from .image import PAGE


class Pages:
    """Hands out table pages at random places, never the same one twice."""

    def __init__(self, rng: random.Random, *ranges: tuple[int, int]) -> None:
        self.rng = rng
        self.ranges = ranges
        self.used: set[int] = set()

    def take(self, size: int = PAGE) -> int:
        """The address of `size` free bytes (a power of two), aligned to it."""
        size = max(size, PAGE)
        while True:
            start, end = self.rng.choice(self.ranges)
            page = self.rng.randrange(start // size, end // size) * size
            wanted = set(range(page, page + size, PAGE))
            if not wanted & self.used:
                self.used |= wanted
                return page
