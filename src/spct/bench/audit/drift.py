"""How a judge's rewards move through a training: figures of a recorded run by the step that the trainer told.

The units are groups, an answered request of ``spct serve`` each; those of one prompt are a cluster. Every figure has an
interval as all of an audit do, by step and for its change from the first third of the steps to the last. A reward is the
mean score of a response, and counts as often as there were rollouts with its text.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from spct.bench.audit.findings import correlation_of, figure_of, gap_of, share_of
from spct.bench.scoring.statistics import Figure, ratio, ratio_difference
from spct.bench.suites.assembly import cluster_of
from spct.errors import InputError
from spct.measures.groups import group_of, log_length
from spct.run import RunStore
from spct.run.asks import Ask, Asked
from spct.run.damage import as_damage
from spct.types import Item

MOST_STEPS = 20
"""Steps are put together to so many spans, as even as can be: an interval of few groups says nothing."""
SHARES = ("invalid judgments", "groups all equal", "ties for first place")
LENGTH = "correlation of reward and log length"
NAMES = (
    "reward",
    "spread within groups",
    "groups all equal",
    "ties for first place",
    "confidence",
    "invalid judgments",
    LENGTH,
)
"""In the order in which they are shown."""

Values = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Span:
    """Steps ``first`` to ``last`` of the run, with a figure by name; None where no group has one."""

    first: int
    last: int
    groups: int
    figures: Mapping[str, Figure | None]

    @property
    def title(self) -> str:
        return f"{self.first}" if self.first == self.last else f"{self.first}-{self.last}"


@dataclass(frozen=True, slots=True)
class Drift:
    """One training run: its figures by span, and how much each changed from the first third of the steps to the last."""

    run: str
    groups: int
    spans: tuple[Span, ...]
    changes: Mapping[str, Figure | None]

    def as_row(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class _Judged:
    """What is needed of a judged item: the texts of a whole training are not held at once."""

    cluster: str
    log_lengths: tuple[float, ...]
    verdict: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Group:
    """One answered request, and the values that each figure is made of."""

    step: int
    cluster: str
    values: Mapping[str, Values]


def drifts_of(store: RunStore, most: int = MOST_STEPS) -> list[Drift]:
    """Every training run that a recording has steps of, the largest first. Raises InputError where there is none."""
    verdicts = dict(store.verdict_rows())
    judged = {item.id: _judged(item, verdicts[place]) for place, item in store.items() if place in verdicts}
    runs: dict[str, list[_Group]] = {}
    told: set[tuple[str, Asked]] = set()
    with as_damage(str(store.directory)):
        for ask in store.asks():
            if ask.asked.step is None or ask.item not in judged or _is_again(ask, told):
                continue
            runs.setdefault(ask.asked.run, []).append(_group(ask.asked, ask.asked.step, judged[ask.item]))
    if not runs:
        raise InputError(
            f"{store.directory}: no request of this run told its step; expected the recording of a spct serve --out whose "
            "requests carry metadata with a step, as those of the adapters for TRL and verl do"
        )
    largest_first = sorted(runs.items(), key=lambda one: (-len(one[1]), one[0]))
    return [_drift(run, groups, most) for run, groups in largest_first]


def _is_again(ask: Ask, told: set[tuple[str, Asked]]) -> bool:
    """Whether these rollouts were answered before, as after a server was killed: names tell, where all have one."""
    text = ask.item.partition("-")[0]  # without the number of an item that several recordings have
    known = (text, ask.asked) in told
    told.add((text, ask.asked))
    return known and all(name for names in ask.asked.rollouts for name in names)


def _judged(item: Item, verdict: Mapping[str, Any]) -> _Judged:
    return _Judged(cluster_of(item), tuple(map(log_length, item.responses)), verdict)


def _group(asked: Asked, step: int, judged: _Judged) -> _Group:
    verdict = judged.verdict
    sampled = verdict["valid"] + verdict["invalid"]
    values: dict[str, Values] = {"invalid judgments": (verdict["invalid"], sampled)} if sampled else {}
    if verdict["means"] is not None and None not in verdict["means"]:  # null is how a mean that is no number is kept
        values |= _rewards(asked, judged)
    return _Group(step, judged.cluster, values)


def _rewards(asked: Asked, judged: _Judged) -> Iterator[tuple[str, Values]]:
    verdict = judged.verdict
    group = group_of(verdict["means"], judged.log_lengths, asked.copies)
    yield "reward", (math.fsum(group.rewards), len(group.rewards))
    yield "ties for first place", (float(bool(verdict["tied"])), 1.0)
    if verdict["confidence"] is not None:
        yield "confidence", (verdict["confidence"], 1.0)
    if group.with_length is not None:
        yield "spread within groups", (group.spread, 1.0)
        yield "groups all equal", (float(group.is_equal), 1.0)
        yield LENGTH, group.with_length


def _drift(run: str, groups: Sequence[_Group], most: int) -> Drift:
    spans = [_span(steps, groups) for steps in _spans(sorted({group.step for group in groups}), most)]
    return Drift(run, len(groups), tuple(spans), {name: _change(name, groups) for name in NAMES})


def _spans(steps: Sequence[int], most: int) -> Iterator[Sequence[int]]:
    """Runs of neighbouring steps, at most ``most``, whose lengths differ by one at most."""
    count = min(most, len(steps))
    for i in range(count):
        yield steps[i * len(steps) // count : (i + 1) * len(steps) // count]


def _span(steps: Sequence[int], groups: Sequence[_Group]) -> Span:
    own = [group for group in groups if steps[0] <= group.step <= steps[-1]]
    return Span(steps[0], steps[-1], len(own), {name: _figure(name, own) for name in NAMES})


def _figure(name: str, groups: Sequence[_Group]) -> Figure | None:
    rows = [(group.cluster, *group.values[name]) for group in groups if name in group.values]
    if not rows:
        return None
    if name == LENGTH:
        return _finite(figure_of(rows, correlation_of))
    if name in SHARES:
        return share_of(rows)
    return figure_of(rows, ratio)


def _change(name: str, groups: Sequence[_Group]) -> Figure | None:
    """The figure over the last third of the steps less that over the first; prompts are drawn for both together."""
    steps = sorted({group.step for group in groups})
    third = len(steps) // 3
    if third == 0:
        return None
    early, late = steps[third - 1], steps[-third]
    rows: list[tuple[Any, ...]] = []
    for group in groups:
        values = group.values.get(name)
        if values is not None and (group.step <= early or group.step >= late):
            none = (0.0,) * len(values)
            rows.append((group.cluster, *values, *none) if group.step >= late else (group.cluster, *none, *values))
    half = len(rows[0]) // 2 if rows else 0
    if not any(any(row[1 : 1 + half]) for row in rows) or not any(any(row[1 + half :]) for row in rows):
        return None
    if name == LENGTH:
        return _finite(figure_of(rows, lambda sums: correlation_of(sums[..., :3]) - correlation_of(sums[..., 3:])))
    if name in SHARES:
        return gap_of(rows)
    return figure_of(rows, ratio_difference)


def _finite(figure: Figure) -> Figure | None:
    """None where neither rewards nor lengths differ."""
    return figure if math.isfinite(figure.value) else None
