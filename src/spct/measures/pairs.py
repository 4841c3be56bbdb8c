"""Pairs of which people prefer one response, or neither: the judge's three answers against theirs."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

from spct.measures.case import Case, Measure, Scale, average, by_library, choice_of

Z_95 = 1.959963984540054
"""The 97.5% quantile of the normal distribution."""


def pairs(cases: Sequence[Case], scale: Scale | None) -> list[Measure]:
    """Three-way agreement, Cohen's kappa, both orders right, and how often the first response wins, by judge and people."""
    found = [(choice_of(case.means_N), case.truth.values_N[0]) for case in cases if case.means_N is not None]
    judged, said = [choice for choice, _ in found], [choice for _, choice in found]
    both = [float(case.games[0] == case.games[1] == case.truth.values_N[0]) for case in cases if case.games is not None]
    return [
        average("three-way agreement", [float(a == b) for a, b in found], share=True),
        kappa("Cohen's kappa", judged, said),
        average("both orders right", both, "of the pairs that were shown in both orders", share=True),
        win_rate("win rate of the first response by the judge", judged),
        win_rate("by people", said),
    ]


def kappa(name: str, first: Sequence[float], second: Sequence[float], labels: Sequence[int] | None = None) -> Measure:
    """Cohen's kappa of two lists of answers; with ``labels``, the whole scale, disagreement weighs by its square."""
    if not first:
        return Measure(name, None, 0, "no item has a vote")

    def value() -> float:
        import numpy as np
        from sklearn.metrics import cohen_kappa_score

        weights = None if labels is None else "quadratic"
        answers = {*first, *second}
        names = [str(v) for v in (sorted(answers) if labels is None else labels)]
        if len(answers) < 2:
            return float("nan")  # all answers are one: nothing to agree on beyond chance
        with np.errstate(divide="ignore", invalid="ignore"):
            return float(
                cohen_kappa_score(list(map(str, first)), list(map(str, second)), labels=names, weights=weights)
            )

    return by_library(name, len(first), value)


def win_rate(name: str, choices: Sequence[float]) -> Measure:
    """The mean of wins with ties halved, with Wilson's interval, which holds for few pairs and near 0 and 1."""
    if not choices:
        return Measure(name, None, 0, "no item has a vote", share=True)
    rate = sum(choices) / len(choices)
    low, high = wilson(rate, len(choices))
    return Measure(name, rate, len(choices), "a tie is half a win", low, high, share=True)


def wilson(rate: float, count: float) -> tuple[float, float]:
    """Wilson's 95% score interval of a share of ``count``."""
    weight = Z_95 * Z_95 / count
    centre = (rate + weight / 2) / (1 + weight)
    half = Z_95 * sqrt(rate * (1 - rate) / count + weight / (4 * count)) / (1 + weight)
    return max(0.0, centre - half), min(1.0, centre + half)
