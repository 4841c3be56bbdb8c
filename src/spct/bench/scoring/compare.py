"""Two runs on the same items: how far apart, how surely, where the difference comes from, and which units they differ on.

The runs are paired unit by unit. The interval resamples clusters (prompts), both runs together; the p-value is that of
the sign-flip test, which lets the two runs change places prompt by prompt: the null says that this changes nothing.
Runs without any ground truth have their agreement instead.
"""
# ruff: noqa: N803, N806

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from spct.bench.scoring.curve import GRADES, CreditRule, Expected, Point, curve
from spct.bench.scoring.figures import Intervals, resampled
from spct.bench.scoring.statistics import REPLICATES, Figure, Floats, Resamples, bounded, ratio, sign_flip_p
from spct.bench.scoring.stored import StoredBench, common_part, open_stored
from spct.bench.scoring.truth import votes_of
from spct.bench.suites import load_benchmark
from spct.bench.suites.benchmark import Benchmark, Graded, Loaded, Unit
from spct.errors import InputError
from spct.measures.agreement import agreement
from spct.measures.case import Measure

What = Literal["headline", "units"]
SLOW_FLIPS = 1000
SLOW_REPLICATES = 400
"""Replicates where the benchmark itself must aggregate each of them."""


@dataclass(frozen=True, slots=True)
class Flip:
    """A unit that one run has right (more likely than not, strictly) and the other has not, with both likely grades."""

    id: str
    subset: str
    grades: tuple[str, str]


@dataclass(frozen=True, slots=True)
class Move:
    """Units that are likely the one grade in A and the other in B, and what they bring to the difference.

    ``share`` is None where the figure is no weighted sum of the units' credits.
    """

    grades: tuple[str, str]
    units: int
    share: float | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """Run A less run B at k under a tie rule. ``what`` is the headline, or the plain mean over units without one.

    ``p_value`` is two-sided; ``exact`` says that all sign patterns were tried. ``gained`` are right in A alone,
    ``lost`` in B alone; ``moves`` also tell of ties, whose halves make up a difference without either. ``left_out``
    are the items that are not in both runs, by what is the matter with them.
    """

    labels: tuple[str, str]
    benchmark: str
    data_hash: str
    k: int
    rule: CreditRule
    what: What
    values: tuple[float, float]
    difference: Figure
    p_value: float
    exact: bool
    units: int
    clusters: int
    gained: tuple[Flip, ...]
    lost: tuple[Flip, ...]
    moves: tuple[Move, ...]
    left_out: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Agreed:
    """How far two runs without ground truth agree at k, over the ``items`` of which both have a vote."""

    labels: tuple[str, str]
    benchmark: str
    data_hash: str
    k: int
    items: int
    without_vote: int
    measures: tuple[Measure, ...]
    flips: tuple[str, ...]
    left_out: Mapping[str, tuple[str, ...]]


def compare(
    a: StoredBench,
    b: StoredBench,
    *,
    k: int | None = None,
    rule: CreditRule = "own",
    seed: int = 0,
    replicates: int = REPLICATES,
    common: bool = False,
) -> Comparison:
    """Compare two stored runs with ground truth at ``k`` (default: the smaller of their largest).

    ``common`` leaves out items that are not the same in both. Raises InputError if the runs are not of one benchmark and
    the same data, or do not both have k samples.
    """
    a, b, k, left_out = _side_by_side(a, b, k, common)
    points = tuple(curve(run.benchmark, run.loaded, run.ballots, [k], seed=seed).last for run in (a, b))
    units = a.loaded.units
    resamples = Resamples([unit.cluster for unit in units], replicates, seed)
    intervals = Intervals(a.benchmark, a.loaded, resamples)
    weights = [intervals.headline_weights(point, rule) for point in points]
    heads = [point.metrics[rule].headline for point in points]
    gaps_U = np.array([getattr(points[0].units[u], rule) - getattr(points[1].units[u], rule) for u in units])
    parts_U: Floats | None = None
    if heads[0] is None or heads[1] is None:
        what, values, found = "units", _means(points, units, rule), _plain(gaps_U, resamples, seed)
        parts_U = gaps_U / len(units)
    elif weights[0] is not None and weights[1] is not None:
        what, values = "headline", (heads[0], heads[1])
        found = _weighted(gaps_U, weights[0], resamples, seed)
        parts_U = gaps_U * weights[0]
    else:
        what, values = "headline", (heads[0], heads[1])
        found = _aggregated(a.benchmark, a.loaded, (points[0], points[1]), rule, resamples, seed)
    gained, lost = _flips(units, points[0].units, points[1].units)
    return Comparison(
        labels=(a.label, b.label),
        benchmark=a.benchmark.name,
        data_hash=a.loaded.data_hash,
        k=k,
        rule=rule,
        what="headline" if what == "headline" else "units",
        values=values,
        difference=found[0],
        p_value=found[1],
        exact=found[2],
        units=len(units),
        clusters=resamples.count,
        gained=gained,
        lost=lost,
        moves=_moves(units, points[0].units, points[1].units, parts_U),
        left_out=left_out,
    )


