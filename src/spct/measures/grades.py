"""Lone responses with a grade: does the judge's mean rise with it, and are they equal where the scales are the same?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import floor

from spct.measures.case import Case, Measure, Scale, average, by_library
from spct.measures.pairs import kappa


def grades(cases: Sequence[Case], scale: Scale | None) -> list[Measure]:
    """Pearson's r and Spearman's rho; on one scale also quadratic kappa and the mean absolute error."""
    found = [(case.means_N[0], case.truth.values_N[0]) for case in cases if case.means_N is not None]
    means, said = [mean for mean, _ in found], [grade for _, grade in found]
    scales = {case.truth.scale for case in cases}
    return [
        *correlations(means, said),
        *(_on_one_scale(means, said, scale) if scales == {scale} and scale is not None else _apart(scales, scale)),
    ]


def correlations(first: Sequence[float], second: Sequence[float]) -> list[Measure]:
    """Pearson's r and Spearman's rho of two lists."""

    def of(name: str) -> Callable[[], float]:
        def value() -> float:
            from scipy import stats

            if len(set(first)) < 2 or len(set(second)) < 2:
                return float("nan")
            return float(getattr(stats, name)(first, second).statistic)

        return value

    return [
        by_library("Pearson's r", len(first), of("pearsonr")),
        by_library("Spearman's rho", len(first), of("spearmanr")),
    ]


def _on_one_scale(means: Sequence[float], said: Sequence[float], scale: Scale) -> list[Measure]:
    steps = list(range(floor(scale[0]), floor(scale[1]) + 1))
    return [
        kappa("quadratic kappa", [rounded(mean) for mean in means], [rounded(grade) for grade in said], steps),
        average("mean absolute error", [abs(mean - grade) for mean, grade in zip(means, said, strict=True)]),
    ]


def _apart(scales: set[Scale | None], scale: Scale | None) -> list[Measure]:
    graded = " and ".join("an unknown scale" if s is None else f"{s[0]:g} to {s[1]:g}" for s in sorted(scales, key=str))
    judged = "an unknown scale" if scale is None else f"{scale[0]:g} to {scale[1]:g}"
    why = f"grades on {graded}, scores on {judged}: only one scale (grade_scale) can be compared"
    return [Measure("quadratic kappa, mean absolute error", None, 0, why)]


def rounded(value: float) -> int:
    """The nearest whole number, halves up."""
    return floor(value + 0.5)
