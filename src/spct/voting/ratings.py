"""What a meta RM says of an item's judgments, for the guided vote and for whoever keeps it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from spct.types import Judgment

Place = tuple[int, int, int]
"""Which judgment of its item: (index, block, attempt)."""


@dataclass(frozen=True, slots=True)
class Rating:
    """How likely a judgment is correct, higher meaning more, or why there is no saying; exactly one of the two is set.

    The scale is the meta RM's own: ratings are compared among the judgments of one item under one meta RM only.
    """

    value: float | None
    problem: str | None = None


Ratings = Mapping[Place, Rating]


def place_of(judgment: Judgment) -> Place:
    return judgment.index, judgment.block, judgment.attempt
