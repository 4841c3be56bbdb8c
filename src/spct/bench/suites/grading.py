"""Ballots -> a vote -> a grade: what the benchmarks' own arithmetic is made of."""

from __future__ import annotations

from collections.abc import Iterable

from spct.bench.suites.benchmark import Ballot, Graded
from spct.voting.accuracy import tie_credit
from spct.voting.vote import Means, row_means


def means_of(ballots: Iterable[Ballot]) -> Means | None:
    """The vote: each response's mean over the ballots that score it; None unless every response is scored by one.

    None too where a ballot is ``lacking``. Raises InputError for ballots on different numbers of responses.
    """
    voting = list(ballots)
    if any(ballot.lacking for ballot in voting):
        return None
    return row_means([ballot.scores_N for ballot in voting if ballot.scores_N is not None])


def graded_best(means_N: Means | None, best: int, *, tie: float | None = None, invalid: float = 0.0) -> Graded:  # noqa: N803
    """Grade a vote by whether ``best`` has the highest mean.

    ``tie`` is the benchmark's own credit for ``best`` sharing the maximum (None: 1/#tied), ``invalid`` that for no
    vote. Beside it stand strict (a tie is wrong) and random (1/#tied); no vote earns nothing under either.
    """
    if means_N is None:
        return Graded("invalid", invalid, 0.0, 0.0)
    share = tie_credit(means_N, best)
    if share == 0.0:
        return Graded("wrong", 0.0, 0.0, 0.0)
    if share == 1.0:
        return Graded("correct", 1.0, 1.0, 1.0)
    return Graded("tied", share if tie is None else tie, 0.0, share)


def games_of(ballots: Iterable[Ballot]) -> dict[bool, Means | None]:
    """The vote within each of a pair's orders that a ballot was cast in: False is the item's own, True the swapped one.

    None is an order in which no ballot was valid.
    """
    orders: dict[bool, list[Ballot]] = {}
    for ballot in ballots:
        if len(ballot.order) == 2:
            orders.setdefault(ballot.order != (0, 1), []).append(ballot)
    return {swapped: means_of(group) for swapped, group in sorted(orders.items())}
