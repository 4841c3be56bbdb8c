"""How two values scatter within a group."""

from __future__ import annotations

from collections.abc import Sequence
from math import fsum


def scatter(first: Sequence[float], second: Sequence[float]) -> tuple[float, float, float]:
    """Sums of products of their deviations from their means: of both, of the first's own, of the second's own."""
    middle, other = fsum(first) / len(first), fsum(second) / len(second)
    gaps = [(a - middle, b - other) for a, b in zip(first, second, strict=True)]
    return fsum([a * b for a, b in gaps]), fsum([a * a for a, _ in gaps]), fsum([b * b for _, b in gaps])
