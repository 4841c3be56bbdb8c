"""A benchmark's figures with intervals, at every point of a curve and under every tie rule.

Nearly every figure is a weighted sum of mean credits over groups of units (subset and part). The weights are found by
asking the benchmark, and all replicates of such figures are computed at once. Where a figure of a benchmark that is not
linear turns out not to be of that form, the benchmark aggregates every replicate itself, so there are fewer of them; on
a linear benchmark such a figure (over other groups) gets no interval.
"""
# ruff: noqa: N803, N806

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spct.bench.scoring.curve import CREDIT_RULES, CreditRule, Point
from spct.bench.scoring.statistics import Figure, Floats, Resamples, bounded, ratio, share_figure
from spct.bench.suites.benchmark import Benchmark, Graded, Loaded, Metrics, Unit

SLOW_REPLICATES = 200
SLOW_DRAWS = 2
"""Replicates, and draws averaged in each, where the benchmark itself aggregates them."""
_HEAD = ("headline", "")
_TOLERANCE = 1e-9

FigureKey = tuple[str, str]
Spread = Mapping[FigureKey, tuple[float, Floats]]
"""Per figure its value by the weights, and its replicates."""


@dataclass(frozen=True, slots=True)
class Figures:
    """``Metrics`` with intervals. ``units`` is the plain mean over the units, whatever the benchmark makes of them."""

    headline: Figure | None
    units: Figure
    parts: Mapping[str, Figure] = field(default_factory=dict)
    partial: Mapping[str, Figure] = field(default_factory=dict)

    @property
    def main(self) -> Figure:
        """The headline, or where the data do not allow one the mean over the units here."""
        return self.units if self.headline is None else self.headline