def agree(a: StoredBench, b: StoredBench, *, k: int | None = None, common: bool = False) -> Agreed:
    """How far two runs agree, by the votes over the first ``k`` samples; arguments and errors as in ``compare``."""
    a, b, k, left_out = _side_by_side(a, b, k, common)
    first, second = votes_of(a, k), votes_of(b, k)
    found = agreement(first, second)
    voted = sum(first[id] is not None and second[id] is not None for id in first)
    return Agreed((a.label, b.label), a.benchmark.name, a.loaded.data_hash, k, voted, len(first) - voted,
                  found.measures, found.flips, left_out)  # fmt: skip


def _side_by_side(
    a: StoredBench, b: StoredBench, k: int | None, common: bool
) -> tuple[StoredBench, StoredBench, int, dict[str, tuple[str, ...]]]:
    """The two runs over the same items, the k to compare them at, and the items left out for it."""
    left_out: dict[str, tuple[str, ...]] = {}
    if common and a.benchmark.name == b.benchmark.name:
        a, b, left_out = common_part(a, b)
    _check_same_data(a, b)
    most = min(max((len(row) for row in run.ballots.values()), default=0) for run in (a, b))
    if k is not None and k > most:
        raise InputError(f"k = {k}: got runs of {most} samples an item; expected k from 1 to {most}")
    return a, b, k or most, left_out


def _check_same_data(a: StoredBench, b: StoredBench) -> None:
    if a.benchmark.name != b.benchmark.name:
        raise InputError(f"got runs of {a.benchmark.name} and {b.benchmark.name}; expected two of one benchmark")
    if a.loaded.data_hash != b.loaded.data_hash:
        counts = [f"{len(run.loaded.items)} items, hash {run.loaded.data_hash[:8]}" for run in (a, b)]
        raise InputError(
            f"{a.benchmark.name}: got runs on different data ({counts[0]} and {counts[1]}); expected the same items in "
            "both: finish an unfinished run with --resume, or judge both with the same --limit, --subset and --seed; or "
            "compare the items that both have with --common"
        )


def _means(points: Sequence[Point], units: Sequence[Unit], rule: CreditRule) -> tuple[float, float]:
    first, second = (float(np.mean([getattr(point.units[unit], rule) for unit in units])) for point in points)
    return first, second


def _plain(gaps_U: Floats, resamples: Resamples, seed: int) -> tuple[Figure, float, bool]:
    figure = resamples.figure(np.column_stack([gaps_U, np.ones(len(gaps_U))]), ratio)
    return figure, *sign_flip_p(resamples.totals(gaps_U[:, None])[:, 0], seed=seed)


def _weighted(gaps_U: Floats, weights_U: Floats, resamples: Resamples, seed: int) -> tuple[Figure, float, bool]:
    """A weighted sum of means over units of equal weight: replicates keep the weights and redo the means."""
    _, codes_U = np.unique(np.round(weights_U, 12), return_inverse=True)
    count = int(codes_U.max()) + 1
    values_UV = np.zeros((len(gaps_U), 2 * count))
    values_UV[np.arange(len(gaps_U)), codes_U] = gaps_U
    values_UV[np.arange(len(gaps_U)), count + codes_U] = 1.0
    weights_G = np.bincount(codes_U, weights_U)
    used = np.flatnonzero(weights_G)

    def difference(sums: Floats) -> Floats:
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray((sums[:, used] / sums[:, count + used]) @ weights_G[used])

    contributions_C = resamples.totals((gaps_U * weights_U)[:, None])[:, 0]
    return resamples.figure(values_UV, difference), *sign_flip_p(contributions_C, seed=seed)


