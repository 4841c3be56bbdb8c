"""Where the best response stood in the judgments sampled, and where in those kept to learn from.

Balanced orders show it in each place equally often. A judge that favours a place is right by luck where the best response
stands there, so rejection keeps those judgments, and a model that learns from them learns the place. ``balance_places`` of
spct train sft draws as many of each place.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from spct.train.rft.rejection import Selection
from spct.types import Item

ShownPlace = Literal["first", "between", "last"]
PLACES: tuple[ShownPlace, ...] = ("first", "between", "last")
Shown = tuple[int, int]
"""Number of responses shown, and the place of the best among them, from 0."""
CLEAR = 4.0
"""Standard errors by which a share must differ to be called favoured."""


@dataclass(slots=True)
class Places:
    """Counts of judgments of two responses or more by the place of the best one."""

    sampled: Counter[ShownPlace] = field(default_factory=Counter)
    kept: Counter[ShownPlace] = field(default_factory=Counter)

    def add(self, item: Item, selection: Selection) -> None:
        """Count an item's judgments, hinted ones included."""
        for counts, judgments in (
            (self.sampled, (*selection.plain, *selection.hinted)),
            (self.kept, selection.kept),
        ):
            found = (shown_place(item, judgment.order) for judgment, _ in judgments)
            counts.update(place for place in found if place is not None)

    def as_row(self) -> dict[str, dict[str, int]]:
        return {
            name: {place: counts[place] for place in PLACES}
            for name, counts in (("sampled", self.sampled), ("kept", self.kept))
        }


def shown_place(item: Item, order: Sequence[int]) -> ShownPlace | None:
    """Where the best response stands in ``order``; None for one response, or where it is not shown or not known."""
    if len(order) < 2 or item.best not in order:
        return None
    place = order.index(item.best)
    return "first" if place == 0 else "last" if place == len(order) - 1 else "between"


def place_lines(row: Mapping[str, Mapping[str, int]]) -> Iterator[str]:
    """A sentence on both counts, and one more if what is kept favours a place clearly."""
    sampled, kept = row["sampled"], row["kept"]
    if not sum(kept.values()):
        return
    yield (
        f"Best response shown first in {_share(sampled, 'first')} of the judgments sampled and {_share(kept, 'first')} of "
        f"those kept, last in {_share(sampled, 'last')} and {_share(kept, 'last')}."
    )
    for place in ("first", "last"):
        if _favoured(sampled, kept, place):
            yield (
                f"Warning: the model that was sampled favours what is shown {place}; one that learns from these judgments "
                "will favour it more. balance_places: true in spct train sft learns as many of each place; see self-agreement "
                "across orders in spct audit."
            )


def _share(counts: Mapping[str, int], place: str) -> str:
    return f"{100 * counts[place] / sum(counts.values()):.0f}%"


def _favoured(sampled: Mapping[str, int], kept: Mapping[str, int], place: str) -> bool:
    count, expected = sum(kept.values()), sampled[place] / sum(sampled.values())
    error = math.sqrt(count * expected * (1 - expected))
    return kept[place] - count * expected > CLEAR * error
