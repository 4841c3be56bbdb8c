"""Intervals and p-values for units that hang together in clusters: the clustered bootstrap and the sign-flip test.

The units of one prompt are not independent, so whole clusters are drawn with replacement, and whole clusters change
sides. Everything is seeded; the same units and seed give the same resamples, whatever is computed from them.
Suffixes: ``U`` units, ``C`` clusters, ``B`` replicates, ``V`` values. Needs numpy (the extra ``bench``).
"""

# ruff: noqa: N803, N806
from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

LEVEL = 0.95
REPLICATES = 1000
FLIPS = 10_000
EXACT_CLUSTERS = 14
"""Up to so many clusters that differ, all 2^C sign patterns are tried."""
USABLE = 0.5
"""Least share of replicates in which a figure must exist for its interval to be given."""
_CHUNK = 250


@dataclass(frozen=True, slots=True)
class Figure:
    """A value with its 95% interval; no bounds where they cannot be had."""

    value: float
    low: float | None = None
    high: float | None = None


class Resamples:
    """``replicates`` draws of the clusters with replacement, as many as there are; the same for the same seed."""

    def __init__(self, clusters: Sequence[str], replicates: int = REPLICATES, seed: int = 0) -> None:
        names = {name: code for code, name in enumerate(dict.fromkeys(clusters))}
        self.codes_U = np.array([names[name] for name in clusters], dtype=np.int64)
        self.count = len(names)
        self.replicates = replicates
        draw = np.random.default_rng(seed)
        rows = [
            np.bincount(draw.integers(self.count, size=self.count), minlength=self.count) for _ in range(replicates)
        ]
        self.times_BC = np.array(rows, dtype=np.uint8)

    def sums(self, values_UV: Floats) -> Floats:
        """Sums over the units of each replicate, (B, V)."""
        totals_CV = self.totals(values_UV)
        parts = [
            self.times_BC[start : start + _CHUNK].astype(np.float64) @ totals_CV
            for start in range(0, self.replicates, _CHUNK)
        ]
        return np.concatenate(parts)

    def totals(self, values_UV: Floats) -> Floats:
        """Sums over the units of each cluster, (C, V)."""
        totals = np.zeros((self.count, values_UV.shape[1]))
        np.add.at(totals, self.codes_U, values_UV)
        return totals

    def figure(self, values_UV: Floats, statistic: Callable[[Floats], Any]) -> Figure:
        """A statistic of sums over units with its percentile interval.

        ``statistic`` maps sums (..., V) to (...) and may give NaN where a replicate does not allow it.
        """
        value = float(np.asarray(statistic(values_UV.sum(axis=0, keepdims=True)))[0])
        return bounded(value, np.asarray(statistic(self.sums(values_UV)), dtype=np.float64))


def bounded(value: float, replicates_B: Floats, level: float = LEVEL) -> Figure:
    """``value`` with the percentile interval of its replicates; none if under half of them are numbers."""
    usable = replicates_B[np.isfinite(replicates_B)]
    if len(usable) < max(2, USABLE * len(replicates_B)):
        return Figure(value)
    low, high = np.quantile(usable, [(1 - level) / 2, (1 + level) / 2])
    return Figure(value, float(low), float(high))


def ratio(sums: Floats) -> Floats:
    """First over second of the values; NaN over nothing. The statistic of a mean over some of the units."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(sums[..., 1] > 0, sums[..., 0] / sums[..., 1], np.nan))


def ratio_difference(sums: Floats) -> Floats:
    """Mean of the values (0, 1) less the mean of the values (2, 3)."""
    return ratio(sums[..., :2]) - ratio(sums[..., 2:4])


def mean_figure(values_U: Sequence[float], clusters_U: Sequence[str], seed: int = 0) -> Figure:
    """The plain mean with its clustered interval."""
    values = np.column_stack([np.asarray(values_U, dtype=np.float64), np.ones(len(values_U))])
    return Resamples(clusters_U, seed=seed).figure(values, ratio)


def sign_flip_p(differences_C: Floats, *, flips: int = FLIPS, seed: int = 0) -> tuple[float, bool]:
    """Two-sided p-value of the sum of the clusters' differences, and whether it is exact.

    Under the null the two runs are exchangeable within a cluster, so each difference keeps or changes its sign with
    equal chance. All patterns where at most EXACT_CLUSTERS differ, else ``flips`` random ones with (hits + 1) /
    (flips + 1).
    """
    moving = differences_C[differences_C != 0]
    observed = abs(float(moving.sum()))
    if not len(moving):
        return 1.0, True
    tolerance = 1e-12 * float(np.abs(moving).sum())
    if len(moving) <= EXACT_CLUSTERS:
        patterns = (np.arange(2 ** len(moving))[:, None] >> np.arange(len(moving))) & 1
        sums = (1 - 2.0 * patterns) @ moving
        return float(np.mean(np.abs(sums) >= observed - tolerance)), True
    draw = np.random.default_rng(seed)
    hits = 0
    for start in range(0, flips, _CHUNK):
        signs = draw.integers(0, 2, size=(min(_CHUNK, flips - start), len(moving)), dtype=np.int8)
        hits += int(np.sum(np.abs((1 - 2.0 * signs) @ moving) >= observed - tolerance))
    return (hits + 1) / (flips + 1), False
