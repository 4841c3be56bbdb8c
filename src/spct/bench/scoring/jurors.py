"""The judges of a jury against each other, and a first judge that hands on what it is unsure of: figures from one run.

Accuracy is of items with one best response, a tie for first place earning 1/#tied; intervals are clustered by prompt. Calls
are judgments, retries included. Needs numpy (the extra ``bench``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np

from spct.bench.scoring.statistics import Figure, Resamples, mean_figure, ratio_difference
from spct.bench.suites.assembly import cluster_of
from spct.errors import InputError
from spct.measures.agreement import agreement
from spct.measures.case import Measure
from spct.types import Item
from spct.voting.accuracy import tie_credit
from spct.voting.by_juror import jury_table
from spct.voting.jury import Jury, JuryTable
from spct.voting.rows import Samples
from spct.voting.vote import Means

THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 0.999)

JudgedItems = Sequence[tuple[Item, Samples]]


@dataclass(frozen=True, slots=True)
class Step:
    """Escalation below one confidence: the ``share`` of items handed on, the second judge's calls an item on average, the
    accuracy, and by how much it is above that of always asking the second judge (``gap``). ``kept`` and ``handed_on`` are
    the accuracies of the two sides, None where one is empty.
    """

    below: float
    share: float
    second_calls: float
    accuracy: Figure
    gap: Figure
    kept: float | None
    handed_on: float | None


@dataclass(frozen=True, slots=True)
class EscalationCurve:
    """A curve over confidences between always asking the ``first`` judge alone and always the ``second`` alone."""

    first: str
    second: str
    items: int
    first_calls: float
    second_calls: float
    first_accuracy: Figure
    second_accuracy: Figure
    steps: tuple[Step, ...]

    def as_row(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class _Sides:
    """One item under both judges: credits, calls, the first's confidence, the prompt's mark."""

    first: float
    second: float
    first_calls: int
    second_calls: int
    confidence: float | None
    cluster: str


def escalation_curve(judged: JudgedItems, jury: Jury, thresholds: Sequence[float] = THRESHOLDS) -> EscalationCurve:
    """The curve from a run in which both judges judged every item. Raises InputError without two, or without a truth."""
    if len(jury.jurors) != 2:
        raise InputError(f"a curve is of two judges, and the jury has {len(jury.jurors)}; name two with --judges A,B")
    first, second = (juror.name for juror in jury.jurors)
    sides = [side for item, samples in judged if (side := _sides(item, samples, jury)) is not None]
    if not sides:
        raise InputError("no item has one best response and a vote of both judges, so there is no accuracy to show")
    clusters = [side.cluster for side in sides]
    draws = Resamples(clusters)
    steps = [_step(sides, level, draws) for level in thresholds]
    return EscalationCurve(
        first,
        second,
        len(sides),
        _mean([side.first_calls for side in sides]),
        _mean([side.second_calls for side in sides]),
        mean_figure([side.first for side in sides], clusters),
        mean_figure([side.second for side in sides], clusters),
        tuple(steps),
    )


def _sides(item: Item, samples: Samples, jury: Jury) -> _Sides | None:
    if item.best is None or len(item.responses) < 2:
        return None
    table = jury_table(samples, len(item.responses), replace(jury, comparable="escalate", below=1.0))
    first, second = table.results
    if first.means is None or second.means is None:
        return None
    return _Sides(
        tie_credit(first.means, item.best),
        tie_credit(second.means, item.best),
        first.asked,
        second.asked,
        first.confidence,
        cluster_of(item),
    )


def _step(sides: Sequence[_Sides], below: float, draws: Resamples) -> Step:
    handed = [side.confidence is None or side.confidence < below for side in sides]
    credits = [side.second if on else side.first for side, on in zip(sides, handed, strict=True)]
    ones = np.ones(len(sides))
    pairs = np.column_stack([credits, ones, [side.second for side in sides], ones])
    calls = [on * side.second_calls for side, on in zip(sides, handed, strict=True)]
    accuracy = draws.share(pairs[:, :2])
    return Step(
        below,
        _mean(handed),
        _mean(calls),
        accuracy,
        draws.figure(pairs, ratio_difference),
        _some([c for c, on in zip(credits, handed, strict=True) if not on]),
        _some([c for c, on in zip(credits, handed, strict=True) if on]),
    )


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _some(values: Sequence[float]) -> float | None:
    return _mean(values) if values else None


def curve_lines(curve: EscalationCurve) -> Iterator[str]:
    """The curve as a table for a terminal and for Markdown alike."""
    yield f"{curve.items:,} items with one best response and a vote of both judges; 95% intervals over prompts"
    yield ""
    calls, gap = f"calls an item, {curve.first} + {curve.second}", f"less always {curve.second}"
    yield f"| below | handed on | {calls} | accuracy | {gap} | kept | handed on |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: | ---: |"
    yield f"| never ({curve.first} alone) | 0.0% | {curve.first_calls:.1f} + 0.0 | {shown(curve.first_accuracy)} | | | |"
    for step in curve.steps:
        kept, on = (("-" if side is None else f"{100 * side:.1f}") for side in (step.kept, step.handed_on))
        yield (
            f"| {step.below:g} | {100 * step.share:.1f}% | {curve.first_calls:.1f} + {step.second_calls:.1f} "
            f"| {shown(step.accuracy)} | {shown(step.gap, sign='+')} | {kept} | {on} |"
        )
    yield f"| always ({curve.second} alone) | | 0.0 + {curve.second_calls:.1f} | {shown(curve.second_accuracy)} | | | |"


def shown(figure: Figure, sign: str = "") -> str:
    """A share as points of 100 with its interval."""
    value = f"{100 * figure.value:{sign}.1f}"
    return (
        value
        if figure.low is None or figure.high is None
        else (f"{value} [{100 * figure.low:{sign}.1f}, {100 * figure.high:{sign}.1f}]")
    )


def jury_agreement_lines(judged: JudgedItems, jury: Jury) -> Iterator[str]:
    """How each two judges agree, how their errors go together, and what each adds to the others; as lines of tables."""
    tables = [(item, jury_table(samples, len(item.responses), jury)) for item, samples in judged]
    names = [juror.name for juror in jury.jurors]
    means = {name: {item.id: _means(table, name) for item, table in tables} for name in names}
    yield "| judges | same choice | kappa | Kendall's tau-b | Spearman's rho | errors correlate |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: |"
    for a, b in combinations(names, 2):
        found = {measure.name: measure for measure in agreement(means[a], means[b]).measures}
        of = [found.get(name) for name in ("the same choice", "Cohen's kappa of the choices", "Kendall's tau-b",
                                           "Spearman's rho")]  # fmt: skip
        same, *others = map(_value, of)
        yield f"| {a}, {b} | {same} | {' | '.join(others)} | {_errors(tables, means[a], means[b])} |"
    yield ""
    yield from _alone_and_without(judged, jury)


def _alone_and_without(judged: JudgedItems, jury: Jury) -> Iterator[str]:
    items = [(item, samples) for item, samples in judged if item.best is not None and len(item.responses) > 1]
    if not items:
        yield "no item has one best response, so there is no accuracy to show"
        return
    clusters = [cluster_of(item) for item, _ in items]
    voting = replace(jury, comparable="raw" if jury.comparable == "escalate" else jury.comparable, below=None)
    whole = _credits(items, voting)
    yield f"| vote over {len(items):,} items | accuracy (a tie earns 1/#tied) | less the jury |"
    yield "| --- | ---: | ---: |"
    yield f"| all {len(jury.jurors)} | {shown(mean_figure(whole, clusters))} | |"
    for juror in jury.jurors:
        alone = _credits(items, replace(voting, jurors=(juror,), comparable="raw"))
        yield f"| {juror.name} alone | {_against(alone, whole, clusters)} |"
    if len(jury.jurors) > 2:
        for juror in jury.jurors:
            rest = tuple(other for other in jury.jurors if other is not juror)
            without = _credits(items, replace(voting, jurors=rest))
            yield f"| without {juror.name} | {_against(without, whole, clusters)} |"


def _credits(items: JudgedItems, jury: Jury) -> list[float]:
    """What each item's vote earns; no vote earns nothing."""
    credits = []
    for item, samples in items:
        assert item.best is not None
        table = jury_table(samples, len(item.responses), jury)
        means = tuple(map(float, table.exact_N))
        credits.append(tie_credit(means, item.best) if means else 0.0)
    return credits


