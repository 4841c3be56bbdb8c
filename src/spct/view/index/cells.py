"""An item, its verdict and the scores of its judgments -> its row of the grid."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from spct.measures.case import Scale
from spct.types import Item
from spct.voting.accuracy import can_be_right, grade
from spct.voting.rows import ScoreRow
from spct.voting.vote import row_means

QUERY_CHARS = 300
EXTRA_CHARS = 80
"""Extra keys with longer values are no categories, and cannot be filtered by."""


class Cells(NamedTuple):
    """The columns of ``cells`` from ``position`` to ``verdict``."""

    position: int
    id: str
    query: str
    n: int
    kind: str | None
    gradable: bool | None
    grade: str | None
    best: int | None
    truth: int | None
    confidence: float | None
    margin: float | None
    k: int
    valid: int
    invalid: int
    tied: bool
    flipped: bool | None
    finished: bool
    tokens: int | None
    error: str | None
    verdict: str | None


def cells_of(
    position: int,
    item: Item,
    row: Mapping[str, Any],
    shown: Sequence[tuple[tuple[int, ...], ScoreRow | None]],
    *,
    scale: Scale | None,
    tokens: int | None,
    verdict: str | None,
) -> Cells:
    """``row`` is a verdict as it was reported, ``verdict`` its text as stored, None while there is none.

    ``shown`` are the order and the scores of each judgment.
    """
    means = row["means"]
    gradable = None if item.truth is None else can_be_right(item, scale)
    query = next((m.content for m in reversed(item.messages) if m.role == "user"), item.messages[-1].content)
    return Cells(
        position=position,
        id=item.id,
        query=" ".join(query[: 2 * QUERY_CHARS].split())[:QUERY_CHARS],
        n=len(item.responses),
        kind=None if item.truth is None else item.truth.kind,
        gradable=gradable,
        grade=grade(means, item) if gradable and verdict is not None else None,
        best=row["best"],
        truth=item.best,
        confidence=row["confidence"],
        margin=_margin(means),
        k=row["k"],
        valid=row["valid"],
        invalid=row["invalid"],
        tied=bool(row["tied"]),
        flipped=flipped_by_order(shown, len(item.responses)),
        finished=verdict is not None,
        tokens=tokens,
        error=None if row["error"] is None else row["error"]["type"],
        verdict=verdict,
    )


def _margin(means: Sequence[float] | None) -> float | None:
    """How far the first is ahead of the second; the score itself of a lone response."""
    if not means:
        return None
    first, *rest = sorted(means, reverse=True)
    return first - rest[0] if rest else first


def flipped_by_order(shown: Iterable[tuple[tuple[int, ...], ScoreRow | None]], n: int) -> bool | None:
    """Whether the votes over the judgments of single orders name different winners; None without two orders to compare.

    An order in which two responses share first place names nobody.
    """
    rows: dict[tuple[int, ...], list[ScoreRow]] = {}
    for order, scores in shown:
        if scores is not None and len(order) == n > 1:
            rows.setdefault(order, []).append(scores)
    if len(rows) < 2:
        return None
    winners = set()
    for of_order in rows.values():
        means = row_means(of_order)
        if means is not None and sorted(means)[-1] > sorted(means)[-2]:
            winners.add(means.index(max(means)))
    return len(winners) > 1


def extras_of(item: Item) -> list[tuple[str, str]]:
    """The extra keys that items can be told apart by: short text, whole numbers, yes and no."""
    found = []
    for key, value in item.extra.items():
        if isinstance(value, bool):
            found.append((key, "yes" if value else "no"))
        elif isinstance(value, int) or (isinstance(value, str) and 0 < len(value) <= EXTRA_CHARS):
            found.append((key, str(value)))
    return found
