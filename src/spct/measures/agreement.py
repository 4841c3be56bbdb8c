"""Two runs over the same items, whatever the truth: how often they choose alike, and how alike they rank and score."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from spct.errors import InputError
from spct.measures.case import Means, Measure, average, top_of
from spct.measures.grades import correlations
from spct.measures.orders import rank_correlations
from spct.measures.pairs import kappa


@dataclass(frozen=True, slots=True)
class Agreement:
    """Measures over the items that both runs have a vote on, and the ids of those on which they choose differently."""

    measures: tuple[Measure, ...]
    flips: tuple[str, ...]


def agreement(first: Mapping[str, Means | None], second: Mapping[str, Means | None]) -> Agreement:
    """How far two runs agree, by their votes' means of each item.

    A choice is all responses that share the highest mean. Raises InputError if no item has a vote in both.
    """
    shared = [(id, first[id], second[id]) for id in first if id in second]
    both = [(id, a, b) for id, a, b in shared if a is not None and b is not None]
    if not both:
        raise InputError("got two runs without an item that has a vote in both; expected runs over the same items")
    groups = [(id, a, b) for id, a, b in both if len(a) > 1]
    lone = [(a[0], b[0]) for _, a, b in both if len(a) == 1]
    flips = tuple(id for id, a, b in groups if top_of(a) != top_of(b))
    found: list[Measure] = []
    if groups:
        chosen = [_name(a) for _, a, _ in groups], [_name(b) for _, _, b in groups]
        same = [float(top_of(a) == top_of(b)) for _, a, b in groups]
        found += [
            average("the same choice", same, f"{len(flips):,} flips", share=True),
            kappa("Cohen's kappa of the choices", *chosen),
            *rank_correlations([(a, b) for _, a, b in groups]),
        ]
    if lone:
        found += correlations([a for a, _ in lone], [b for _, b in lone])
        found.append(average("mean absolute difference of the scores", [abs(a - b) for a, b in lone]))
    return Agreement(tuple(found), flips)


def _name(means_N: Means) -> float:  # noqa: N803
    """The choice as one number: each set of places its own."""
    return float(sum(1 << i for i in top_of(means_N)))
