"""A scored run: the curve with intervals, what it cost, and the protocol that the numbers belong to.

``results.json`` is a list of these under "runs" (docs/benchmarking.md describes every key); tables, Markdown and plots
show nothing that is not in it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import orjson

import spct
from spct.bench.scoring.curve import CREDIT_RULES, GRADES, CreditRule, Curve, Point, curve, guided_by
from spct.bench.scoring.figures import Figures, Intervals
from spct.bench.scoring.statistics import LEVEL, REPLICATES, Figure, Resamples
from spct.bench.scoring.stored import StoredBench
from spct.bench.scoring.truth import truth_measured
from spct.bench.suites.benchmark import Unit
from spct.bench.suites.items import RewardUnit
from spct.errors import RunError
from spct.measures import TruthMeasured
from spct.measures.agreement import Agreement
from spct.prices import Prices
from spct.types import Item

Agreements = Mapping[tuple[str, str], Agreement]
FORMAT = 1
FILE = "results.json"


@dataclass(frozen=True, slots=True)
class Cost:
    """What an item costs at one k: tokens, seconds of judging at the run's concurrency, price; None where unknown."""

    prompt_tokens: float
    completion_tokens: float
    seconds: float | None
    price: float | None


@dataclass(frozen=True, slots=True)
class ScoredPoint:
    """One k: figures under every tie rule, the share of units with each grade, and the cost per item.

    They are averages over picks of k samples: ``exact`` if over all there are, ``picks`` at most for a unit. ``first``
    are the figures of the first k samples, without intervals.
    """

    k: int
    rules: Mapping[CreditRule, Figures]
    grades: Mapping[str, float]
    cost: Cost
    first: Mapping[CreditRule, Figures]
    picks: int
    exact: bool


@dataclass(frozen=True, slots=True)
class Chance:
    """What a judge without any sense scores on average: the figures of 1/n (n responses), None for single responses."""

    headline: float | None
    units: float | None


@dataclass(frozen=True, slots=True)
class RunResult:
    """One judge on one benchmark. ``points`` by rising k; ``greedy`` is a pass of its own at temperature 0.

    ``guided`` are the same k under the meta RM that rated the judgments: each vote is over the better half of its
    picks, rounded up. Their cost does not count the meta RM's. Without a unit there is no point. ``truth`` has the
    measures of a user's own items by the kind of their truth, and why some of them cannot be graded.
    """

    label: str
    benchmark: Mapping[str, Any]
    data: Mapping[str, Any]
    protocol: Mapping[str, Any]
    estimator: Mapping[str, Any]
    points: tuple[ScoredPoint, ...]
    spent: Mapping[str, Any]
    histogram: Mapping[str, int]
    greedy: ScoredPoint | None = None
    guided: tuple[ScoredPoint, ...] = ()
    notes: tuple[str, ...] = ()
    truth: TruthMeasured | None = None

    @property
    def last(self) -> ScoredPoint:
        return self.points[-1]


@dataclass(frozen=True, slots=True)
class Scoring:
    """How runs are scored: at which ``ks`` (None: powers of two), seeds, replicates, prices."""

    ks: tuple[int, ...] | None = None
    every_k: bool = False
    seed: int = 0
    replicates: int = REPLICATES
    prices: Prices = field(default_factory=Prices)


def score_run(stored: StoredBench, scoring: Scoring | None = None, greedy: StoredBench | None = None) -> RunResult:
    """Score a stored run. Raises InputError for a k that the run does not have."""
    scoring = scoring or Scoring()
    most = max((len(row) for row in stored.ballots.values()), default=0)
    ks: Sequence[int] | None = range(1, most + 1) if scoring.every_k else scoring.ks
    truth = truth_measured(stored)
    # Lone responses and rows without a truth have no curve; what their measures say is in ``truth``.
    found = None
    if stored.loaded.units or truth is None:
        found = curve(stored.benchmark, stored.loaded, stored.ballots, ks, seed=scoring.seed)
    guided: tuple[ScoredPoint, ...] = ()
    if found is not None and stored.ratings:
        chosen = curve(
            stored.benchmark, stored.loaded, stored.ballots, ks, seed=scoring.seed, keep=guided_by(stored.ratings)
        )
        guided = _points(stored, chosen, scoring)
    return RunResult(
        label=stored.label,
        benchmark=_benchmark(stored),
        data=_data(stored),
        protocol={"spct": spct.__version__, **stored.settings, "scored": stored.scored},
        estimator={} if found is None else _estimator(found, scoring, stored),
        points=() if found is None else _points(stored, found, scoring),
        spent=_spent(stored, scoring.prices),
        histogram=histogram(stored),
        greedy=None if greedy is None or found is None else _greedy(greedy, scoring),
        guided=guided,
        notes=(*stored.loaded.notes, *_notes(stored)),
        truth=truth,
    )