def _aggregated(
    benchmark: Benchmark, loaded: Loaded, points: tuple[Point, Point], rule: CreditRule, resamples: Resamples, seed: int
) -> tuple[Figure, float, bool]:
    """A figure that only the benchmark can compute: its first draw stands for the run at k."""
    draws = points[0].draws[0], points[1].draws[0]
    headline = _headline_of(benchmark, loaded, rule)
    observed = headline(draws[0]) - headline(draws[1])
    spread = []
    for replicate in range(min(SLOW_REPLICATES, resamples.replicates)):
        copies = resampled(loaded.units, resamples, replicate)
        first, second = (headline({copy: draw[unit] for copy, unit in copies}) for draw in draws)
        spread.append(first - second)
    draw = np.random.default_rng(seed)
    hits = 0
    for _ in range(SLOW_FLIPS):
        swapped_U = draw.integers(0, 2, size=resamples.count)[resamples.codes_U].astype(bool)
        sides = [
            {unit: draws[int(side != swap)][unit] for unit, swap in zip(loaded.units, swapped_U, strict=True)}
            for side in (False, True)
        ]
        hits += abs(headline(sides[0]) - headline(sides[1])) >= abs(observed) - 1e-12
    values = [point.metrics[rule].headline or 0.0 for point in points]
    difference = values[0] - values[1]
    moved = np.array(spread) + difference - observed  # from the first draw's difference to that of all draws
    return bounded(difference, moved, resamples.count), (hits + 1) / (SLOW_FLIPS + 1), False


def _headline_of(benchmark: Benchmark, loaded: Loaded, rule: CreditRule) -> Callable[[Mapping[Unit, Graded]], float]:
    def headline(graded: Mapping[Unit, Graded]) -> float:
        credits = {unit: float(getattr(row, rule)) for unit, row in graded.items()}
        found = benchmark.aggregate(credits, graded, loaded).headline
        return float("nan") if found is None else found

    return headline


def _flips(
    units: Sequence[Unit], first: Mapping[Unit, Expected], second: Mapping[Unit, Expected]
) -> tuple[tuple[Flip, ...], tuple[Flip, ...]]:
    gained: list[Flip] = []
    lost: list[Flip] = []
    for unit in units:
        right = first[unit].grades[0] > 0.5, second[unit].grades[0] > 0.5
        if right[0] != right[1]:
            flip = Flip(unit.id, unit.subset, (_likely(first[unit]), _likely(second[unit])))
            (gained if right[0] else lost).append(flip)
    return tuple(gained), tuple(lost)


def _moves(
    units: Sequence[Unit], first: Mapping[Unit, Expected], second: Mapping[Unit, Expected], parts_U: Floats | None
) -> tuple[Move, ...]:
    """Pairs of likely grades with their part of the difference, largest first; those that bring nothing are left out."""
    counts: Counter[tuple[str, str]] = Counter()
    shares: dict[tuple[str, str], float] = defaultdict(float)
    for place, unit in enumerate(units):
        grades = _likely(first[unit]), _likely(second[unit])
        part = None if parts_U is None else float(parts_U[place])
        if part if part is not None else grades[0] != grades[1]:
            counts[grades] += 1
            shares[grades] += part or 0.0
    moves = [Move(grades, count, None if parts_U is None else shares[grades]) for grades, count in counts.items()]
    return tuple(sorted(moves, key=lambda move: (-abs(move.share or 0.0), -move.units, move.grades)))


def _likely(expected: Expected) -> str:
    return GRADES[max(range(len(GRADES)), key=lambda place: expected.grades[place])]


def compare_directories(
    a: Path,
    b: Path,
    *,
    benchmark: str | None = None,
    k: int | None = None,
    rule: CreditRule = "own",
    seed: int = 0,
    common: bool = False,
) -> Comparison | Agreed:
    """The runs in two directories: compared, or their agreement where nothing else can be said. Raises InputError, RunError."""
    named = None if benchmark is None else load_benchmark(benchmark)
    first, second = (open_stored(directory, named, label=str(directory)) for directory in (a, b))
    if first.loaded.units and second.loaded.units:
        return compare(first, second, k=k, rule=rule, seed=seed, common=common)
    return agree(first, second, k=k, common=common)
