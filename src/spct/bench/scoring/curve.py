"""Accuracy at every k from one sampling pass of K judgments: votes over picks of the samples, graded and averaged.

Every unit gets, per k, its expected grade and its expected credit under the benchmark's own, the strict and the random
tie rule. A linear benchmark's figures are aggregated once from the expected credits; for one that is not, each draw is
aggregated by itself and the figures are averaged.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

from spct.bench.scoring.subsets import Pick, is_dealt, orders_dealt, picks
from spct.bench.suites.assembly import mean
from spct.bench.suites.benchmark import Ballot, Ballots, Benchmark, Graded, Loaded, Metrics, Unit
from spct.errors import InputError
from spct.voting.guided import best_rated

CreditRule = Literal["own", "strict", "random"]
CREDIT_RULES: tuple[CreditRule, ...] = get_args(CreditRule)
GRADES = ("correct", "wrong", "tied", "invalid")
Keep = Callable[[str, tuple[int, ...]], tuple[int, ...]]
"""Which samples of an item, out of those picked, vote in the end: a meta RM's choice."""

GRADINGS = 400_000
"""About how many votes a curve may grade; sets the draws per unit and k, between the two bounds below."""
FEWEST_DRAWS, MOST_DRAWS = 16, 256
JOINT_DRAWS = 32
"""Draws for figures that are not linear, each aggregated by itself."""

_PLACE = {grade: place for place, grade in enumerate(GRADES)}


@dataclass(frozen=True, slots=True)
class Expected:
    """A unit at one k, averaged over the picks: credit by rule, and the chance of each grade (in order of GRADES)."""

    own: float
    strict: float
    random: float
    grades: tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Point:
    """A benchmark at one k. ``draws`` are the graded units of each draw where the benchmark is not linear."""

    k: int
    units: Mapping[Unit, Expected]
    metrics: Mapping[CreditRule, Metrics]
    draws: tuple[Mapping[Unit, Graded], ...] = ()

    def share(self, grade: str) -> float:
        """The expected share of units with this grade."""
        return sum(unit.grades[_PLACE[grade]] for unit in self.units.values()) / len(self.units)


@dataclass(frozen=True, slots=True)
class Plan:
    """How a curve is estimated: ``dealt`` orders, at most ``draws`` picks per unit and k, drawn with ``seed``."""

    dealt: bool
    draws: int
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Curve:
    """Points by rising k, the last over all samples, and how they were estimated."""

    points: tuple[Point, ...]
    plan: Plan = field(default_factory=lambda: Plan(True, MOST_DRAWS))

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
    plan = Plan(is_dealt(ballots), draws if benchmark.linear else JOINT_DRAWS, seed)
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
        if self._benchmark.linear:
            expected = {unit: self._averaged(unit, k) for unit in self._loaded.units}
            graded = {unit: Graded("correct", e.own, e.strict, e.random) for unit, e in expected.items()}
            metrics = {rule: self._aggregate(graded, rule) for rule in CREDIT_RULES}
            return Point(k, expected, metrics)
        draws = self._draws(k)
        expected = {unit: _mean_of([(1 / len(draws), draw[unit]) for draw in draws]) for unit in self._loaded.units}
        found = {rule: mean_metrics([self._aggregate(draw, rule) for draw in draws]) for rule in CREDIT_RULES}
        return Point(k, expected, found, tuple(draws))

    def _aggregate(self, graded: Mapping[Unit, Graded], rule: CreditRule) -> Metrics:
        credits = {unit: float(getattr(row, rule)) for unit, row in graded.items()}
        return self._benchmark.aggregate(credits, graded, self._loaded)

    def _averaged(self, unit: Unit, k: int) -> Expected:
        """Picks that hold the same ballots give the same vote: each vote is graded once, with their joint weight."""
        weights: dict[tuple[tuple[int, ...], ...], float] = defaultdict(float)
        for weight, picked in self._picks(unit, k):
            weights[picked] += weight
        return _mean_of([(weight, self._grade(unit, picked)) for picked, weight in weights.items()])

    def _grade(self, unit: Unit, picked: tuple[tuple[int, ...], ...]) -> Graded:
        chosen = {
            id: [self._ballots[id][i] for i in indices]
            for id, indices in zip(unit.items, picked, strict=True)
            if id in self._ballots
        }
        return self._benchmark.grade(unit, self._loaded, chosen)

    def _picks(self, unit: Unit, k: int) -> list[tuple[float, tuple[tuple[int, ...], ...]]]:
        """(Weight, sample indices per item) of each pick; an index stands for all ballots equal to its own.

        Items of one shape are picked alike, items of different shapes are drawn side by side.
        """
        shapes = {self._shape(id) for id in unit.items}
        rows = [self._of_item(id, k, drawn=len(shapes) > 1) for id in unit.items]
        joined = zip(*rows, strict=True)
        return [(row[0].weight, tuple(self._chosen(id, pick.indices) for id, pick in zip(unit.items, row, strict=True)))
                for row in joined]  # fmt: skip

    def _draws(self, k: int) -> list[dict[Unit, Graded]]:
        most = max(len(row) for row in self._ballots.values())
        count = 1 if k >= most else self._plan.draws
        ids = {id for unit in self._loaded.units for id in unit.items}
        rows = {id: self._of_item(id, k, drawn=True) for id in ids}
        seen: dict[tuple[Unit, tuple[tuple[int, ...], ...]], Graded] = {}
        draws = []
        for draw in range(count):
            graded = {}
            for unit in self._loaded.units:
                picked = tuple(self._chosen(id, rows[id][draw].indices) for id in unit.items)
                if (unit, picked) not in seen:
                    seen[unit, picked] = self._grade(unit, picked)
                graded[unit] = seen[unit, picked]
            draws.append(graded)
        return draws

    def _shape(self, id: str) -> tuple[int, int]:
        return len(self._ballots.get(id, ())), self._groups.get(id, 1)

    def _of_item(self, id: str, k: int, *, drawn: bool) -> tuple[Pick, ...]:
        size, groups = self._shape(id)
        return picks(size, groups, k, self._plan.draws, self._plan.seed, drawn=drawn)

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


def mean_metrics(found: Sequence[Metrics]) -> Metrics:
    """Figures averaged over draws; a figure that some draw lacks is left out."""
    heads = [metrics.headline for metrics in found]
    headline = None if any(head is None for head in heads) else mean([head for head in heads if head is not None])
    return Metrics(headline, _means([m.parts for m in found]), _means([m.partial for m in found]))


def _means(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {name: mean([row[name] for row in rows]) for name in rows[0] if all(name in row for row in rows)}
