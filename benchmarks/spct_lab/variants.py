"""Other votes over samples that are there already: what a meta RM's ratings, a second judge or a jury make of them.

Each gives ballots, or a choice among them, that ``spct bench``'s own curve grades.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from math import ceil
from pathlib import Path
from statistics import fmean
from typing import Any

from benchmarks.spct_lab.figures import auc

from spct.bench.scoring.curve import Keep, curve, guided_by
from spct.bench.scoring.stored import StoredBench, ratings_of
from spct.run import RunStore
from spct.voting.accuracy import grade, tie_credit
from spct.voting.guided import best_rated
from spct.voting.noise import scale_noise
from spct.voting.vote import vote

SHARES = {"best-12": 1 / 8, "best-25": 1 / 4, "guided": 1 / 2, "best-75": 3 / 4}
"""Shares of the judgments that a meta RM keeps; half is the paper's."""
BELOW = 0.95

Ratings = Mapping[str, Mapping[int, float]]
Voted = tuple[StoredBench, Keep | None]


def rated_votes(stored: StoredBench, ratings: Ratings) -> dict[str, Voted]:
    """Votes over the best rated shares, and ``soft``: over all, each as heavy as its rating."""
    found: dict[str, Voted] = {name: (stored, _best(ratings, share)) for name, share in SHARES.items()}
    return found | {"soft": (_weighed(stored, ratings), None)}


def oracle_votes(stored: StoredBench) -> dict[str, Voted]:
    """The same with ratings that read the ground truth: 1 for a judgment that is right, else 0. A ceiling, no result."""
    right = {
        id: {i: float(one) for i, one in enumerate(_right(stored, id)) if one is not None} for id in stored.ballots
    }
    return {"oracle": (stored, guided_by(right)), "oracle-soft": (_weighed(stored, right), None)}


def _best(ratings: Ratings, share: float) -> Keep:
    return lambda id, indices: best_rated(ratings.get(id, {}), indices, ceil(share * len(indices)))


def _weighed(stored: StoredBench, ratings: Ratings) -> StoredBench:
    """Every judgment's scores times its rating; one without a rating is left out, as it is where the better half is kept."""
    ballots = {}
    for id, row in stored.ballots.items():
        rated = ratings.get(id, {})
        ballots[id] = [
            ballot
            if ballot.scores_N is None
            else replace(ballot, scores_N=None)
            if i not in rated
            else replace(ballot, scores_N=tuple([None if s is None else s * rated[i] for s in ballot.scores_N]))
            for i, ballot in enumerate(row)
        ]
    return replace(stored, ballots=ballots)


def _right(stored: StoredBench, id: str) -> list[bool | None]:
    """Whether each judgment of an item is right by itself; None for an invalid one."""
    item = stored.loaded.items[id]
    return [
        None if ballot.scores_N is None else grade(_whole(ballot.scores_N), item) == "correct"
        for ballot in stored.ballots[id]
    ]


def _whole(scores: Sequence[float | None]) -> list[float]:
    return [score for score in scores if score is not None]


def auc_within(stored: StoredBench, ratings: Ratings) -> float | None:
    """How often a right judgment of a query is rated above a wrong one of the same query, averaged over queries with both."""
    found = []
    for id, rated in ratings.items():
        right = _right(stored, id)
        known = [(rated[i], int(bool(one))) for i, one in enumerate(right) if i in rated and one is not None]
        if len({label for _, label in known}) == 2:
            found.append(auc([value for value, _ in known], [label for _, label in known]))
    return fmean(found) if found else None


def ratings_in(run: Path, meta: str) -> Ratings:
    """What the meta RM ``meta`` said of a run's judgments, by item."""
    with closing(RunStore.open(run)) as store:
        return ratings_of(store, meta)


def escalated(first: StoredBench, second: StoredBench, k: int) -> dict[str, list[float]]:
    """Items by the first judge's vote of k, those of a confidence below ``BELOW`` by the second's; ``handed``: which those are."""
    correct, credit, handed = [], [], []
    for unit in first.loaded.units:
        (id,) = unit.items
        item = first.loaded.items[id]
        means, confidence = _voted(first, id, k)
        hands_on = confidence is None or confidence < BELOW
        if hands_on:
            means, _ = _voted(second, id, k)
        found = grade(means, item)
        correct.append(float(found == "correct"))
        assert item.best is not None
        credit.append(0.0 if means is None else tie_credit(means, item.best))
        handed.append(float(hands_on))
    return {"correct": correct, "credit": credit, "handed": handed}


def _voted(stored: StoredBench, id: str, k: int) -> tuple[tuple[float, ...] | None, float | None]:
    rows = [ballot.scores_N for ballot in stored.ballots[id][:k] if ballot.scores_N is not None]
    if not rows:
        return None, None
    tally = vote(rows, seed_key=id, noise=scale_noise(*(stored.scale or (0, 9))))
    return tally.means, tally.confidence


def juries(runs: Sequence[StoredBench], k: int) -> list[dict[str, list[float]]]:
    """Juries of three bases, none of which sits on two: the vote over k judgments of each, and for the same price the mean
    of what each says by itself with 3 k judgments.
    """
    found = []
    for place in range(0, len(runs) - 2, 3):
        members = runs[place : place + 3]
        ids = list(members[0].loaded.items)
        together = {id: [ballot for one in members for ballot in one.ballots[id][:k]] for id in ids}
        alone = [_correct(one, {id: one.ballots[id][: 3 * k] for id in ids}) for one in members]
        found.append(
            {
                "jury": _correct(members[0], together),
                "members": [fmean(of_item) for of_item in zip(*alone, strict=True)],
                "best": max(alone, key=fmean),
            }
        )
    return found


def _correct(stored: StoredBench, ballots: Mapping[str, Any]) -> list[float]:
    units = curve(stored.benchmark, stored.loaded, ballots, [max(map(len, ballots.values()))]).last.units
    return [unit.grades[0] for unit in units.values()]
