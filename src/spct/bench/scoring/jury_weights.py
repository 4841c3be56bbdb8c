"""Weights for the judges of a jury, learned from items whose best response is known, and what they are worth on others.

Weights are those of a logistic regression on the differences between the best response's comparable mean and each other
one's, a column for each judge, with a ridge penalty and without an intercept; a judge that would count against itself gets 0.
Their worth is cross-validated: the items of one conversation are in one of ``FOLDS`` parts, and each part is voted on by weights
of the others. Needs numpy and scikit-learn (the extra ``bench``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from spct.bench.scoring.jurors import JudgedItems, shown
from spct.bench.scoring.statistics import Figure, mean_figure
from spct.bench.suites.assembly import cluster_of
from spct.errors import InputError
from spct.types import Item
from spct.voting.accuracy import tie_credit
from spct.voting.by_juror import jury_table
from spct.voting.jury import Jury
from spct.voting.orders import keyed_hash
from spct.voting.rows import Samples

FOLDS = 10
FEWEST = 50
PENALTY = 1.0


@dataclass(frozen=True, slots=True)
class LearnedWeights:
    """A weight for each judge, the largest 1; accuracy with them on items they were not learned on, with the jury's own
    weights, and by how much the first is higher.
    """

    names: tuple[str, ...]
    weights: tuple[float, ...]
    items: int
    learned: Figure
    own: Figure
    gain: Figure


@dataclass(frozen=True, slots=True)
class _Case:
    """An item that every judge voted on: a row of comparable means for each judge."""

    cluster: str
    best: int
    means_JN: tuple[tuple[float, ...], ...]


def learned_weights(judged: JudgedItems, jury: Jury) -> LearnedWeights:
    """Learn weights from a jury's run. Raises InputError for too few labelled items, or an escalation."""
    if jury.comparable == "escalate" or len(jury.jurors) < 2:
        raise InputError("weights are of judges that vote together; add --comparable raw, rank or standardised")
    cases = [case for item, samples in judged if (case := _case(item, samples, jury)) is not None]
    if len(cases) < FEWEST:
        raise InputError(
            f"got {len(cases)} items with one best response and a vote of every judge; expected {FEWEST} or more"
        )
    folds = [keyed_hash("fold", case.cluster) % FOLDS for case in cases]
    learned = [0.0] * len(cases)
    for fold in range(FOLDS):
        weights = _fitted([case for case, at in zip(cases, folds, strict=True) if at != fold])
        for place, case in enumerate(cases):
            if folds[place] == fold:
                learned[place] = _credit(case, weights)
    own = [_credit(case, [float(juror.weight) for juror in jury.jurors]) for case in cases]
    clusters = [case.cluster for case in cases]
    weights = _fitted(cases)
    largest = max(weights) or 1.0
    return LearnedWeights(
        tuple(juror.name for juror in jury.jurors),
        tuple(round(weight / largest, 3) for weight in weights),
        len(cases),
        mean_figure(learned, clusters),
        mean_figure(own, clusters),
        mean_figure([a - b for a, b in zip(learned, own, strict=True)], clusters),
    )


def _case(item: Item, samples: Samples, jury: Jury) -> _Case | None:
    if item.best is None or len(item.responses) < 2:
        return None
    means = []
    for juror in jury.jurors:
        alone = replace(jury, jurors=(replace(juror, weight=Fraction(1)),))
        table = jury_table(samples, len(item.responses), alone)
        if not table.exact_N:
            return None
        means.append(tuple(map(float, table.exact_N)))
    return _Case(cluster_of(item), item.best, tuple(means))


def _fitted(cases: Sequence[_Case]) -> list[float]:
    """The weight of each judge; those that come out below 0 are left out and the others fitted again."""
    from sklearn.linear_model import LogisticRegression

    rows = np.array(
        [
            [row[case.best] - row[i] for row in case.means_JN]
            for case in cases
            for i in range(len(case.means_JN[0]))
            if i != case.best
        ]
    )
    places = list(range(rows.shape[1]))
    while True:
        own = rows[:, places]
        scale = own.std(axis=0)
        scale[scale == 0] = 1.0  # the penalty is on weights of one unit for all
        differences, labels = np.vstack([own / scale, -own / scale]), [1] * len(own) + [0] * len(own)
        found = LogisticRegression(C=1 / PENALTY, fit_intercept=False).fit(differences, labels).coef_[0] / scale
        kept = [place for place, weight in zip(places, found, strict=True) if weight > 0]
        if len(kept) == len(places) or not kept:
            return [float(found[places.index(place)]) if place in kept else 0.0 for place in range(rows.shape[1])]
        places = kept


def _credit(case: _Case, weights: Sequence[float]) -> float:
    n = len(case.means_JN[0])
    scores = [round(sum(w * row[i] for w, row in zip(weights, case.means_JN, strict=True)), 9) for i in range(n)]
    return tie_credit(scores, case.best)


def weights_lines(found: LearnedWeights) -> Iterator[str]:
    """The weights and what they are worth, in words."""
    yield "weights: " + ", ".join(f"{name} {weight:g}" for name, weight in zip(found.names, found.weights, strict=True))
    yield f"accuracy on {found.items:,} items by weights learned on others ({FOLDS} parts): {shown(found.learned)}"
    yield f"with the jury's own weights: {shown(found.own)}; learned less own: {shown(found.gain, '+')}"
    clear = found.gain.low is not None and found.gain.low > 0
    yield (
        "use them with spct vote RUN --weights" if clear else "nothing is gained that can be told: keep the jury's own"
    )
