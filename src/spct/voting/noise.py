"""How noisy a judge is: the variance, within one judgment, of the margin between two responses, in squared points.

``confidence`` needs it where an item has few judgments of its own. What is known before any judgment is the scale that is
judged on, and the confidence of a vote goes by that, so that it depends on its item alone. A run with adaptive k learns the
rest from its first items, its pilot, before it stops any (``run.pilot``).

Model: an item's margins vary around their means with a variance drawn from a scaled inverse chi-square distribution of
``confidence.PRIOR_JUDGMENTS`` = 4 degrees of freedom, whose mean is 4 / (4 - 2) times its scale parameter. So the parameter is
half of the mean sample variance over the pilot's items, with the scale's own value counted as ``SCALE_ITEMS`` items more.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import fsum

PILOT_ITEMS = 32
SCALE_ITEMS = 4

TEN_POINTS = 0.5
"""The parameter on the scale 1..10: between those of a steady and of a noisy judge (docs/voting.md)."""


def scale_noise(low: float, high: float) -> float:
    """The parameter where nothing but the scale is known: by its width squared, but rounding to steps leaves narrow ones more."""
    width = (high - low) / 9
    return TEN_POINTS * width * max(1.0, width)


def learned_noise(pilot: Iterable[Sequence[Sequence[float | None]]], before: float) -> float:
    """The parameter after a pilot: K rows of N scores for each item; ``before`` is what the scale says.

    Items with one response or fewer than two whole rows tell nothing.
    """
    variances = [variance for rows in pilot if (variance := margin_variance(rows)) is not None]
    return (fsum(variances) / 2 + SCALE_ITEMS * before) / (len(variances) + SCALE_ITEMS)


def margin_variance(scores_KN: Sequence[Sequence[float | None]]) -> float | None:  # noqa: N803
    """The sample variance of the margins of the leader (by sum, the first of equals) over its rivals, averaged over these."""
    rows = [[score for score in row if score is not None] for row in scores_KN if None not in row]
    if len(rows) < 2 or len(rows[0]) < 2:
        return None
    totals = [fsum(column) for column in zip(*rows, strict=True)]
    best = totals.index(max(totals))
    variances = []
    for rival in range(len(totals)):
        if rival != best:
            margins = [row[best] - row[rival] for row in rows]
            mean = fsum(margins) / len(margins)
            variances.append(fsum([(margin - mean) ** 2 for margin in margins]) / (len(margins) - 1))
    return fsum(variances) / len(variances)
