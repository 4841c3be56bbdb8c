"""An item, its verdict and the scores of its judgments -> its row of the grid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from spct.measures.case import Scale
from spct.types import Item
from spct.views.kinds import kinds_of
from spct.voting.accuracy import can_be_right, grade
from spct.voting.rows import Shown

QUERY_CHARS = 300
EXTRA_CHARS = 80
"""Extra keys with longer values are no categories, and cannot be filtered by."""


class Cells(NamedTuple):
    """The columns of ``cells`` from ``position`` to ``verdict``; ``kinds`` have a comma before and behind each."""

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
    kinds: str
    finished: bool
    tokens: int | None
    error: str | None
    verdict: str | None


def cells_of(
    position: int,
    item: Item,
    row: Mapping[str, Any],
    shown: Shown,
    *,
    scale: Scale | None,
    tokens: int | None,
    verdict: str | None,
) -> Cells:
    """``row`` is a verdict as it was reported, ``verdict`` its text as stored, None while there is none.

    ``shown`` is as by ``shown_of``.
    """
    means = row["means"]
    gradable = None if item.truth is None else can_be_right(item, scale)
    graded = grade(means, item) if gradable and verdict is not None else None
    query = next((m.content for m in reversed(item.messages) if m.role == "user"), item.messages[-1].content)
    return Cells(
        position=position,
        id=item.id,
        query=" ".join(query[: 2 * QUERY_CHARS].split())[:QUERY_CHARS],
        n=len(item.responses),
        kind=None if item.truth is None else item.truth.kind,
        gradable=gradable,
        grade=graded,
        best=row["best"],
        truth=item.best,
        confidence=row["confidence"],
        margin=_margin(means),
        k=row["k"],
        valid=row["valid"],
        invalid=row["invalid"],
        kinds=f",{','.join(kinds_of(row, graded, shown, len(item.responses), finished=verdict is not None))},",
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


def extras_of(item: Item) -> list[tuple[str, str]]:
    """The extra keys that items can be told apart by: short text, whole numbers, yes and no."""
    found = []
    for key, value in item.extra.items():
        if isinstance(value, bool):
            found.append((key, "yes" if value else "no"))
        elif isinstance(value, int) or (isinstance(value, str) and 0 < len(value) <= EXTRA_CHARS):
            found.append((key, str(value)))
    return found
