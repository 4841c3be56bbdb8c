"""From scored items to figures: means over seeds and held-out queries, two intervals, paired differences.

A matrix has a row per seed and a column per held-out item: the expected credit of that item under that seed's model. Its
figure is the mean of all. ``items`` is the 95% interval over queries (percentile bootstrap of items, each averaged over the
seeds): these models, other queries. ``seeds`` is the 95% interval over seeds (t, on the seeds' means): these queries, other
trainings. Neither contains the other's chance. Suffixes: ``S`` seeds, ``I`` items.
"""
# ruff: noqa: N803

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spct.bench.scoring.statistics import mean_figure, sign_flip_p

Floats = NDArray[np.float64]
T_975 = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306, 9: 2.262}
"""97.5% points of Student's t by degrees of freedom."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """``by_seed`` are the seeds' means; an interval is (low, high), None where one seed or item allows none."""

    value: float
    by_seed: tuple[float, ...]
    items: tuple[float, float] | None
    seeds: tuple[float, float] | None
    p_value: float | None = None

    def as_row(self) -> dict[str, Any]:
        """For JSON, to six decimals."""
        bounds = {name: _rounded(getattr(self, name)) for name in ("by_seed", "items", "seeds")}
        row = {"value": round(self.value, 6), **bounds}
        return row if self.p_value is None else row | {"p_value": round(self.p_value, 6)}


def estimate(values_SI: Floats) -> Estimate:
    """The mean of a matrix with both intervals."""
    by_seed = values_SI.mean(axis=1)
    columns = values_SI.mean(axis=0)
    found = mean_figure(columns.tolist(), [str(i) for i in range(len(columns))])
    items = None if found.low is None or found.high is None or len(columns) < 2 else (found.low, found.high)
    return Estimate(float(values_SI.mean()), tuple(map(float, by_seed)), items, t_interval(by_seed))


def difference(after_SI: Floats, before_SI: Floats) -> Estimate:
    """After less before, paired by seed and item; p from flipping the signs of whole items."""
    gaps = after_SI - before_SI
    p_value, _ = sign_flip_p(gaps.mean(axis=0))
    found = estimate(gaps)
    return Estimate(found.value, found.by_seed, found.items, found.seeds, p_value)


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
