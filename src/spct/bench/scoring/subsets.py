"""Which of an item's K samples a vote over k takes, so that the average over the picks is what a fresh run would score.

A run with k < K would have dealt its orders evenly, so a pick must too: sample i was shown in order i mod G, and a pick
takes k // G samples of every order and one more of k mod G orders chosen at random. Without such a design G is 1 and
the picks are plain subsets. Either way the estimator is a U-statistic: unbiased, and exact over all picks where they are
few; over seeded draws where they are not.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from spct.bench.suites.benchmark import Ballot

Shape = tuple[int, int]
"""An item's number of samples, and of the orders that they were dealt to."""

DEALT = 0.9
"""Share of items that must show the design; the others (judged in blocks) are picked from plainly."""


@dataclass(frozen=True, slots=True)
class Pick:
    """Indices of the samples that vote, and the weight of this pick; the weights of all picks add up to 1."""

    weight: float
    indices: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Picked:
    """Picks of items side by side: as many rows of each shape, row i weighing the same in all of them.

    ``exact`` says that each shape has all of its picks, each by its weight; otherwise they are seeded draws.
    """

    rows: Mapping[Shape, tuple[Pick, ...]]
    exact: bool


@lru_cache(maxsize=512)
def picks(size: int, groups: int, k: int, limit: int, seed: int = 0, draws: int | None = None) -> tuple[Pick, ...]:
    """The picks of k among ``size`` samples dealt round robin to ``groups`` orders.

    All of them if there are at most ``limit``, else ``draws`` (None: as many as the limit) seeded ones. Picks depend on
    the arguments alone: items of one shape share them, which costs nothing, since their samples are independent.
    """
    if count_picks(size, groups, k) <= limit:
        return tuple(_all(*_design(size, groups, k)))
    draws = draws or limit
    draw = random.Random(f"{seed}:{size}:{groups}:{k}")
    design = _design(size, groups, k)
    return tuple(_drawn(*design, draw, 1 / draws) for _ in range(draws))


@lru_cache(maxsize=512)
def picked_together(shapes: frozenset[Shape], k: int, limit: int, draws: int, seed: int = 0) -> Picked:
    """The picks of items of several shapes: all of each if that takes at most ``limit`` rows, else ``draws`` draws.

    Shapes with more than one pick stand side by side whole only if all picks of a shape weigh the same: each is then
    repeated up to the least common multiple of their numbers.
    """
    counts = {shape: count_picks(*shape, k) for shape in shapes}
    if max(counts.values()) <= limit:
        found = {shape: picks(*shape, k, limit, seed) for shape in shapes}
        moving = [found[shape] for shape in shapes if counts[shape] > 1]
        if len(moving) < 2:
            weights = [pick.weight for pick in (moving[0] if moving else next(iter(found.values())))]
            return Picked({shape: _side_by_side(row, weights) for shape, row in found.items()}, exact=True)
        rows = math.lcm(*counts.values())
        if rows <= limit and all(len({pick.weight for pick in row}) == 1 for row in moving):
            return Picked({shape: _side_by_side(row, [1 / rows] * rows) for shape, row in found.items()}, exact=True)
    return Picked(
        {shape: _side_by_side(picks(*shape, k, 0, seed, draws), [1 / draws] * draws) for shape in shapes}, False
    )


def _side_by_side(row: Sequence[Pick], weights: Sequence[float]) -> tuple[Pick, ...]:
    """As many picks as weights, the given ones over and over."""
    return tuple([Pick(weight, row[i % len(row)].indices) for i, weight in enumerate(weights)])


def count_picks(size: int, groups: int, k: int) -> int:
    """How many picks there are. Orders have m or m + 1 samples; choices of them differ in how many of each kind."""
    members, able, base, more = _design(size, groups, k)
    sizes = [len(group) for group in members]
    small = min(sizes)
    big = sum(size > small for size in sizes)
    able_big = sum(sizes[g] > small for g in able)
    able_small = len(able) - able_big
    return sum(
        math.comb(able_big, j)
        * math.comb(able_small, more - j)
        * math.comb(small + 1, base + 1) ** j
        * math.comb(small + 1, base) ** (big - j)
        * math.comb(small, base + 1) ** (more - j)
        * math.comb(small, base) ** (len(sizes) - big - more + j)
        for j in range(max(0, more - able_small), min(more, able_big) + 1)
    )


def _design(size: int, groups: int, k: int) -> tuple[list[range], list[int], int, int]:
    """The samples of each order, the orders that can give one more, what each gives, and how many give one more."""
    k = min(k, size)
    members = [range(first, size, groups) for first in range(groups)]
    base, more = divmod(k, groups)
    if k == size:  # all samples: every order gives all it has
        return [range(size)], [], size, 0
    return members, [g for g in range(groups) if len(members[g]) > base], base, more


def orders_dealt(ballots: Sequence[Ballot]) -> int | None:
    """G if ballot i was shown in order i mod G throughout, None if the orders follow no such design."""
    shown = [ballot.order for ballot in ballots]
    groups = len({order for order in shown if order}) or 1
    by_rest: dict[int, tuple[int, ...]] = {}
    for index, order in enumerate(shown):
        if order and by_rest.setdefault(index % groups, order) != order:
            return None
    return groups


def is_dealt(ballots: Mapping[str, Sequence[Ballot]]) -> bool:
    """Whether the orders were dealt round robin: nearly all items show it, as chance never would over a benchmark."""
    return sum(orders_dealt(row) is not None for row in ballots.values()) >= DEALT * len(ballots)


def _all(members: Sequence[range], able: Sequence[int], base: int, more: int) -> Iterable[Pick]:
    choices = math.comb(len(able), more)
    for chosen in itertools.combinations(able, more):
        takes = [base + (g in chosen) for g in range(len(members))]
        ways = math.prod(math.comb(len(group), take) for group, take in zip(members, takes, strict=True))
        rows = [itertools.combinations(group, take) for group, take in zip(members, takes, strict=True)]
        for row in itertools.product(*rows):
            yield Pick(1 / (choices * ways), tuple(sorted(itertools.chain.from_iterable(row))))


def _drawn(
    members: Sequence[range], able: Sequence[int], base: int, more: int, draw: random.Random, weight: float
) -> Pick:
    chosen = set(draw.sample(able, more))
    taken = [i for g, group in enumerate(members) for i in draw.sample(group, base + (g in chosen))]
    return Pick(weight, tuple(sorted(taken)))
