"""What can be said of an item at a glance, each under a name: what people filter by, in the terminal and in the browser."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from spct.errors import InputError
from spct.voting.accuracy import Grade
from spct.voting.rows import ScoreRow, Shown
from spct.voting.vote import row_means

CONFIDENT, UNSURE = 0.9, 0.6

KINDS = {
    "correct": "right",
    "wrong": "wrong",
    "tied": "tied",
    "none": "no verdict",
    "unfinished": "unfinished",
    "invalid": "with invalid judgments",
    "unsure": f"low confidence (below {UNSURE:g})",
    "sure-wrong": f"confident ({CONFIDENT:g} or more) and wrong",
    "flipped": "flipped by order",
}
"""Every kind, in words."""
OUTCOMES = ("correct", "wrong", "tied", "none", "unfinished")
"""What an item came to: of several asked for, one will do. Each of the other kinds must hold."""


def kinds_of(row: Mapping[str, Any], grade: Grade | None, shown: Shown, n: int, *, finished: bool) -> tuple[str, ...]:
    """The kinds of an item of ``n`` responses; ``row`` is its verdict as reported, or the vote so far."""
    confidence = row["confidence"]
    holds = {
        "correct": grade == "correct",
        "wrong": grade == "wrong",
        "tied": grade == "tied" or bool(row["tied"]),
        "none": finished and row["best"] is None,
        "unfinished": not finished,
        "invalid": row["invalid"] > 0,
        "unsure": confidence is not None and confidence < UNSURE,
        "sure-wrong": confidence is not None and confidence >= CONFIDENT and grade == "wrong",
        "flipped": flipped_by_order(shown, n),
    }
    return tuple(name for name, held in holds.items() if held)


def is_asked_for(kinds: Collection[str], asked: Collection[str]) -> bool:
    """Whether an item of these kinds is among those asked for: of one of the outcomes, and of all other kinds."""
    outcomes = [name for name in asked if name in OUTCOMES]
    others = [name for name in asked if name not in OUTCOMES]
    return (not outcomes or any(name in kinds for name in outcomes)) and all(name in kinds for name in others)


def check_kinds_known(asked: Iterable[str]) -> None:
    """Raise InputError for a name that is no kind."""
    if unknown := [name for name in asked if name not in KINDS]:
        raise InputError(f"got {unknown[0]!r}; expected some of {', '.join(KINDS)}")


def flipped_by_order(shown: Shown, n: int) -> bool:
    """Whether the votes over the judgments of single orders name different winners; False without two orders to compare.

    An order in which two responses share first place names nobody.
    """
    rows: dict[tuple[int, ...], list[ScoreRow]] = {}
    for order, scores in shown:
        if scores is not None and len(order) == n > 1:
            rows.setdefault(order, []).append(scores)
    winners = set()
    for of_order in rows.values():
        means = row_means(of_order)
        if means is not None and sorted(means)[-1] > sorted(means)[-2]:
            winners.add(means.index(max(means)))
    return len(winners) > 1
