"""Is a vote right? Eq 10 of arXiv 2504.02495 and the tie rules beside it.

Results are never one number: an item is correct, wrong, tied or invalid (no vote), and each tie rule says what a tie is
worth. Votes come as the means that they rank by, of ``N`` responses.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Literal

from spct.types import Item, TruthKind

Grade = Literal["correct", "wrong", "tied", "invalid"]


def grade(means_N: Sequence[float] | None, item: Item) -> Grade | None:  # noqa: N803
    """Grade a vote against the item's ground truth; None where there is none, or no unique best.

    n >= 2 (Eq 10): "correct" if the best response's mean is above every other's, "tied" if it shares the maximum, else
    "wrong". n = 1: "correct" if the score equals the label (Eq 10); a mean between scores of 0 and 1 is their majority,
    and "tied" where they are even.
    """
    if len(item.responses) == 1:
        if item.rewards_N is None:
            return None
        return "invalid" if means_N is None else _grade_single(means_N[0], item.rewards_N[0])
    if item.best is None:
        return None
    if means_N is None:
        return "invalid"
    share = tie_credit(means_N, item.best)
    return "wrong" if share == 0 else "correct" if share == 1 else "tied"


def _grade_single(mean: float, label: float) -> Grade:
    if mean == 0.5 and label in (0, 1):
        return "tied"
    voted = round(mean) if 0 < mean < 1 else mean
    return "correct" if voted == label else "wrong"


def tie_credit(means_N: Sequence[float], best: int) -> float:  # noqa: N803
    """1/#tied if ``best`` is at the maximum, else 0: what shuffle-then-argmax scores on average."""
    top = max(means_N)
    return 1 / sum(mean == top for mean in means_N) if means_N[best] == top else 0.0


@dataclass(frozen=True, slots=True)
class Grades:
    """Counts of each grade, and the credit under the random tie rule."""

    correct: float = 0.0
    wrong: float = 0.0
    tied: float = 0.0
    invalid: float = 0.0
    credit: float = 0.0

    def __add__(self, other: Grades) -> Grades:
        return Grades(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

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


def grades_of(means_N: Sequence[float] | None, item: Item) -> Grades:  # noqa: N803
    """One item's grade as counts; all zero without ground truth."""
    found = grade(means_N, item)
    if found is None:
        return Grades()
    if found == "tied" and means_N is not None:
        return Grades(tied=1.0, credit=_tied_credit(means_N, item))
    return Grades(**{found: 1.0}, credit=1.0 if found == "correct" else 0.0)


def _tied_credit(means_N: Sequence[float], item: Item) -> float:  # noqa: N803
    if len(item.responses) == 1 or item.best is None:
        return 0.5  # the even votes of one response go either way
    return tie_credit(means_N, item.best)


def can_be_right(item: Item, scale: tuple[float, float] | None) -> bool:
    """Whether a vote on scores of this ``scale`` (None: unknown) can be called right or wrong.

    It needs one best response; or a lone response with a label of 0 or 1, and scores of 0 and 1.
    """
    if len(item.responses) > 1:
        return item.best is not None
    return scale == (0, 1) and item.truth is not None and item.truth.kind == "label" and bool(item.truth.values_N)


@dataclass(slots=True)
class GradesByKind:
    """Grades of a run's items by the kind of their truth; ``scale`` is that of the scores, None if unknown.

    A kind of which some items have no single best response (several right, ties) is left out: a share of the others
    would be no figure of the run. The measures of that kind count them all.
    """

    scale: tuple[float, float] | None = None
    of_kind: dict[TruthKind, Grades] = field(default_factory=dict)
    left_out: set[TruthKind] = field(default_factory=set)

    def add(self, means_N: Sequence[float] | None, item: Item) -> None:  # noqa: N803
        """Count an item that is done."""
        if item.truth is None:
            return
        kind = item.truth.kind
        if can_be_right(item, self.scale):
            self.of_kind[kind] = self.of_kind.get(kind, Grades()) + grades_of(means_N, item)
        else:
            self.left_out.add(kind)

    @property
    def grades(self) -> Grades:
        """The sum over the kinds that are wholly graded."""
        return sum((grades for kind, grades in self.of_kind.items() if kind not in self.left_out), Grades())
