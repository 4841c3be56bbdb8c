"""What responses have of a rubric, criterion by criterion, as values and as people read them (``by_criterion`` works it out)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any


@dataclass(frozen=True, slots=True)
class CriterionResult:
    """One criterion over N responses. All but ``valid``, ``k`` and ``weight`` is None where it has no valid answer.

    ``means`` are on its own scale, ``worth`` is 0 to 1, ``spread`` the standard deviation of the worth over the answers.
    ``confidence`` is the chance that its leader would still lead it, None for checks. ``passed`` says who passes its gate.
    """

    id: str
    weight: float
    k: int
    valid: int
    means: tuple[float, ...] | None = None
    worth: tuple[float, ...] | None = None
    spread: tuple[float | None, ...] | None = None
    confidence: float | None = None
    passed: tuple[bool, ...] | None = None

    def as_row(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


@dataclass(frozen=True, slots=True)
class Criteria:
    """What n responses have of a rubric. ``least`` and ``most`` are the points possible by the criteria that count.

    ``failed`` are the gates that each response fails. ``passed`` is None where nothing says what passes, or where a gate is
    undecided and all else passes. ``missing`` are the criteria that were left out. ``rows`` are what is voted over, with
    the index of each sample and the order that it was shown in; () where no criterion has an answer.
    """

    rubric: str
    results: tuple[CriterionResult, ...]
    least: float
    most: float
    points: tuple[float, ...] = ()
    shares: tuple[Fraction, ...] = ()
    failed: tuple[tuple[str, ...], ...] = ()
    passed: tuple[bool | None, ...] = ()
    missing: tuple[str, ...] = ()
    rows: tuple[Sequence[float | None], ...] = field(default=(), repr=False)
    indices: tuple[int, ...] = field(default=(), repr=False)
    orders: tuple[tuple[int, ...], ...] = field(default=(), repr=False)

    def as_row(self) -> dict[str, Any]:
        """As JSON values, criterion by criterion."""
        return {
            "rubric": self.rubric,
            "points": self.points,
            "least": self.least,
            "most": self.most,
            "passed": self.passed,
            "failed": self.failed,
            "missing": self.missing,
            "criteria": [result.as_row() for result in self.results],
        }

    def vectors(self) -> tuple[dict[str, float], ...]:
        """For each response its worth by criterion, 0 to 1, without those that are missing: rewards by criterion."""
        known = [(result.id, result.worth) for result in self.results if result.worth is not None]
        return tuple({id: worth[i] for id, worth in known} for i in range(len(self.shares)))


def missing_sentence(criteria: Criteria) -> str | None:
    """What was left out, and what that may have changed; None where nothing was."""
    lost = [result for result in criteria.results if result.id in criteria.missing]
    if not lost:
        return None
    has, it, is_ = ("has", "it", "is") if len(lost) == 1 else ("have", "them", "are")
    standing = [points for points, failed in zip(criteria.points, criteria.failed, strict=True) if not failed]
    first, *others = sorted(standing, reverse=True) or [0.0]
    may = bool(others) and first - others[0] <= sum(abs(result.weight) for result in lost)
    effect = "could change who leads" if may else "would not change who leads by points"
    named = ", ".join(result.id for result in lost)
    what = "1 criterion" if len(lost) == 1 else f"{len(lost)} criteria"
    return f"{what} {has} no valid answer and {is_} left out, not counted as 0: {named}; answers to {it} {effect}"


def criteria_rows(
    criteria: Criteria, ranking: Sequence[int], name: Callable[[int], str] = str
) -> list[tuple[str, ...]]:
    """A table of the criteria for people: a row each, a column for each response in order of ``ranking``; the heads first."""
    rows: list[tuple[str, ...]] = [("criterion", "weight", "valid", *(f"response {name(i)}" for i in ranking))]
    for result in criteria.results:
        cells = [_cell(result, i) for i in ranking]
        rows.append((result.id, f"{result.weight:g}", f"{result.valid}/{result.k}", *cells))
    points = [f"{criteria.points[i]:.2f}" if criteria.points else "-" for i in ranking]
    rows.append(("points", f"{criteria.least:g} to {criteria.most:g}", "", *points))
    if any(passed is not None for passed in criteria.passed):
        rows.append(("passed", "", "", *(PASSED[criteria.passed[i]] for i in ranking)))
    return rows


PASSED = {True: "yes", False: "no", None: "undecided"}


def _cell(result: CriterionResult, i: int) -> str:
    """The mean answer, its worth, and whether it passes the gate if there is one."""
    if result.means is None or result.worth is None:
        return "missing"
    gate = "" if result.passed is None else " passes" if result.passed[i] else " fails"
    return f"{round(result.means[i], 2):g} ({result.worth[i]:.2f}){gate}"