class Intervals:
    """Figures with intervals of one benchmark's points, all from the same resamples of the clusters."""

    def __init__(self, benchmark: Benchmark, loaded: Loaded, resamples: Resamples) -> None:
        self._benchmark = benchmark
        self._loaded = loaded
        self._resamples = resamples
        self._units = loaded.units
        groups = {key: place for place, key in enumerate(dict.fromkeys((u.subset, u.part) for u in loaded.units))}
        self._group_U = np.array([groups[unit.subset, unit.part] for unit in loaded.units])
        self._count_G = np.bincount(self._group_U).astype(np.float64)
        self._weights_G = self._found_weights()
        self._ones_C = resamples.totals(np.ones((len(self._units), 1)))[:, 0]
        self._copies: list[list[tuple[Unit, Unit]]] = []

    def headline_weights(self, point: Point, rule: CreditRule) -> Floats | None:
        """What each unit's credit gives to the headline, (U,); None where the headline is not such a sum."""
        weights_G, headline = self._weights_G.get(_HEAD), point.metrics[rule].headline
        if weights_G is None or headline is None:
            return None
        weights_U = (weights_G / self._count_G)[self._group_U]
        credits_U = np.array([getattr(point.units[unit], rule) for unit in self._units])
        return weights_U if abs(float(credits_U @ weights_U) - headline) < _TOLERANCE else None

    def of(self, point: Point) -> dict[CreditRule, Figures]:
        """The figures of a point under every rule."""
        credits_UV = np.array([[e.own, e.strict, e.random] for e in (point.units[unit] for unit in self._units)])
        ones = np.ones((len(self._units), 1))
        sums_BV = self._resamples.sums(np.hstack([credits_UV, ones]))
        count = self._resamples.count
        units = [
            share_figure(bounded(float(credits_UV[:, v].mean()), ratio(sums_BV[:, [v, 3]]), count), self._ones_C)
            for v in range(3)
        ]
        sums_BGV = self._group_sums(credits_UV)
        exact_GV = np.stack([np.bincount(self._group_U, credits_UV[:, v]) for v in range(3)], axis=1).astype(np.float64)
        spreads = [self._spread(exact_GV[:, v], sums_BGV[:, :, v], sums_BGV[:, :, 3]) for v in range(3)]
        flat = [_flat(point.metrics[rule]) for rule in CREDIT_RULES]
        explained = [
            {key for key, value in row.items() if _explains(spread, key, value)}
            for spread, row in zip(spreads, flat, strict=True)
        ]
        if not self._benchmark.linear and any(
            len(found) < len(row) for found, row in zip(explained, flat, strict=True)
        ):
            spreads = self._slow(point, flat)
        return {
            rule: _figures(point.metrics[rule], units[v], self._bounded(flat[v], spreads[v], explained[v]))
            for v, rule in enumerate(CREDIT_RULES)
        }

    def _bounded(
        self, row: Mapping[FigureKey, float], spread: Spread, explained: Collection[FigureKey]
    ) -> dict[FigureKey, Figure]:
        """The figures of a rule with their intervals: shares where they are weighted means over groups of units."""
        found = {}
        for key, value in row.items():
            weights_C = self._cluster_weights(key) if key in explained else None
            n = self._resamples.count if weights_C is None or not weights_C.any() else int(np.count_nonzero(weights_C))
            if not _explains(spread, key, value):
                found[key] = Figure(value, n=n, note="it is no mean over groups of units")
                continue
            figure = bounded(value, spread[key][1], n)
            is_share = weights_C is not None and bool((weights_C >= 0).all()) and abs(weights_C.sum() - 1) < 1e-6
            found[key] = share_figure(figure, weights_C) if is_share and weights_C is not None else figure
        return found

    def _cluster_weights(self, key: FigureKey) -> Floats:
        """What each cluster gives to a figure, (C,)."""
        weights_U = (self._weights_G[key] / self._count_G)[self._group_U]
        return self._resamples.totals(weights_U[:, None])[:, 0]

    def _found_weights(self) -> dict[FigureKey, Floats]:
        """What each figure gives to the mean credit of each group: the figure where that group alone earns 1."""
        weights: dict[FigureKey, Floats] = {}
        for group in range(len(self._count_G)):
            credits = {u: float(g == group) for u, g in zip(self._units, self._group_U, strict=True)}
            graded = {unit: Graded("correct", c, c, c) for unit, c in credits.items()}
            for key, value in _flat(self._benchmark.aggregate(credits, graded, self._loaded)).items():
                weights.setdefault(key, np.zeros(len(self._count_G)))[group] = value
        return weights

    def _group_sums(self, credits_UV: Floats) -> Floats:
        """Sums of credits of every group in every replicate, and as the last value its units, (B, G, V + 1)."""
        groups, values = len(self._count_G), credits_UV.shape[1]
        spread_UX = np.zeros((len(self._units), groups * (values + 1)))
        rows = np.arange(len(self._units))
        for v in range(values):
            spread_UX[rows, self._group_U * (values + 1) + v] = credits_UV[:, v]
        spread_UX[rows, self._group_U * (values + 1) + values] = 1.0
        return self._resamples.sums(spread_UX).reshape(-1, groups, values + 1)

    def _spread(self, exact_G: Floats, sums_BG: Floats, counts_BG: Floats) -> Spread:
        """Per figure its value by the weights, and its replicates; NaN where a replicate lacks units for it."""
        found = {}
        for key, weights_G in self._weights_G.items():
            replicates_B = np.zeros(len(sums_BG))
            for groups, weight in alike(weights_G, self._count_G):
                with np.errstate(divide="ignore", invalid="ignore"):
                    replicates_B += weight * sums_BG[:, groups].sum(axis=1) / counts_BG[:, groups].sum(axis=1)
            found[key] = float(exact_G @ (weights_G / self._count_G)), replicates_B
        return found

    def _slow(self, point: Point, flat: Sequence[dict[FigureKey, float]]) -> list[Spread]:
        """Per rule the replicates of each figure as the benchmark aggregates them, averaged over draws.

        They scatter around the figure of these few draws, and are moved by what that lacks to the figure of all.
        """
        if not self._copies:
            count = min(SLOW_REPLICATES, self._resamples.replicates)
            self._copies = [resampled(self._units, self._resamples, replicate) for replicate in range(count)]
        draws = point.draws[:SLOW_DRAWS]
        rows: list[list[dict[FigureKey, float]]] = [[] for _ in CREDIT_RULES]
        for copies in self._copies:
            found = [self._aggregated(draw, copies) for draw in draws]
            for v in range(len(CREDIT_RULES)):
                rows[v].append(_averaged([by_rule[v] for by_rule in found]))
        whole = [self._aggregated(draw, [(unit, unit) for unit in self._units]) for draw in draws]
        here = [_averaged([by_rule[v] for by_rule in whole]) for v in range(len(CREDIT_RULES))]
        return [
            {
                key: (value, np.array([row.get(key, np.nan) for row in rows[v]]) + value - here[v].get(key, value))
                for key, value in flat[v].items()
            }
            for v in range(len(CREDIT_RULES))
        ]

    def _aggregated(
        self, draw: Mapping[Unit, Graded], copies: Sequence[tuple[Unit, Unit]]
    ) -> list[dict[FigureKey, float]]:
        graded = {copy: draw[unit] for copy, unit in copies}
        found: list[tuple[list[float], dict[FigureKey, float]]] = []
        for rule in CREDIT_RULES:
            credits = [float(getattr(row, rule)) for row in graded.values()]
            same = next((figures for others, figures in found if others == credits), None)
            if same is None:
                by_unit = dict(zip(graded, credits, strict=True))
                same = _flat(self._benchmark.aggregate(by_unit, graded, self._loaded))
            found.append((credits, same))
        return [figures for _, figures in found]


