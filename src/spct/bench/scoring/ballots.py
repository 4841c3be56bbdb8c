"""Stored judgments -> ballots -> votes -> grades: the one way from samples to right and wrong.

A ballot is one planned sample: the row that it brings to the vote (``spct.voting.rows``, as for a verdict). Blocks are
reconciled over all samples of their item, whichever of them then vote. Nothing is invented: what was invalid stays None.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

import orjson

from spct.bench.suites.benchmark import Ballot, Ballots, Graded
from spct.run.store import RunStore
from spct.voting.accuracy import tie_credit
from spct.voting.blocks import Part
from spct.voting.rows import keep_part, missing_of, sample_rows
from spct.voting.vote import Means, row_means

ScoreKind = Literal["scores", "expected"]


def ballots_of(store: RunStore, *, scored: ScoreKind = "scores") -> dict[str, list[Ballot]]:
    """Every item's ballots by id, in order of the planned samples: ballot i is sample i, the last attempt at it.

    ``scored`` "expected" takes the expected scores instead; a judgment without them counts as invalid. An item that
    was begun and has no judgment yet has no ballots. A sample that was planned before others and is not there is an
    invalid ballot. Reads scores and orders only: 100,000 judgments take about a second.
    """
    names = dict(store.item_ids())
    samples: dict[int, dict[int, dict[int, Part]]] = {position: {} for position in names}
    known: dict[str | None, Any] = {None: None}

    def parsed(text: str | None) -> Any:
        if text not in known:
            known[text] = tuple(orjson.loads(text or ""))
        return known[text]

    for position, (index, block, _), shown, scores, expected in store.score_rows():
        found = parsed(expected if scored == "expected" and scores is not None else scores)
        keep_part(samples[position], index, block, (parsed(shown), found))
    return {names[position]: _of_item(of_item) for position, of_item in samples.items()}


def _of_item(samples: Mapping[int, Mapping[int, Part]]) -> list[Ballot]:
    if not samples:
        return []
    planned = [list(samples.get(index, {}).values()) for index in range(max(samples) + 1)]
    shown = [tuple([i for order, _ in parts for i in order]) for parts in planned]
    rows = sample_rows(planned, 1 + max(i for order in shown for i in order))
    return [Ballot(None if row is None else tuple(row), order) for row, order in zip(rows, shown, strict=True)]


def means_of(ballots: Iterable[Ballot]) -> Means | None:
    """The vote: each response's mean over the ballots that score it; None unless every response is scored by one.

    Raises InputError for ballots on different numbers of responses.
    """
    return row_means([ballot.scores_N for ballot in ballots if ballot.scores_N is not None])


def missing_share(ballots: Ballots) -> float:
    """The share of all samples that is invalid; one that scores some of n responses is so in part."""
    rows = [ballot.scores_N for of_item in ballots.values() for ballot in of_item]
    return missing_of(rows) / len(rows) if rows else 0.0


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
