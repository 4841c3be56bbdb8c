"""Rank correlations within many small groups at once: a call of scipy for each takes a millisecond, these a microsecond.

Both are the cosine of two vectors: Kendall's tau-b of the signs of all differences, Spearman's rho of the ranks around
their mean, ties sharing a rank. A group needs a spread on both sides. Needs numpy and scipy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from spct.measures.case import Measure, by_library

Pair = tuple[Sequence[float], Sequence[float]]
CHUNK = 256
"""Groups taken at once: n x n signs of each are held."""


def rank_correlations(pairs: Sequence[Pair]) -> list[Measure]:
    """The means of tau-b and of rho over the (votes, values) that differ on both sides; the others are counted."""
    usable = [(a, b) for a, b in pairs if len(set(a)) > 1 and len(set(b)) > 1]
    left = len(pairs) - len(usable)
    note = f"{left:,} left out, where it is not defined" if left else ""
    named = [("Kendall's tau-b", tau_b), ("Spearman's rho", spearman)]
    if not usable:
        return [Measure(name, None, 0, "no item with different votes and different values") for name, _ in named]
    return [
        by_library(name, len(usable), lambda of=of: sum(of(usable)) / len(usable), note)  # type: ignore[misc]
        for name, of in named
    ]


def tau_b(pairs: Sequence[Pair]) -> list[float]:
    """Kendall's tau-b of each pair of lists, those of one length together."""
    import numpy as np

    def signs(rows_GN: Any) -> Any:  # noqa: N803
        return np.sign(rows_GN[:, :, None] - rows_GN[:, None, :]).reshape(len(rows_GN), -1)

    return list(_cosines(pairs, signs))


def spearman(pairs: Sequence[Pair]) -> list[float]:
    """Spearman's rho of each pair of lists, those of one length together."""
    from scipy.stats import rankdata

    def centred(rows_GN: Any) -> Any:  # noqa: N803
        return rankdata(rows_GN, axis=1) - (rows_GN.shape[1] + 1) / 2

    return list(_cosines(pairs, centred))


def _cosines(pairs: Sequence[Pair], vectors: Callable[[Any], Any]) -> Iterator[float]:
    import numpy as np

    by_length: dict[int, list[Pair]] = {}
    for pair in pairs:
        by_length.setdefault(len(pair[0]), []).append(pair)
    for alike in by_length.values():
        for start in range(0, len(alike), CHUNK):
            a, b = (vectors(np.array(side, dtype=float)) for side in zip(*alike[start : start + CHUNK], strict=True))
            yield from ((a * b).sum(1) / np.sqrt((a * a).sum(1) * (b * b).sum(1))).tolist()