def alike(weights_G: Floats, count_G: Floats) -> list[tuple[NDArray[np.int64], float]]:
    """Groups whose units weigh the same, and their joint weight: together they are one plain mean over their units."""
    used = np.flatnonzero(weights_G)
    _, kinds = np.unique(np.round(weights_G[used] / count_G[used], 12), return_inverse=True)
    return [
        (used[kinds == kind], float(weights_G[used[kinds == kind]].sum())) for kind in range(kinds.max(initial=-1) + 1)
    ]


def resampled(units: Sequence[Unit], resamples: Resamples, replicate: int) -> list[tuple[Unit, Unit]]:
    """(Copy, unit) per unit of a replicate, as often as its cluster was drawn; each copy is a cluster of its own."""
    times = resamples.times_BC[replicate][resamples.codes_U]
    return [
        (unit if n == 0 else replace(unit, id=f"{unit.id}~{n}", cluster=f"{unit.cluster}~{n}"), unit)
        for unit, count in zip(units, times.tolist(), strict=True)
        for n in range(count)
    ]


def _explains(spread: Spread, key: FigureKey, value: float) -> bool:
    """Whether the weights give this figure: then they give its replicates too."""
    return key in spread and abs(spread[key][0] - value) < _TOLERANCE


def _averaged(rows: Sequence[dict[FigureKey, float]]) -> dict[FigureKey, float]:
    return {key: sum(row[key] for row in rows) / len(rows) for key in rows[0] if all(key in row for row in rows)}


def _figures(metrics: Metrics, units: Figure, found: Mapping[FigureKey, Figure]) -> Figures:
    return Figures(
        headline=found.get(_HEAD),
        units=units,
        parts={name: found["part", name] for name in metrics.parts},
        partial={name: found["partial", name] for name in metrics.partial},
    )


def _flat(metrics: Metrics) -> dict[FigureKey, float]:
    head: dict[FigureKey, Any] = {} if metrics.headline is None else {_HEAD: metrics.headline}
    parts = {("part", name): value for name, value in metrics.parts.items()}
    return head | parts | {("partial", name): value for name, value in metrics.partial.items()}
