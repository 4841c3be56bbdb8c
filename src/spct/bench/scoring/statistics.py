"""Intervals and p-values for units that hang together in clusters: the clustered bootstrap and the sign-flip test.

The units of one prompt are not independent, so whole clusters are drawn with replacement, and whole clusters change
sides. Everything is seeded; the same units and seed give the same resamples, whatever is computed from them.
Few clusters, or such that all say the same, do not show how far a figure scatters: the bootstrap would give an interval
that is too short, down to nothing. A share then has Wilson's interval over the clusters, a difference of two shares
Newcombe's (from Wilson's of both); any other figure has none, and its note says why.
Suffixes: ``U`` units, ``C`` clusters, ``B`` replicates, ``V`` values. Needs numpy (the extra ``bench``).
"""

# ruff: noqa: N803, N806
from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import hypot, isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spct.measures.pairs import wilson

Floats = NDArray[np.float64]

LEVEL = 0.95
REPLICATES = 1000
FLIPS = 10_000
EXACT_CLUSTERS = 14
"""Up to so many clusters that differ, all 2^C sign patterns are tried."""
FEW = 10
"""Below so many clusters there is no bootstrap."""
USABLE = 0.5
"""Least share of replicates in which a figure must exist for its interval to be given."""
_CHUNK = 250


@dataclass(frozen=True, slots=True)
class Figure:
    """A value over ``n`` clusters with its 95% interval; ``note`` says where it is from, or why there is none."""

    value: float
    low: float | None = None
    high: float | None = None
    n: int | None = None
    note: str = ""

    @property
    def least(self) -> float | None:
        """The low end of the interval; the value where enough prompts all say the same, so that there is none; else None."""
        if self.low is None:
            return self.value if (self.n or 0) >= FEW else None
        return self.low


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

    def figure(self, values_UV: Floats, statistic: Callable[[Floats], Any], *, biased: bool = False) -> Figure:
        """A statistic of sums over units with its interval; its n are the clusters that have any value.

        ``statistic`` maps sums (..., V) to (...) and may give NaN where a replicate does not allow it. ``biased`` is as
        in ``bounded``.
        """
        value = float(np.asarray(statistic(values_UV.sum(axis=0, keepdims=True)))[0])
        replicates_B = np.asarray(statistic(self.sums(values_UV)), dtype=np.float64)
        count = int(np.count_nonzero(np.abs(self.totals(np.abs(values_UV))).sum(axis=1)))
        return bounded(value, replicates_B, count, biased=biased)

    def share(self, values_UV: Floats) -> Figure:
        """The first of two values over the second, a share of 1."""
        return share_figure(self.figure(values_UV, ratio), self.totals(values_UV)[:, 1])

    def share_gap(self, values_UV: Floats) -> Figure:
        """The share of the values (0, 1) less that of the values (2, 3)."""
        figure = self.figure(values_UV, ratio_difference)
        if figure.low is not None or not isfinite(figure.value):
            return figure
        totals_CV = self.totals(values_UV)
        first, second = (
            _wilson(totals_CV[:, top].sum() / totals_CV[:, top + 1].sum(), totals_CV[:, top + 1]) for top in (0, 2)
        )
        below = hypot(first.value - first.low, second.high - second.value)
        above = hypot(first.high - first.value, second.value - second.low)
        low, high = max(-1.0, figure.value - below), min(1.0, figure.value + above)
        return replace(figure, low=low, high=high, note=f"Newcombe's interval, since {figure.note}")


def bounded(value: float, replicates_B: Floats, n: int, *, biased: bool = False, level: float = LEVEL) -> Figure:
    """``value`` with the percentile interval of its replicates; none for few clusters or if they tell nothing.

    The replicates of a biased statistic (a spread, which noise only adds to) lie beside the value: with ``biased``, or
    where the interval would not hold the value, they are moved by their mean distance from it.
    """
    usable = replicates_B[np.isfinite(replicates_B)]
    if n < FEW:
        return Figure(value, n=n, note=f"{n} prompt{'s are' if n != 1 else ' is'} too few for a bootstrap")
    if len(usable) < max(2, USABLE * len(replicates_B)):
        return Figure(value, n=n, note="most resamples lack units for it")
    if np.ptp(usable) <= 1e-12:
        return Figure(value, n=n, note="every resample of the prompts gives the same")
    low, high = (float(bound) for bound in np.quantile(usable, [(1 - level) / 2, (1 + level) / 2]))
    if biased or not low <= value <= high:
        shift = value - float(usable.mean())
        low, high = low + shift, high + shift
    return Figure(value, low, high, n)


def share_figure(figure: Figure, weights_C: Floats) -> Figure:
    """A share of 1 over clusters of these weights, with Wilson's interval where the bootstrap gave none."""
    if figure.low is not None or not 0 <= figure.value <= 1:
        return figure
    found = _wilson(figure.value, weights_C)
    return replace(figure, low=found.low, high=found.high, note=f"Wilson's interval, since {figure.note}")


@dataclass(frozen=True, slots=True)
class _Share:
    value: float
    low: float
    high: float


def _wilson(share: float, weights_C: Floats) -> _Share:
    """Wilson's interval with as many trials as clusters; unequal weights make them worth fewer (Kish)."""
    return _Share(share, *wilson(share, float(weights_C.sum() ** 2 / np.square(weights_C).sum())))


def ratio(sums: Floats) -> Floats:
    """First over second of the values; NaN over nothing. The statistic of a mean over some of the units."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(sums[..., 1] > 0, sums[..., 0] / sums[..., 1], np.nan))


def ratio_difference(sums: Floats) -> Floats:
    """Mean of the values (0, 1) less the mean of the values (2, 3)."""
    return ratio(sums[..., :2]) - ratio(sums[..., 2:4])


def mean_figure(values_U: Sequence[float], clusters_U: Sequence[str], seed: int = 0) -> Figure:
    """The plain mean with its clustered interval; the values need not be shares."""
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