def results_row(results: Sequence[RunResult], agreements: Agreements = MappingProxyType({})) -> dict[str, Any]:
    """What ``results.json`` holds; ``agreements`` of two runs by their labels, where nothing says what is right."""
    pairs = [{"runs": list(labels), **asdict(found)} for labels, found in agreements.items()]
    agreed = {"agreements": pairs} if pairs else {}
    return {"format": FORMAT, "runs": [asdict(result) for result in results], **agreed}


def write_results(results: Sequence[RunResult], directory: Path, agreements: Agreements = MappingProxyType({})) -> Path:
    """Write ``results.json``. Raises RunError where the directory cannot be written."""
    path = directory / FILE
    try:
        directory.mkdir(parents=True, exist_ok=True)
        path.write_bytes(orjson.dumps(results_row(results, agreements), option=orjson.OPT_INDENT_2))
    except OSError as error:
        raise RunError(f"{path}: cannot be written: {error}") from error
    return path


def histogram(stored: StoredBench) -> dict[str, int]:
    """How often each score was given, over the valid ballots; expected scores to one decimal."""
    counts = Counter(
        round(score, 1)
        for row in stored.ballots.values()
        for ballot in row
        for score in ballot.scores_N or ()
        if score is not None
    )
    return {f"{score:g}": counts[score] for score in sorted(counts)}


def _points(stored: StoredBench, found: Curve, scoring: Scoring) -> tuple[ScoredPoint, ...]:
    resamples = Resamples([unit.cluster for unit in stored.loaded.units], scoring.replicates, scoring.seed)
    intervals = Intervals(stored.benchmark, stored.loaded, resamples)
    return tuple(
        ScoredPoint(
            point.k,
            intervals.of(point),
            {grade: point.share(grade) for grade in GRADES},
            cost_at(stored, point, found.last.k, scoring.prices),
            {rule: _first(point, rule) for rule in CREDIT_RULES},
            point.picks,
            point.exact,
        )
        for point in found.points
    )


def _first(point: Point, rule: CreditRule) -> Figures:
    metrics, units = point.first.metrics[rule], point.first.units.values()
    return Figures(
        headline=None if metrics.headline is None else Figure(metrics.headline),
        units=Figure(math.fsum(float(getattr(graded, rule)) for graded in units) / len(units)),
        parts={name: Figure(value) for name, value in metrics.parts.items()},
        partial={name: Figure(value) for name, value in metrics.partial.items()},
    )


def _greedy(stored: StoredBench, scoring: Scoring) -> ScoredPoint:
    found = curve(stored.benchmark, stored.loaded, stored.ballots, [1], seed=scoring.seed)
    return _points(stored, found, scoring)[0]


def cost_at(stored: StoredBench, point: Point, most: int, prices: Prices) -> Cost:
    """Cost per item at k, from what the whole run spent.

    Completion tokens and seconds in proportion to the samples. Prompt tokens in proportion to the prompts: one per
    order where samples share them, one per sample where every sample was a request of its own.
    """
    usage, items = stored.spent.usage, max(1, len(stored.loaded.items))
    share = _samples_at(stored, point.k) / max(1, _samples_at(stored, most))
    lone = usage.requests >= stored.spent.completions > 0
    prompts = share if lone else _prompts_at(stored, point.k) / max(1, _prompts_at(stored, most))
    prompt, completion = usage.prompt_tokens * prompts / items, usage.completion_tokens * share / items
    seconds = None if stored.spent.seconds is None else stored.spent.seconds * share / items
    return Cost(prompt, completion, seconds, prices.of(prompt, completion))


def _samples_at(stored: StoredBench, k: int) -> int:
    return sum(min(k, len(row)) for row in stored.ballots.values())


