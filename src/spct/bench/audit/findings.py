"""What the probes of an audit share: statistics over rows of (cluster, values...), and their words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from spct.bench.audit.evidence import Finding
from spct.bench.scoring.statistics import Figure, Floats, Resamples


def figure_of(rows: Sequence[Sequence[Any]], statistic: Callable[[Floats], Any]) -> Figure:
    """Rows of (cluster, values...) to a statistic of the sums of the values."""
    resamples, values = _resampled(rows)
    return resamples.figure(values, statistic)


def share_of(rows: Sequence[Sequence[Any]]) -> Figure:
    """Rows of (cluster, part, whole) to the share of all parts."""
    resamples, values = _resampled(rows)
    return resamples.share(values)


def gap_of(rows: Sequence[Sequence[Any]]) -> Figure:
    """Rows of (cluster, part, whole, other part, other whole) to the one share less the other."""
    resamples, values = _resampled(rows)
    return resamples.share_gap(values)


def _resampled(rows: Sequence[Sequence[Any]]) -> tuple[Resamples, Floats]:
    values = np.array([[float(x) for x in row[1:]] for row in rows])
    return Resamples([str(row[0]) for row in rows]), values


def correlation_of(sums: Floats) -> Floats:
    """Through the origin, since either response of a pair may be named first: sum(xy) / sqrt(sum(xx) sum(yy))."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(sums[..., 0] / np.sqrt(sums[..., 1] * sums[..., 2]))


def mean_of(rows: Sequence[Sequence[Any]], top: int, bottom: int) -> float:
    return float(sum(row[top] for row in rows) / sum(row[bottom] for row in rows))


def winners(scores_N: Sequence[float]) -> frozenset[int]:  # noqa: N803
    top = max(scores_N)
    return frozenset(i for i, score in enumerate(scores_N) if score == top)


def leaning(figure: Figure, above: str, below: str, neither: str) -> str:
    """Which of the sentences the interval supports; without one, that it supports none."""
    if figure.low is None or figure.high is None:
        return f"nothing can be told, since {figure.note}"
    if figure.low > 0:
        return above
    if figure.high < 0:
        return below
    return neither


def percent(share: float) -> str:
    return f"{100 * share:.1f}%"


def unmeasured(probe: str, name: str, reason: str) -> Finding:
    return Finding(probe, name, f"Not measurable here: {reason}.")
