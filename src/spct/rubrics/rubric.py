"""A rubric as values: criteria, their weights, what an answer is worth, and when a response fails whatever its total.

All numbers are fractions, exact as they were written: ``0.1`` is a tenth. ``as_row`` is the rubric as JSON, which a run
keeps and is resumed by. Failure rule: a rubric that cannot be is an InputError that names the file and the line.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from spct.errors import InputError
from spct.rubrics.checks import Check
from spct.rubrics.numbers import exact, number

CriterionKind = Literal["scale", "yes-no", "choice", "check"]

HALF = Fraction(1, 2)


@dataclass(frozen=True, slots=True)
class Criterion:
    """One criterion. ``weight`` is in points; a negative one takes points away where the criterion is met.

    ``scale`` holds the least and the greatest answer: of a scale as written, of yes and no 0 and 1, of a choice the
    numbers of the choices, of a check 0 and 1. ``gate`` fails a response: a number is the least mean that passes (of a
    scale on that scale, else of its worth), True or False is what most answers must be. ``k`` is how often it is asked
    at most, None as often as the run says; a check is made once.
    """

    id: str
    kind: CriterionKind
    weight: Fraction
    ask: str = ""
    scale: tuple[int, int] = (0, 1)
    anchors: tuple[tuple[int, str], ...] = ()
    choices: tuple[tuple[str, Fraction], ...] = ()
    check: Check | None = None
    gate: Fraction | bool | None = None
    k: int | None = None

    def worth(self, answer: float | Fraction) -> Fraction:
        """What an answer, or a mean of answers to anything but a choice, is worth: 0 to 1."""
        if self.kind == "choice":
            return self.choices[int(answer) - 1][1]
        low, high = self.scale
        return (exact(answer) - low) / (high - low)

    def passes(self, mean: Fraction) -> bool | None:
        """Whether a response whose answers are worth ``mean`` passes the gate; None without a gate."""
        if self.gate is None:
            return None
        if isinstance(self.gate, bool):
            return mean > HALF if self.gate else mean < HALF
        return mean >= (self.worth(self.gate) if self.kind == "scale" else self.gate)


@dataclass(frozen=True, slots=True)
class Rubric:
    """Criteria that responses are judged by. ``threshold`` is the least share of the points that passes, if any."""

    name: str
    criteria: tuple[Criterion, ...]
    threshold: Fraction | None = None

    @classmethod
    def load(cls, source: Path | str) -> Rubric:
        """The rubric in a YAML file, or the shipped one of that name. Raises InputError, with the line."""
        from spct.rubrics.reading import read_rubric

        path = Path(source)
        try:
            exists = path.exists()
        except OSError:  # a name that is too long
            exists = False
        if not path.suffix and not exists:
            if str(source) not in shipped_names():
                known = ", ".join(shipped_names())
                raise InputError(f"rubric {str(source)!r}: no such file, and none of the shipped names ({known})")
            path = Path(str(files(__package__) / "shipped" / f"{source}.yaml"))
        return cls.of_row(read_rubric(path))

    @classmethod
    def of_row(cls, row: Mapping[str, Any]) -> Rubric:
        """The rubric of which ``row`` is ``as_row``, which was checked when it was read."""
        threshold = row.get("pass")
        return cls(
            row["name"], tuple(map(_criterion, row["criteria"])), None if threshold is None else exact(threshold)
        )

    def as_row(self) -> dict[str, Any]:
        """The rubric as JSON values."""
        threshold = {} if self.threshold is None else {"pass": number(self.threshold)}
        return {"name": self.name, "criteria": [_row(criterion) for criterion in self.criteria], **threshold}

    @property
    def judged(self) -> tuple[int, ...]:
        """The places of the criteria that a model is asked about."""
        return tuple(i for i, criterion in enumerate(self.criteria) if criterion.check is None)

    def k_of(self, place: int, k: int) -> int:
        """How many answers the criterion at ``place`` is to have where the run asks for ``k``, which is the most."""
        criterion = self.criteria[place]
        return 1 if criterion.check is not None else min(criterion.k or k, k)


def point_range(weights: Sequence[Fraction]) -> tuple[Fraction, Fraction]:
    """The least and the most points that criteria of these weights can give."""
    zero = Fraction(0)
    return sum((w for w in weights if w < 0), zero), sum((w for w in weights if w > 0), zero)


def shipped_names() -> list[str]:
    """The rubrics that come with the package."""
    return sorted(path.name.removesuffix(".yaml") for path in (files(__package__) / "shipped").iterdir())


def _criterion(row: Mapping[str, Any]) -> Criterion:
    gate = row.get("gate")
    choices = tuple((name, exact(value)) for name, value in row.get("choices", {}).items())
    return Criterion(
        id=row["id"],
        kind=row["kind"],
        weight=exact(row["weight"]),
        ask=row.get("ask", ""),
        scale=(1, len(choices)) if choices else tuple(row.get("scale", (0, 1))),
        anchors=tuple((int(place), text) for place, text in row.get("anchors", {}).items()),
        choices=choices,
        check=None if row.get("check") is None else Check(row["check"]),
        gate=gate if gate is None or isinstance(gate, bool) else exact(gate),
        k=row.get("k"),
    )


def _row(criterion: Criterion) -> dict[str, Any]:
    """The row of a criterion, without what it does not say."""
    gate = criterion.gate
    row = {
        "id": criterion.id,
        "kind": criterion.kind,
        "weight": number(criterion.weight),
        "ask": criterion.ask or None,
        "scale": list(criterion.scale) if criterion.kind == "scale" else None,
        "anchors": {str(place): text for place, text in criterion.anchors} or None,
        "choices": {name: number(value) for name, value in criterion.choices} or None,
        "check": None if criterion.check is None else dict(criterion.check.asked),
        "gate": number(gate) if isinstance(gate, Fraction) else gate,
        "k": criterion.k,
    }
    return {name: value for name, value in row.items() if value is not None}
