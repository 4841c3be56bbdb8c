"""Accuracy at every k from one sampling pass of K judgments: votes over picks of the samples, graded and averaged.

Every unit gets, per k, its expected grade and its expected credit under the benchmark's own, the strict and the random
tie rule: exactly, over all picks of k samples, where they are few enough to take. A linear benchmark's figures are
aggregated once from the expected credits; for one that is not, each pick is aggregated by itself and the figures are
averaged. Beside them stands the vote over the first k samples, which is what a run with that k would have said.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import fsum
from typing import Literal, get_args

from spct.bench.scoring.subsets import Pick, Picked, Shape, is_dealt, orders_dealt, picked_together
from spct.bench.suites.benchmark import Ballot, Ballots, Benchmark, Graded, Loaded, Metrics, Unit
from spct.errors import InputError
from spct.voting.guided import best_rated

CreditRule = Literal["own", "strict", "random"]
CREDIT_RULES: tuple[CreditRule, ...] = get_args(CreditRule)
GRADES = ("correct", "wrong", "tied", "invalid")
Keep = Callable[[str, tuple[int, ...]], tuple[int, ...]]
"""Which samples of an item, out of those picked, vote in the end: a meta RM's choice."""

EXACT_PICKS, EXACT_GRADINGS = 5000, 1_000_000
"""All picks of a unit are taken up to so many, and up to so many votes over all units at one k."""
GRADINGS = 400_000
"""About how many drawn votes a curve may grade; sets the draws per unit and k, between the two bounds below."""
FEWEST_DRAWS, MOST_DRAWS = 16, 256
JOINT_PICKS, JOINT_DRAWS = 512, 32
"""The same for figures that are not linear, where the benchmark aggregates each pick by itself."""

_PLACE = {grade: place for place, grade in enumerate(GRADES)}


@dataclass(frozen=True, slots=True)
class Expected:
    """A unit at one k, averaged over the picks: credit by rule, and the chance of each grade (in order of GRADES)."""

    own: float
    strict: float
    random: float
    grades: tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class FirstK:
    """The votes over the first k samples of each item, as a run with that k would have made them."""

    units: Mapping[Unit, Graded]
    metrics: Mapping[CreditRule, Metrics]


@dataclass(frozen=True, slots=True)
class Point:
    """A benchmark at one k. ``draws`` are the graded units of each pick where the benchmark is not linear.

    A unit has at most ``picks`` picks; ``exact`` says that they are all there are, for every unit.
    """

    k: int
    units: Mapping[Unit, Expected]
    metrics: Mapping[CreditRule, Metrics]
    first: FirstK
    picks: int
    exact: bool
    draws: tuple[Mapping[Unit, Graded], ...] = ()

    def share(self, grade: str) -> float:
        """The expected share of units with this grade."""
        return sum(unit.grades[_PLACE[grade]] for unit in self.units.values()) / len(self.units)


@dataclass(frozen=True, slots=True)
class Plan:
    """How a curve is estimated: ``dealt`` orders, all picks of a unit up to ``limit``, else ``draws`` of ``seed``."""

    dealt: bool
    limit: int
    draws: int
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Curve:
    """Points by rising k, and how they were estimated."""

    points: tuple[Point, ...]
    plan: Plan

    @property
    def last(self) -> Point:
        return self.points[-1]


def default_ks(most: int, *, every: bool = False) -> list[int]:
    """Powers of two up to ``most``, and ``most``; every k if asked for."""
    if every:
        return list(range(1, most + 1))
    return sorted({2**power for power in range(most.bit_length()) if 2**power <= most} | {most})


