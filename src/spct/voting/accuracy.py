"""Is a vote right? Eq 10 of arXiv 2504.02495, the tie rules beside it, and accuracy at every k from one set of samples.

Results are never one number: an item is correct, wrong, tied or invalid (no vote), and each tie rule says what a tie is
worth. ``N`` responses, ``K`` judgments.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Literal

from spct.types import Item

Grade = Literal["correct", "wrong", "tied", "invalid"]
Totals = Sequence[float]
Rows = Sequence[Sequence[float] | None]

SUBSETS = 256
"""Subsets of one size drawn per item where there are more than that; all of them where there are not."""


def grade(totals_N: Totals | None, item: Item) -> Grade | None:  # noqa: N803
    """Grade a vote against the item's ground truth; None where there is none, or no unique best.

    n >= 2 (Eq 10): "correct" if the best response's total is above every other's, "tied" if it shares the maximum,
    else "wrong". n = 1, with ``totals_N`` given as means: "correct" if the score equals the label (Eq 10); a mean
    between scores of 0 and 1 is their majority, and "tied" where they are even.
    """
    if len(item.responses) == 1:
        if item.rewards_N is None:
            return None
        return "invalid" if totals_N is None else _grade_single(totals_N[0], item.rewards_N[0])
    if item.best is None:
        return None
    if totals_N is None:
        return "invalid"
    top = max(totals_N)
    if totals_N[item.best] < top:
        return "wrong"
    return "correct" if sum(total == top for total in totals_N) == 1 else "tied"


def _grade_single(mean: float, label: float) -> Grade:
    if mean == 0.5 and label in (0, 1):
        return "tied"
    voted = round(mean) if 0 < mean < 1 else mean
    return "correct" if voted == label else "wrong"


def tie_credit(totals_N: Totals, best: int) -> float:  # noqa: N803
    """1/#tied if ``best`` is at the maximum, else 0: what shuffle-then-argmax scores on average."""
    top = max(totals_N)
    return 1 / sum(total == top for total in totals_N) if totals_N[best] == top else 0.0


@dataclass(frozen=True, slots=True)
class Grades:
    """Counts (or expected counts) of each grade, and the credit under the random tie rule."""

    correct: float = 0.0
    wrong: float = 0.0
    tied: float = 0.0
    invalid: float = 0.0
    credit: float = 0.0

    def __add__(self, other: Grades) -> Grades:
        return Grades(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    def scaled(self, factor: float) -> Grades:
        return Grades(*(getattr(self, f.name) * factor for f in fields(self)))

    @property
    def count(self) -> float:
        return self.correct + self.wrong + self.tied + self.invalid

    @property
    def strict(self) -> float:
        """Accuracy where a tie and an invalid item are wrong (Eq 10)."""
        return self.correct / self.count if self.count else math.nan

    @property
    def random_tie(self) -> float:
        """Accuracy where a tie earns 1/#tied and an invalid item nothing."""
        return self.credit / self.count if self.count else math.nan


def grades_of(totals_N: Totals | None, item: Item) -> Grades:  # noqa: N803
    """One item's grade as counts; all zero without ground truth."""
    found = grade(totals_N, item)
    if found is None:
        return Grades()
    if found == "tied" and totals_N is not None:
        return Grades(tied=1.0, credit=_tied_credit(totals_N, item))
    return Grades(**{found: 1.0}, credit=1.0 if found == "correct" else 0.0)


def _tied_credit(totals_N: Totals, item: Item) -> float:  # noqa: N803
    if len(item.responses) == 1 or item.best is None:
        return 0.5  # the even votes of one response go either way
    return tie_credit(totals_N, item.best)


def grades_at(rows_KN: Rows, item: Item, k: int) -> Grades:  # noqa: N803
    """Expected grades of a vote over k of the item's K judgments, averaged over subsets of size k.

    Unbiased for the accuracy of a fresh vote over k (a U-statistic: every subset is as good a sample as any other).
    ``rows_KN`` has one row per planned judgment, None where it is invalid; a subset without a valid row is invalid.
    """
    picks = subsets(len(rows_KN), k, key=item.id)
    total = Grades()
    for pick in picks:
        total += grades_of(_vote([rows_KN[i] for i in pick], single=len(item.responses) == 1), item)
    return total.scaled(1 / len(picks))


def subsets(size: int, k: int, *, key: str = "") -> list[tuple[int, ...]]:
    """Subsets of k out of ``size``: all if they are few, else SUBSETS drawn at random (seeded by ``key``)."""
    if math.comb(size, k) <= SUBSETS:
        return list(itertools.combinations(range(size), k))
    draw: Callable[..., list[int]] = random.Random(f"{key}:{size}:{k}").sample
    return [tuple(sorted(draw(range(size), k))) for _ in range(SUBSETS)]


def _vote(rows: Rows, *, single: bool) -> Totals | None:
    valid = [row for row in rows if row is not None]
    if not valid:
        return None
    totals = [math.fsum(column) for column in zip(*valid, strict=True)]
    return [totals[0] / len(valid)] if single else totals
