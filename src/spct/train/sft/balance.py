"""Trajectories in which the best response stood in each place equally often, so that no place is learned for itself."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from random import Random

Shown = tuple[int, int]
"""Number of responses shown, and the place of the best among them, from 0."""


def balanced(shown: Sequence[Shown | None], seed: int) -> set[int]:
    """Which judgments to keep so that, among those of n responses, the best stood in each of the n places equally often.

    As many of each place as the rarest has, drawn by ``seed``; judgments of one response (None) are all kept.
    """
    rows: dict[Shown, list[int]] = defaultdict(list)
    for index, one in enumerate(shown):
        if one is not None:
            rows[one].append(index)
    kept = {index for index, one in enumerate(shown) if one is None}
    for count in sorted({count for count, _ in rows}):
        of_places = [rows.get((count, place), []) for place in range(count)]
        rarest = min(map(len, of_places))
        for place, found in enumerate(of_places):
            kept.update(Random(f"{seed}:{count}:{place}").sample(found, rarest))
    return kept
