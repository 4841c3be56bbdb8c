"""Which questions to keep, and what each weighs: fitted on some items, kept by others, so that nothing is its own proof.

Weights are those of a logistic regression on the differences between the best response and each other one, with a ridge
penalty and without an intercept: what is not known to help stays small. Needs numpy and scikit-learn (the extra ``bench``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from spct.bench.scoring.statistics import Figure, Floats, Resamples, ratio, sign_flip_p
from spct.voting.accuracy import tie_credit

PENALTY = 1.0
SAME_ANSWERS = 0.95
"""Two questions whose answers correlate so are one."""
ROUNDING = 1e-9
CHANCE = 0.05


@dataclass(frozen=True, slots=True)
class Answered:
    """An item with the worth (0 to 1) of each of its N ``responses`` under each of C questions; ``cluster`` marks its prompt.

    A question without a valid answer is None: the item is not fitted by it, and earns nothing where it counts.
    """

    id: str
    cluster: str
    best: int
    responses: int
    worth_CN: tuple[tuple[float, ...] | None, ...]

    def under(self, places: Sequence[int]) -> list[tuple[float, ...]] | None:
        """The worths under these questions; None where one of them has no answer."""
        found = [row for place in places if (row := self.worth_CN[place]) is not None]
        return found if len(found) == len(places) else None


@dataclass(frozen=True, slots=True)
class Kept:
    """A question by its place among all, and what accuracy it added on items that its weight was not fitted on."""

    place: int
    gain: Figure


def fitted(items: Sequence[Answered], places: Sequence[int]) -> list[float]:
    """The weight of each question in ``places``, fitted on ``items``; 0 where its answers never differ."""
    from sklearn.linear_model import LogisticRegression

    rows = [
        [of_question[item.best] - of_question[i] for of_question in worth]
        for item in items
        if (worth := item.under(places))
        for i in range(len(worth[0]))
        if i != item.best
    ]
    if not any(map(any, rows)):
        return [0.0] * len(places)
    differences = np.array([*rows, *[[-value for value in row] for row in rows]])
    labels = np.array([1] * len(rows) + [0] * len(rows))
    model = LogisticRegression(C=1 / PENALTY, fit_intercept=False)
    return [float(weight) for weight in model.fit(differences, labels).coef_[0]]


def credits(items: Sequence[Answered], places: Sequence[int], weights: Sequence[float]) -> list[float]:
    """What each item's choice by the weighted answers earns: 1/#tied where the best is among those that lead."""
    found = []
    for item in items:
        if (worth := item.under(places)) is None:
            found.append(0.0)
            continue
        # rounded: what differs by the order of a sum alone is level
        scores = [
            round(sum(w * of_question[i] for w, of_question in zip(weights, worth, strict=True)), 9)
            for i in range(item.responses)
        ]
        found.append(tie_credit(scores, item.best))
    return found


def without_doubles(items: Sequence[Answered], count: int) -> list[int]:
    """The places of the questions whose answers are not those of an earlier one, and that tell responses apart at all."""
    kept: list[int] = []
    for place in range(count):
        if np.ptp(_answers(items, [place])[0]) > 0 and not any(_alike(items, place, other) for other in kept):
            kept.append(place)
    return kept


def _alike(items: Sequence[Answered], place: int, other: int) -> bool:
    """Whether two questions have the same answers, up to the sign, on the items that answer both."""
    first, second = _answers(items, [place, other])
    differ = np.ptp(first) > 0 and np.ptp(second) > 0
    return differ and abs(float(np.corrcoef(first, second)[0, 1])) >= SAME_ANSWERS


def _answers(items: Sequence[Answered], places: Sequence[int]) -> Floats:
    """A row of worths for each question, over the responses of the items that answer them all; one 0 each for no item."""
    known = [worth for item in items if (worth := item.under(places)) is not None]
    return np.array([[value for worth in known for value in worth[row]] or [0.0] for row in range(len(places))])


def chosen(fit: Sequence[Answered], choose: Sequence[Answered], places: Sequence[int], most: int) -> list[Kept]:
    """The questions that raise accuracy on ``choose``, best first; at most ``most``.

    Weights are fitted on ``fit`` alone. It ends with the first whose gain is not clear of nothing: its interval, and its
    p-value times the questions that were tried, since the best of many gains something by chance.
    """
    kept: list[Kept] = []
    resamples = Resamples([item.cluster for item in choose])
    current = credits(choose, [], [])
    while len(kept) < most:
        names = [one.place for one in kept]
        trials = []
        for place in places:
            if place not in names:
                tried = [*names, place]
                earned = credits(choose, tried, fitted(fit, tried))
                trials.append((sum(earned), -place, earned))
        if not trials:
            break
        _, negative, earned = max(trials)
        more = np.column_stack([np.subtract(earned, current), np.ones(len(choose))])
        gain = resamples.figure(more, ratio)
        p_value, _ = sign_flip_p(resamples.totals(more)[:, 0])
        if gain.low is None or gain.low <= ROUNDING or p_value * len(trials) > CHANCE:
            break
        kept.append(Kept(-negative, gain))
        current = earned
    return kept
