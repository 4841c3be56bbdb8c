"""A run over a user's own items against what their rows say; and two runs against each other, whatever the rows say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from spct.bench.scoring.stored import StoredBench
from spct.bench.suites.grading import means_of
from spct.measures import TruthMeasured, measured, why_ungraded
from spct.measures.agreement import Agreement, agreement
from spct.measures.case import case_of
from spct.voting.vote import Means

ITEMS = "items"
"""The benchmark of a user's own items; all others have measures of their own."""


def votes_of(stored: StoredBench, k: int | None = None) -> dict[str, Means | None]:
    """The means of each item's vote over its first ``k`` samples, all of them if None."""
    return {id: means_of(ballots[:k]) for id, ballots in stored.ballots.items()}


def truth_measured(stored: StoredBench) -> TruthMeasured | None:
    """Every measure that fits the truth of the run's items; None for benchmarks with measures of their own."""
    if stored.benchmark.name != ITEMS:
        return None
    votes, items = votes_of(stored), stored.loaded.items
    found = [
        case_of(item, votes.get(id), [(ballot.order, ballot.scores_N) for ballot in stored.ballots.get(id, ())])
        for id, item in items.items()
    ]
    ungraded: Mapping[str, int] = Counter(filter(None, map(why_ungraded, items.values())))
    return measured([case for case in found if case is not None], ungraded, stored.scale)


def runs_agree(a: StoredBench, b: StoredBench, k: int | None = None) -> Agreement:
    """How far two runs agree by their votes over the first ``k`` samples. Raises InputError without a common vote."""
    return agreement(votes_of(a, k), votes_of(b, k))