def _prompts_at(stored: StoredBench, k: int) -> int:
    return sum(len({ballot.order for ballot in row[:k]}) for row in stored.ballots.values())


def _benchmark(stored: StoredBench) -> dict[str, Any]:
    return {"name": stored.benchmark.name, "linear": stored.benchmark.linear, **asdict(stored.benchmark.about)}


def _data(stored: StoredBench) -> dict[str, Any]:
    loaded = stored.loaded
    units: Counter[str] = Counter(unit.subset for unit in loaded.units)
    return {
        "hash": loaded.data_hash,
        "items": len(loaded.items),
        "units": len(loaded.units),
        "clusters": len({unit.cluster for unit in loaded.units}),
        "subsets": dict(units),
        "missing": list(loaded.missing),
        "unfinished": stored.unfinished,
        "complete": stored.complete,
        "chance": asdict(chance(stored)),
    }


def chance(stored: StoredBench) -> Chance:
    """What scoring at random, without ties, earns on average; a set of pairs needs all of them right."""
    loaded = stored.loaded
    items = [loaded.items[id] for unit in loaded.units for id in unit.items]
    if not items:
        return Chance(None, None)
    if any(len(item.responses) == 1 for item in items):
        return Chance(None if stored.benchmark.linear else 0.5, None)
    credits = {unit: math.prod(_by_chance(loaded.items[id], unit) for id in unit.items) for unit in loaded.units}
    units = sum(credits.values()) / len(credits)
    return Chance(stored.benchmark.aggregate(credits, {}, loaded).headline if stored.benchmark.linear else None, units)


def _by_chance(item: Item, unit: Unit) -> float:
    """Chance that a random order of the responses is right: the best on top, or the right ones above all others.

    Several right ones without a count of them that belong together are held against the others in pairs. With rewards
    it is what a response at random is worth; that two responses are level no order says.
    """
    n, right = len(item.responses), item.extra.get("num_correct")
    if isinstance(unit, RewardUnit) and item.rewards_N is not None:
        return sum(map(unit.worth, item.rewards_N)) / n
    if item.truth is not None and item.truth.kind == "pair" and item.best is None:
        return 0.0
    if item.best is not None:
        return 1 / n
    return 1 / math.comb(n, right) if isinstance(right, int) else 0.5


def _estimator(found: Curve, scoring: Scoring, stored: StoredBench) -> dict[str, Any]:
    picked = "orders dealt evenly, as a run over k deals them" if found.plan.dealt else "plain subsets of the samples"
    return {
        "accuracy_at_k": "votes over picks of k of the K samples, graded, averaged; first k: the vote over the first k",
        "picks": picked,
        "exact_k": [point.k for point in found.points if point.exact],
        "drawn_picks": {str(point.k): point.picks for point in found.points if not point.exact},
        "pick_seed": found.plan.seed,
        "figures": "aggregated from expected credits" if stored.benchmark.linear else "aggregated per draw, averaged",
        "guided": None if stored.meta is None else f"best half of the picks, rounded up, by {stored.meta}",
        "interval": "percentile bootstrap, clusters (prompts) drawn with replacement",
        "level": LEVEL,
        "replicates": scoring.replicates,
        "bootstrap_seed": scoring.seed,
    }


def _spent(stored: StoredBench, prices: Prices) -> dict[str, Any]:
    spent = stored.spent
    return {
        **asdict(spent.usage),
        "seconds": spent.seconds,
        "price": prices.of_usage(spent.usage),
        "prices": prices.source,
        "completions": spent.completions,
        "samples": sum(len(row) for row in stored.ballots.values()),
        "invalid_share": stored.missing_share,
        "invalid_completions": dict(spent.invalid),
    }


def _notes(stored: StoredBench) -> list[str]:
    notes = []
    if lenient := stored.settings.get("lenient"):
        notes.append(f"read leniently: {lenient}")
    if stored.unfinished:
        notes.append(f"{stored.unfinished} items are begun and not finished; go on with --resume")
    elif not stored.complete:
        notes.append("not all items of this run are judged yet; go on with --resume")
    if limit := stored.settings.get("limit"):
        notes.append(f"a random, stratified sample of the items was judged (--limit {limit})")
    if subsets := stored.settings.get("subset"):
        notes.append(f"only the subsets {', '.join(subsets)} were judged (--subset)")
    return notes
