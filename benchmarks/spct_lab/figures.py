"""From scored items to figures: means over seeds and held-out queries, two intervals, paired differences.

A matrix has a row per seed and a column per held-out item: the expected credit of that item under that seed's model. A seed is a
base of its own with its own training. Its figure is the mean of all. ``items`` is the 95% interval over queries (percentile
bootstrap of items, each averaged over the seeds): these models, other queries. ``seeds`` is the 95% interval over seeds (t, on the
seeds' means): these queries, other trainings. ``both`` is that of other trainings on other queries: rows and columns are drawn
anew at once (Owen 2007, "The pigeonhole bootstrap"; it is, if anything, too wide). ``p_value`` of a difference is from it.
Suffixes: ``S`` seeds, ``I`` items.
"""
# ruff: noqa: N803

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import permutations
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from spct.bench.scoring.statistics import mean_figure

Floats = NDArray[np.float64]
T_975 = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306, 9: 2.262}
"""97.5% points of Student's t by degrees of freedom."""
DRAWS = 4_000
ORDERS = 20_000
FEWEST_SEEDS = 4
"""With fewer, drawing them anew says nothing of other trainings: no interval of both kinds, and no p-value."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """``by_seed`` are the seeds' means; an interval is (low, high), None where one seed or item allows none."""

    value: float
    by_seed: tuple[float, ...]
    items: tuple[float, float] | None
    seeds: tuple[float, float] | None
    both: tuple[float, float] | None = None
    p_value: float | None = None

    def as_row(self) -> dict[str, Any]:
        """For JSON, to six decimals."""
        bounds = {name: _rounded(getattr(self, name)) for name in ("by_seed", "items", "seeds", "both")}
        row = {"value": round(self.value, 6), **bounds}
        return row if self.p_value is None else row | {"p_value": round(self.p_value, 6)}


def estimate(values_SI: Floats) -> Estimate:
    """The mean of a matrix with both intervals."""
    by_seed = values_SI.mean(axis=1)
    columns = values_SI.mean(axis=0)
    found = mean_figure(columns.tolist(), [str(i) for i in range(len(columns))])
    items = None if found.low is None or found.high is None or len(columns) < 2 else (found.low, found.high)
    drawn = _drawn(values_SI)
    both = None if drawn is None else (float(np.quantile(drawn, 0.025)), float(np.quantile(drawn, 0.975)))
    return Estimate(float(values_SI.mean()), tuple(map(float, by_seed)), items, t_interval(by_seed), both)


def difference(after_SI: Floats, before_SI: Floats) -> Estimate:
    """After less before, paired by seed and item; ``p_value`` is two-sided, None for fewer than ``FEWEST_SEEDS``."""
    gaps = after_SI - before_SI
    return replace(estimate(gaps), p_value=_p_of(_drawn(gaps)))


def _drawn(values_SI: Floats) -> Floats | None:
    """The means of ``DRAWS`` matrices whose rows and columns are drawn anew, with replacement and apart from each other."""
    seeds, items = values_SI.shape
    if seeds < FEWEST_SEEDS:
        return None
    rows_BS, columns_BI = _weights(seeds, 0), _weights(items, 1)  # noqa: N806
    return np.asarray(((rows_BS @ values_SI) * columns_BI).sum(axis=1))


@lru_cache(maxsize=8)
def _weights(count: int, seed: int) -> Floats:
    """How often each of ``count`` is drawn in each of the draws, over ``count``: (B, count)."""
    drawn = np.random.default_rng(seed).integers(count, size=(DRAWS, count))
    places = drawn + count * np.arange(DRAWS)[:, None]
    return np.bincount(places.ravel(), minlength=DRAWS * count).reshape(DRAWS, count) / count


def _p_of(drawn: Floats | None) -> float | None:
    """Twice the share of the drawn means on the rarer side of 0, at least 2 / (draws + 1)."""
    if drawn is None:
        return None
    rarer = min(int(np.sum(drawn <= 0)), int(np.sum(drawn >= 0)))
    return min(1.0, 2 * (rarer + 1) / (len(drawn) + 1))


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """P-values corrected for how many questions were asked at once (Holm 1979): the k-th smallest of m times m - k + 1."""
    corrected, largest = {}, 0.0
    for rank, (name, p) in enumerate(sorted(p_values.items(), key=lambda item: item[1])):
        largest = max(largest, min(1.0, p * (len(p_values) - rank)))
        corrected[name] = largest
    return {name: corrected[name] for name in p_values}


def rank_correlation(xs: Sequence[float], ys: Sequence[float]) -> tuple[float, float]:
    """Spearman's correlation and its two-sided p-value over all, or ``ORDERS`` drawn, orders of ``ys``."""
    x, y = (stats.zscore(stats.rankdata(values)) / math.sqrt(len(values)) for values in (xs, ys))
    found = float(x @ y)
    every = math.factorial(len(x)) <= ORDERS
    orders = list(permutations(range(len(x)))) if every else np.random.default_rng(0).permuted(
        np.tile(np.arange(len(x)), (ORDERS, 1)), axis=1
    )  # fmt: skip
    drawn = y[np.asarray(orders)] @ x
    beyond = min(int(np.sum(drawn <= found + 1e-12)), int(np.sum(drawn >= found - 1e-12)))
    drawn_too = 0 if every else 1  # the order found is one of them
    return found, min(1.0, 2 * (beyond + drawn_too) / (len(drawn) + drawn_too))


def t_interval(means_S: Sequence[float] | Floats) -> tuple[float, float] | None:
    """Student's 95% interval of the mean of a few seeds' means."""
    count = len(means_S)
    if count < 2 or count - 1 not in T_975:
        return None
    half = T_975[count - 1] * float(np.std(means_S, ddof=1)) / math.sqrt(count)
    middle = float(np.mean(means_S))
    return middle - half, middle + half


def auc(scores: Sequence[float | None], labels: Sequence[int]) -> float:
    """The chance that one of label 1 scores above one of label 0, half for a tie; NaN without both. None is no score: left out."""
    scored = [(score, label) for score, label in zip(scores, labels, strict=True) if score is not None]
    ones = [score for score, label in scored if label]
    zeros = [score for score, label in scored if not label]
    wins = sum((a > b) + (a == b) / 2 for a in ones for b in zeros)
    return wins / (len(ones) * len(zeros)) if ones and zeros else math.nan


def _rounded(values: Sequence[float] | None) -> list[float] | None:
    return None if values is None else [round(value, 6) for value in values]
