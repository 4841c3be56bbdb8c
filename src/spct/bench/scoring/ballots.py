"""Stored judgments -> ballots -> votes -> grades: the one way from samples to right and wrong.

A ballot is one planned sample: its last attempt, its blocks put together. Nothing is invented: what was invalid stays
None. Scores are voted on by their mean over the ballots that score a response, which ranks as the sum does where all
ballots score all responses.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import fsum
from typing import Any, Literal

import orjson

from spct.bench.suites.benchmark import Ballot, Graded
from spct.errors import InputError
from spct.run.store import RunStore
from spct.voting.blocks import block_drift

Means = tuple[float, ...]
ScoreKind = Literal["scores", "expected"]

_Block = tuple[tuple[int, ...], tuple[float, ...] | None]
_NO_BALLOT = Ballot(None, ())


def ballots_of(store: RunStore, *, scored: ScoreKind = "scores") -> dict[str, list[Ballot]]:
    """Every item's ballots by id, in order of the planned samples: ballot i is sample i, the last attempt at it.

    ``scored`` "expected" takes the expected scores instead; a judgment without them counts as invalid. An item that
    was begun and has no judgment yet has no ballots. A sample that was planned before others and is not there is an
    invalid ballot. Reads scores and orders only: 100,000 judgments take about a second.
    """
    names = dict(store.item_ids())
    blocks: dict[int, dict[int, dict[int, _Block]]] = {position: {} for position in names}
    known: dict[str | None, Any] = {None: None}

    def parsed(text: str | None) -> Any:
        if text not in known:
            known[text] = tuple(orjson.loads(text or ""))
        return known[text]

    for position, index, block, shown, scores, expected in store.score_rows():
        found = parsed(expected if scored == "expected" and scores is not None else scores)
        blocks[position].setdefault(index, {})[block] = (parsed(shown), found)
    return {names[position]: _of_item(samples) for position, samples in blocks.items()}


def _of_item(samples: Mapping[int, Mapping[int, _Block]]) -> list[Ballot]:
    if not samples:
        return []
    whole = [samples.get(index, {}) for index in range(max(samples) + 1)]
    if all(len(blocks) <= 1 for blocks in whole):
        return [_single(*next(iter(blocks.values()))) if blocks else _NO_BALLOT for blocks in whole]
    return _of_blocks(whole)


def _single(order: tuple[int, ...], scores: tuple[float, ...] | None) -> Ballot:
    return Ballot(scores, order)


def _of_blocks(whole: Sequence[Mapping[int, _Block]]) -> list[Ballot]:
    """Blocks that share responses have their drift taken out first; those that share none are on one scale already."""
    n = 1 + max(i for blocks in whole for order, _ in blocks.values() for i in order)
    valid = [(sorted(order), scores) for blocks in whole for order, scores in blocks.values() if scores is not None]
    drift = iter(block_drift(valid, n) if any(_overlap(blocks) for blocks in whole) else [0] * len(valid))
    return [
        _merged(blocks, n, [next(drift) for _, scores in blocks.values() if scores is not None]) for blocks in whole
    ]


def _overlap(blocks: Mapping[int, _Block]) -> bool:
    shown = [i for order, _ in blocks.values() for i in order]
    return len(shown) > len(set(shown))


def _merged(blocks: Mapping[int, _Block], n: int, drift: Sequence[float]) -> Ballot:
    scored: list[list[float]] = [[] for _ in range(n)]
    valid = [(order, scores) for order, scores in blocks.values() if scores is not None]
    for (order, scores), shift in zip(valid, drift, strict=True):
        for i, score in zip(sorted(order), scores, strict=True):
            scored[i].append(score - shift)
    shown = tuple(i for order, _ in blocks.values() for i in order)
    row = tuple(None if not found else found[0] if len(found) == 1 else mean_of(found) for found in scored)
    return Ballot(row if valid else None, shown)


def mean_of(values: Sequence[float]) -> float:
    return fsum(values) / len(values)


def means_of(ballots: Iterable[Ballot]) -> Means | None:
    """The vote: each response's mean over the ballots that score it; None unless every response is scored by one."""
    rows = [ballot.scores_N for ballot in ballots if ballot.scores_N is not None]
    if not rows:
        return None
    if len({len(row) for row in rows}) > 1:
        raise InputError(f"ballots of {sorted({len(row) for row in rows})} scores on one item; expected equal numbers")
    columns = [[score for score in column if score is not None] for column in zip(*rows, strict=True)]
    return tuple([mean_of(column) for column in columns]) if all(columns) else None


def graded_best(means_N: Means | None, best: int, *, tie: float | None = None, invalid: float = 0.0) -> Graded:  # noqa: N803
    """Grade a vote by whether ``best`` has the highest mean.

    ``tie`` is the benchmark's own credit for ``best`` sharing the maximum (None: 1/#tied), ``invalid`` that for no
    vote. Beside it stand strict (a tie is wrong) and random (1/#tied); no vote earns nothing under either.
    """
    if means_N is None:
        return Graded("invalid", invalid, 0.0, 0.0)
    top = max(means_N)
    if means_N[best] < top:
        return Graded("wrong", 0.0, 0.0, 0.0)
    share = 1 / sum(value == top for value in means_N)
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