def curve(
    benchmark: Benchmark,
    loaded: Loaded,
    ballots: Ballots,
    ks: Sequence[int] | None = None,
    *,
    seed: int = 0,
    keep: Keep | None = None,
) -> Curve:
    """The benchmark at each k. An item with fewer ballots than k (stopped early) votes with all it has.

    Raises InputError if there are no units or no ballots, or for a k beyond the most ballots of any item.
    """
    most = max((len(row) for row in ballots.values()), default=0)
    if not loaded.units or not most:
        raise InputError(f"{benchmark.name}: got no ballots to score; expected a run with judgments of its items")
    ks = sorted(set(ks)) if ks else default_ks(most)
    if bad := [k for k in ks if not 1 <= k <= most]:
        raise InputError(f"k = {bad[0]}: got runs of {most} samples an item; expected k from 1 to {most}")
    draws = min(MOST_DRAWS, max(FEWEST_DRAWS, GRADINGS // (len(loaded.units) * len(ks))))
    limit = min(EXACT_PICKS, max(draws, EXACT_GRADINGS // len(loaded.units)))
    if not benchmark.linear:
        limit, draws = JOINT_PICKS, JOINT_DRAWS
    plan = Plan(is_dealt(ballots), limit, draws, seed)
    grader = _Grader(benchmark, loaded, ballots, plan, keep)
    return Curve(tuple(grader.point(k) for k in ks), plan)


def guided_by(ratings: Mapping[str, Mapping[int, float]]) -> Keep:
    """The choice of a meta RM, by its ratings of each item's samples: the better half of those picked, rounded up."""
    return lambda id, indices: best_rated(ratings.get(id, {}), indices)


class _Grader:
    def __init__(self, benchmark: Benchmark, loaded: Loaded, ballots: Ballots, plan: Plan, keep: Keep | None) -> None:
        self._benchmark = benchmark
        self._loaded = loaded
        self._plan = plan
        self._keep = keep
        self._ballots = ballots
        self._groups = {id: (orders_dealt(row) or 1) if plan.dealt else 1 for id, row in ballots.items()}
        self._kinds = {id: _kinds(row) for id, row in ballots.items()}

    def point(self, k: int) -> Point:
        first = self._first(k)
        if self._benchmark.linear:
            found = {unit: self._picked(unit.items, k) for unit in self._loaded.units}
            expected = {unit: self._averaged(unit, picked) for unit, picked in found.items()}
            graded = {unit: Graded("correct", e.own, e.strict, e.random) for unit, e in expected.items()}
            metrics = {rule: self._aggregate(graded, rule) for rule in CREDIT_RULES}
            most, exact = max(map(_rows, found.values())), all(picked.exact for picked in found.values())
            return Point(k, expected, metrics, first, most, exact)
        picked = self._picked([id for unit in self._loaded.units for id in unit.items], k)
        weights, draws = self._draws(picked)
        expected = {
            unit: _mean_of([(weight, draw[unit]) for weight, draw in zip(weights, draws, strict=True)])
            for unit in self._loaded.units
        }
        averaged = {
            rule: mean_metrics([self._aggregate(draw, rule) for draw in draws], weights) for rule in CREDIT_RULES
        }
        return Point(k, expected, averaged, first, len(draws), picked.exact, tuple(draws))

    def _first(self, k: int) -> FirstK:
        graded = {
            unit: self._grade(
                unit, tuple([self._chosen(id, tuple(range(min(k, self._shape(id)[0])))) for id in unit.items])
            )
            for unit in self._loaded.units
        }
        return FirstK(graded, {rule: self._aggregate(graded, rule) for rule in CREDIT_RULES})

    def _aggregate(self, graded: Mapping[Unit, Graded], rule: CreditRule) -> Metrics:
        credits = {unit: float(getattr(row, rule)) for unit, row in graded.items()}
        return self._benchmark.aggregate(credits, graded, self._loaded)

    def _averaged(self, unit: Unit, picked: Picked) -> Expected:
        """Picks that hold the same ballots give the same vote: each vote is graded once, with their joint weight.

        Items of one shape are picked alike, items of different shapes side by side.
        """
        rows = [picked.rows[self._shape(id)] for id in unit.items]
        weights: dict[tuple[tuple[int, ...], ...], float] = defaultdict(float)
        for row in zip(*rows, strict=True):
            weights[self._row(unit, row)] += row[0].weight
        return _mean_of([(weight, self._grade(unit, chosen)) for chosen, weight in weights.items()])

    def _row(self, unit: Unit, row: Sequence[Pick]) -> tuple[tuple[int, ...], ...]:
        """Sample indices per item; an index stands for all ballots equal to its own."""
        return tuple([self._chosen(id, pick.indices) for id, pick in zip(unit.items, row, strict=True)])

    def _grade(self, unit: Unit, picked: tuple[tuple[int, ...], ...]) -> Graded:
        chosen = {
            id: [self._ballots[id][i] for i in indices]
            for id, indices in zip(unit.items, picked, strict=True)
            if id in self._ballots
        }
        return self._benchmark.grade(unit, self._loaded, chosen)

    def _draws(self, picked: Picked) -> tuple[list[float], list[dict[Unit, Graded]]]:
        """The weight of each row of picks, and all units graded by it."""
        seen: dict[tuple[Unit, tuple[tuple[int, ...], ...]], Graded] = {}
        weights = [pick.weight for pick in next(iter(picked.rows.values()))]
        draws = []
        for draw in range(len(weights)):
            graded = {}
            for unit in self._loaded.units:
                chosen = self._row(unit, [picked.rows[self._shape(id)][draw] for id in unit.items])
                if (unit, chosen) not in seen:
                    seen[unit, chosen] = self._grade(unit, chosen)
                graded[unit] = seen[unit, chosen]
            draws.append(graded)
        return weights, draws

    def _shape(self, id: str) -> Shape:
        return len(self._ballots.get(id, ())), self._groups.get(id, 1)

    def _picked(self, ids: Sequence[str], k: int) -> Picked:
        plan = self._plan
        return picked_together(frozenset([self._shape(id) for id in ids]), k, plan.limit, plan.draws, plan.seed)

    def _chosen(self, id: str, indices: tuple[int, ...]) -> tuple[int, ...]:
        kept = indices if self._keep is None else self._keep(id, indices)
        kinds = self._kinds.get(id, ())
        return tuple(sorted([kinds[i] for i in kept]))


def _kinds(row: Sequence[Ballot]) -> tuple[int, ...]:
    """Per ballot the index of the first that equals it."""
    first: dict[Ballot, int] = {}
    return tuple([first.setdefault(ballot, index) for index, ballot in enumerate(row)])


def _mean_of(weighted: Sequence[tuple[float, Graded]]) -> Expected:
    if len(weighted) == 1:
        graded = weighted[0][1]
        grades = [float(graded.grade == grade) for grade in GRADES]
        return Expected(graded.own, graded.strict, graded.random, (grades[0], grades[1], grades[2], grades[3]))
    own = strict = at_random = 0.0
    counts: Counter[str] = Counter()
    for weight, graded in weighted:
        own += weight * graded.own
        strict += weight * graded.strict
        at_random += weight * graded.random
        counts[graded.grade] += weight  # type: ignore[assignment]
    correct, wrong, tied, invalid = (float(counts[grade]) for grade in GRADES)
    return Expected(own, strict, at_random, (correct, wrong, tied, invalid))


def mean_metrics(found: Sequence[Metrics], weights: Sequence[float]) -> Metrics:
    """Figures averaged over picks; a figure that some pick lacks is left out."""
    heads = [metrics.headline for metrics in found if metrics.headline is not None]
    headline = _mean(heads, weights) if len(heads) == len(found) else None
    return Metrics(headline, _means([m.parts for m in found], weights), _means([m.partial for m in found], weights))


def _means(rows: Sequence[Mapping[str, float]], weights: Sequence[float]) -> dict[str, float]:
    return {name: _mean([row[name] for row in rows], weights) for name in rows[0] if all(name in row for row in rows)}


def _mean(values: Sequence[float], weights: Sequence[float]) -> float:
    return fsum(value * weight for value, weight in zip(values, weights, strict=True))


def _rows(picked: Picked) -> int:
    return len(next(iter(picked.rows.values())))
