"""What measures are made of and what they give: a vote beside the truth of its item; a named value."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import isfinite

from spct.types import Item, Truth
from spct.voting.rows import ScoreRow, Shown
from spct.voting.vote import row_means

Scale = tuple[float, float]
Means = tuple[float, ...]
Choice = float
"""Who leads a pair, as the value of its first response: 1, 0, or a half for a tie."""
EXTRA = "needs pip install 'spct[bench]'"


@dataclass(frozen=True, slots=True)
class Case:
    """One item's vote and truth. ``means_N`` is None where there was no vote.

    ``games`` are the choices of a pair's votes within each of its two orders, where both were shown.
    """

    id: str
    truth: Truth
    means_N: Means | None
    games: tuple[Choice, Choice] | None = None


@dataclass(frozen=True, slots=True)
class Measure:
    """A value ``over`` so many items, with its 95% interval where it has one; ``note`` says more, or why there is none.

    ``share`` says that the value is a share of 1, which people read in percent.
    """

    name: str
    value: float | None
    over: int
    note: str = ""
    low: float | None = None
    high: float | None = None
    share: bool = False


def case_of(item: Item, means_N: Means | None, shown: Shown) -> Case | None:  # noqa: N803
    """The item's case, None without a truth."""
    if item.truth is None:
        return None
    games = pair_games(shown) if item.truth.kind == "pair" and means_N is not None else None
    return Case(item.id, item.truth, means_N, games)


def pair_games(shown: Shown) -> tuple[Choice, Choice] | None:
    """Who leads a pair by the judgments in each of its two orders; None unless there are some in both."""
    rows: tuple[list[ScoreRow], list[ScoreRow]] = ([], [])
    for order, row in shown:
        if row is not None and len(row) == 2:
            rows[order != (0, 1)].append(row)
    first, second = map(row_means, rows)
    return None if first is None or second is None else (choice_of(first), choice_of(second))


def voted(cases: Iterable[Case]) -> list[tuple[Means, tuple[float, ...]]]:
    """The means and the truth's values of the cases that have a vote."""
    return [(case.means_N, case.truth.values_N) for case in cases if case.means_N is not None]


def average(name: str, values: Sequence[float], note: str = "", *, share: bool = False) -> Measure:
    """The mean of ``values`` as a measure."""
    if not values:
        return Measure(name, None, 0, note or "no item allows it", share=share)
    return Measure(name, sum(values) / len(values), len(values), note, share=share)


def by_library(name: str, over: int, value: Callable[[], float], note: str = "") -> Measure:
    """A measure that a library computes; without the library, or where it is not defined, one that says so."""
    try:
        found = float(value())
    except ModuleNotFoundError:
        return Measure(name, None, over, EXTRA)
    return Measure(name, found, over, note) if isfinite(found) else Measure(name, None, over, "not defined: no spread")


def choice_of(means_N: Means) -> Choice:  # noqa: N803
    """Who leads a pair."""
    first, second = means_N
    return 0.5 if first == second else float(first > second)


def top_of(means_N: Means) -> list[int]:  # noqa: N803
    """The responses that share the highest mean."""
    highest = max(means_N)
    return [i for i, mean in enumerate(means_N) if mean == highest]
