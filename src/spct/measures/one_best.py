"""One response is known to be the best: how often the vote puts it first, and how far down it stands otherwise."""

from __future__ import annotations

from collections.abc import Sequence

from spct.measures.case import Case, Means, Measure, Scale, average
from spct.voting.accuracy import tie_credit


def one_best(cases: Sequence[Case], scale: Scale | None) -> list[Measure]:
    """Strict accuracy, accuracy with 1/#tied for a tie, mean reciprocal rank. No vote earns nothing."""
    known = [(case.means_N, case.truth.best) for case in cases if case.truth.best is not None]
    credits = [0.0 if means is None else tie_credit(means, best) for means, best in known]
    ranks = [0.0 if means is None else reciprocal_rank(means, best) for means, best in known]
    return [
        average("strict accuracy", [float(credit == 1) for credit in credits], "a tie counts as wrong", share=True),
        average("accuracy with 1/#tied for a tie", credits, share=True),
        average("mean reciprocal rank", ranks),
    ]


def reciprocal_rank(means_N: Means, best: int) -> float:  # noqa: N803
    """The expected 1/rank of ``best`` where ties are broken at random."""
    above = sum(mean > means_N[best] for mean in means_N)
    level = sum(mean == means_N[best] for mean in means_N)
    return sum(1 / (above + place) for place in range(1, level + 1)) / level