def _against(credits: Sequence[float], whole: Sequence[float], clusters: Sequence[str]) -> str:
    gap = mean_figure([a - b for a, b in zip(credits, whole, strict=True)], clusters)
    return f"{shown(mean_figure(credits, clusters))} | {shown(gap, sign='+')}"


def _means(table: JuryTable, name: str) -> Means | None:
    return next(result.means for result in table.results if result.name == name)


def _errors(
    tables: Sequence[tuple[Item, JuryTable]], first: Mapping[str, Means | None], second: Mapping[str, Means | None]
) -> str:
    """The correlation of the two judges' losses (1 less the credit) over the items that both voted on."""
    losses = [
        (1 - tie_credit(a, item.best), 1 - tie_credit(b, item.best))
        for item, _ in tables
        if item.best is not None and (a := first[item.id]) is not None and (b := second[item.id]) is not None
    ]
    if len(losses) < 2 or any(len({loss[side] for loss in losses}) < 2 for side in (0, 1)):
        return "-"
    return f"{float(np.corrcoef(np.array(losses).T)[0, 1]):.2f}"


def _value(measure: Measure | None) -> str:
    if measure is None or measure.value is None:
        return "-"
    return f"{100 * measure.value:.1f}%" if measure.share else f"{measure.value:.2f}"
