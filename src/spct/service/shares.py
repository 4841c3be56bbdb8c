"""A bounded number of places that several callers share fairly. One rule for all that one caller could take from the others.

A caller that holds less than its part of the places is never refused; beyond its part it gets what is free. So one caller
alone may have all, and at most twice as many as there are can be taken, when one had all before each of the others came.
Parts are equal, unless a caller has a weight.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from types import MappingProxyType

NO_WEIGHTS: Mapping[str, float] = MappingProxyType({})


class Shares:
    """``places`` among ``callers``, who are known by name; one without a weight in ``weights`` has the weight 1."""

    def __init__(self, places: int, callers: int = 1, weights: Mapping[str, float] = NO_WEIGHTS) -> None:
        self.taken = 0
        self._weights = weights
        self._weight = max(1, callers) - len(weights) + sum(weights.values())
        self._of: Counter[str] = Counter()
        self.resize(places)

    def resize(self, places: int) -> None:
        """Have another number of places; what is taken stays so."""
        self.places = places

    def has_room(self, caller: str, count: int = 1) -> bool:
        """Whether this caller may take ``count`` places."""
        return self.taken + count <= self.places or self._of[caller] + count <= self.part(caller)

    def part(self, caller: str) -> int:
        """How many places this caller can always have."""
        return max(1, int(self.places * self._weights.get(caller, 1) / self._weight))

    def take(self, caller: str, count: int = 1) -> None:
        """Take them, whether there is room or not."""
        self.taken += count
        self._of[caller] += count

    def give(self, caller: str, count: int = 1) -> None:
        """Give them back."""
        self.taken -= count
        self._of[caller] -= count
        if not self._of[caller]:
            del self._of[caller]
