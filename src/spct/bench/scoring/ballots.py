"""Stored judgments -> ballots, which benchmarks vote over and grade (``suites.grading``).

A ballot is one planned sample: the row that it brings to the vote (``spct.voting.rows``, as for a verdict). Blocks are
reconciled over all samples of their item, whichever of them then vote. Nothing is invented: what was invalid stays None.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Literal

import orjson

from spct.bench.suites.benchmark import Ballot, Ballots
from spct.rubrics import Rubric
from spct.run.damage import as_damage
from spct.run.store import RunStore
from spct.run.stored import written_jury, written_rubric
from spct.voting.blocks import Part
from spct.voting.by_criterion import criteria_of
from spct.voting.by_juror import jury_table
from spct.voting.criteria import Criteria
from spct.voting.jury import Jury, JuryTable
from spct.voting.rows import Samples, keep_part, missing_of, sample_rows

ScoreKind = Literal["scores", "expected"]


def ballots_of(store: RunStore, *, scored: ScoreKind = "scores") -> dict[str, list[Ballot]]:
    """Every item's ballots by id, in order of the planned samples: ballot i is sample i, the last attempt at it.

    ``scored`` "expected" takes the expected scores instead; the ballot of a valid judgment without them is lacking. An item
    that was begun and has no judgment yet has no ballots. A sample that was planned before others and is not there is
    an invalid ballot. Reads scores and orders only: 100,000 judgments take about a second.
    """
    names = dict(store.item_ids())
    samples: dict[int, dict[int, dict[int, Part]]] = {position: {} for position in names}
    lacking: dict[int, set[int]] = {position: set() for position in names}
    known: dict[str | None, Any] = {None: None}

    def parsed(text: str | None) -> Any:
        if text not in known:
            known[text] = tuple(orjson.loads(text or ""))
        return known[text]

    with as_damage(str(store.directory)):
        rubric, jury, k = _voters(store)
        for position, (index, block, _), shown, scores, expected in store.score_rows():
            found = parsed(expected if scored == "expected" else scores)
            if found is None and scores is not None:
                lacking[position].add(index)
            keep_part(samples[position], index, block, (parsed(shown), found))
        if rubric is not None or jury is not None:
            tables = {position: _table(of_item, rubric, jury, k) for position, of_item in samples.items()}
            return {names[position]: _of_table(table) for position, table in tables.items()}
        return {names[position]: _of_item(of_item, lacking[position]) for position, of_item in samples.items()}


def unread_of(store: RunStore) -> dict[str, tuple[int, int]] | None:
    """For each item how many of its answers cannot be read, and how many were asked for: of a run by a rubric or of a jury.

    Their rows have a mean in the place of what is missing, so their ballots do not show it. None for any other run.
    """
    with as_damage(str(store.directory)):
        rubric, jury, k = _voters(store)
        if rubric is None and jury is None:
            return None
        names = dict(store.item_ids())
        valid: dict[int, dict[tuple[int, int], bool]] = {position: {} for position in names}
        for position, (index, block, _), _, scores, _ in store.score_rows():
            found = valid[position]
            found[index, block] = found.get((index, block), False) or scores is not None
    if (
        jury is None and rubric is not None
    ):  # an invalid joint answer is kept for one criterion, and is missing from all
        planned = [(i, place) for place in range(len(rubric.criteria)) for i in range(rubric.k_of(place, k))]
        valid = {position: {at: found.get(at, False) for at in planned} for position, found in valid.items()}
    return {names[position]: (len(found) - sum(found.values()), len(found)) for position, found in valid.items()}


def _voters(store: RunStore) -> tuple[Rubric | None, Jury | None, int]:
    """The run's rubric and jury, if any, and its k."""
    written = store.settings
    return written_rubric(written), written_jury(written), written.get("k", 0)


def _table(samples: Samples, rubric: Rubric | None, jury: Jury | None, k: int) -> Criteria | JuryTable:
    """The vote by a rubric or of a jury: gates, and what is missing, are as all the judgments of the item decide them."""
    n = max((len(order) for parts in samples.values() for order, _ in parts.values()), default=0)
    if jury is not None:
        return jury_table(samples, n, jury)
    assert rubric is not None
    return criteria_of(samples, n, rubric, k)


def _of_table(table: Criteria | JuryTable) -> list[Ballot]:
    return [Ballot(tuple(row), order) for row, order in zip(table.rows, table.orders, strict=True)]


def _of_item(samples: Samples, lacking: Collection[int]) -> list[Ballot]:
    if not samples:
        return []
    planned = [list(samples.get(index, {}).values()) for index in range(max(samples) + 1)]
    shown = [tuple([i for order, _ in parts for i in order]) for parts in planned]
    rows = sample_rows(planned, 1 + max(i for order in shown for i in order))
    return [
        Ballot(None if row is None else tuple(row), order, index in lacking)
        for index, (row, order) in enumerate(zip(rows, shown, strict=True))
    ]


def missing_share(ballots: Ballots) -> float:
    """The share of all samples that is invalid; one that scores some of n responses is so in part."""
    rows = [ballot.scores_N for of_item in ballots.values() for ballot in of_item]
    return missing_of(rows) / len(rows) if rows else 0.0
