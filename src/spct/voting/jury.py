"""A jury and what it came to, as values and in words; ``by_juror`` works it out.

A juror is a judge with a name, a weight and a number of judgments of its own. In a run its judgments have blocks from
``BLOCKS`` times its place on, so each of them says whose it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any, Literal, Self, get_args

from spct.errors import InputError
from spct.harmless import line
from spct.rubrics.numbers import exact, number
from spct.rubrics.rubric import Rubric
from spct.types import ItemError

BLOCKS = 1000
"""Blocks that the judgments of one juror may have."""
MOST_JURORS = 100

Comparable = Literal["raw", "standardised", "rank", "escalate"]
"""How scores of several judges become comparable.

raw: as they are. rank: within each judgment, the share of the other responses below, ties half. standardised: less the
juror's mean over the run, over its deviation. escalate: not at all: the first juror's vote counts where its confidence is
high enough, else the last one's.
"""


@dataclass(frozen=True, slots=True)
class Juror:
    """One judge of a jury, at its ``place`` among all that judged. ``scale`` is that of its scores, None if unknown.

    ``moments`` are the mean and the deviation of its scores over the run, for "standardised".
    """

    name: str
    place: int
    k: int
    weight: Fraction = Fraction(1)
    scale: tuple[float, float] | None = None
    rubric: Rubric | None = None
    moments: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Jury:
    """Judges that vote together. ``below`` is the confidence under which "escalate" asks the last one."""

    jurors: tuple[Juror, ...]
    comparable: Comparable = "raw"
    below: float | None = None

    def __post_init__(self) -> None:
        names = [juror.name for juror in self.jurors]
        if not 1 <= len(names) <= MOST_JURORS or len(set(names)) < len(names):
            raise InputError(
                f"got a jury of {', '.join(names) or 'nobody'}; expected 1 to {MOST_JURORS} names, each once"
            )
        if self.comparable not in get_args(Comparable):
            raise InputError(f"comparable is {self.comparable!r}; expected one of {', '.join(get_args(Comparable))}")
        if any(juror.weight <= 0 for juror in self.jurors):
            raise InputError("a juror's weight must be above 0; to leave one out, do not name it")
        if self.comparable == "escalate":
            if len(self.jurors) != 2:
                raise InputError(f"escalation is from one judge to another; got {', '.join(names)}")
            if self.below is None or not 0 <= self.below <= 1:
                raise InputError(
                    f"below is {self.below}; expected the confidence, 0 to 1, under which the second is asked"
                )
        if self.comparable == "raw" and len({juror.scale for juror in self.jurors}) > 1:
            told = ", ".join(f"{j.name} {_scale_text(j.scale)}" for j in self.jurors)
            raise InputError(f"raw scores of different scales ({told}) do not add up; use rank or standardised")

    @property
    def scale(self) -> tuple[float, float] | None:
        """The least and the greatest score that the jury gives, None where that is not known."""
        if self.comparable == "rank":
            return (0.0, 1.0)
        scales = {juror.scale for juror in self.jurors}
        return scales.pop() if len(scales) == 1 and self.comparable != "standardised" else None

    @classmethod
    def of_row(cls, row: Mapping[str, Any]) -> Self:
        """The jury of which ``row`` is ``as_row``."""
        jurors = [
            Juror(
                juror["name"],
                juror["place"],
                juror["k"],
                exact(juror["weight"]),
                None if juror["scale"] is None else tuple(juror["scale"]),
                None if juror["rubric"] is None else Rubric.of_row(juror["rubric"]),
            )
            for juror in row["jurors"]
        ]
        return cls(tuple(jurors), row["comparable"], row["below"])

    def as_row(self) -> dict[str, Any]:
        """As JSON values; without moments, which a run does not know before its end."""
        jurors = [
            {
                "name": juror.name,
                "place": juror.place,
                "k": juror.k,
                "weight": number(juror.weight),
                "scale": None if juror.scale is None else list(juror.scale),
                "rubric": None if juror.rubric is None else juror.rubric.as_row(),
            }
            for juror in self.jurors
        ]
        return {"jurors": jurors, "comparable": self.comparable, "below": self.below}

    def has(self, block: int) -> bool:
        """Whether judgments with this block are of one of the jurors."""
        return any(juror.place == block // BLOCKS for juror in self.jurors)

    def only(self, names: Sequence[str]) -> tuple[Juror, ...]:
        """The jurors of these names, in this order. Raises InputError for one that did not judge."""
        by_name = {juror.name: juror for juror in self.jurors}
        if unknown := [name for name in names if name not in by_name]:
            raise InputError(f"no judge {unknown[0]!r} in this run; there are {', '.join(by_name)}")
        return tuple(by_name[name] for name in names)

    def up_to(self, k: int) -> Jury:
        """The same with at most ``k`` judgments of each juror."""
        return replace(self, jurors=tuple(replace(juror, k=min(juror.k, k)) for juror in self.jurors))


@dataclass(frozen=True, slots=True)
class JurorResult:
    """One juror's own vote. ``means`` are on its own scale, None where it has no valid judgment of some response.

    ``place`` is as in ``Juror``, ``asked`` counts its judgments.
    ``leaders`` share its highest mean. ``counted`` says whether the jury's vote has it in it. ``error`` is what kept it from
    making all its judgments, None for nothing.
    """

    name: str
    place: int
    weight: float
    k: int
    valid: int
    asked: int
    means: tuple[float, ...] | None = None
    leaders: tuple[int, ...] = ()
    confidence: float | None = None
    counted: bool = False
    error: ItemError | None = None

    def as_row(self) -> dict[str, Any]:
        row = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {**row, "error": self.error and {"type": self.error.type, "message": self.error.message}}


@dataclass(frozen=True, slots=True)
class JuryTable:
    """A jury's vote on one item. ``escalated`` says whether the last juror was called in, None for other rules.

    ``exact_N`` are the means that it ranks by, ``rows`` what they are the means of, with the order each was shown in;
    () where no juror has a vote. ``noise`` is that of the rows.
    """

    comparable: Comparable
    results: tuple[JurorResult, ...]
    escalated: bool | None = None
    exact_N: tuple[Fraction, ...] = ()
    rows: tuple[Sequence[float | None], ...] = field(default=(), repr=False)
    orders: tuple[tuple[int, ...], ...] = field(default=(), repr=False)
    noise: float = 0.0

    @property
    def missing(self) -> tuple[str, ...]:
        """The jurors that have no vote; one that escalation did not call in is not missing."""
        if self.comparable == "escalate":
            return tuple(r.name for r in self.results if r.means is None and (r.asked or r.error))
        return tuple(r.name for r in self.results if not r.counted)

    def name_of(self, block: int) -> str | None:
        """Whose the judgments with this block are; None for a judge that this jury is without."""
        return next((result.name for result in self.results if result.place == block // BLOCKS), None)

    def with_errors(self, errors: Mapping[str, ItemError]) -> Self:
        """The same, with what kept jurors from judging, by their names: judgments do not say it."""
        return replace(self, results=tuple(replace(r, error=errors.get(r.name)) for r in self.results))

    def as_row(self) -> dict[str, Any]:
        """As JSON values."""
        jurors = [result.as_row() for result in self.results]
        return {"comparable": self.comparable, "escalated": self.escalated, "jurors": jurors}


def errors_in(row: Mapping[str, Any] | None) -> dict[str, ItemError]:
    """The errors of jurors, by name, in ``JuryTable.as_row``; {} where there is no such row."""
    jurors = () if row is None else row["jurors"]
    return {juror["name"]: ItemError(**juror["error"]) for juror in jurors if juror.get("error") is not None}


def jury_rows(table: JuryTable, ranking: Sequence[int], name: Callable[[int], str] = str) -> list[tuple[str, ...]]:
    """A table of the jurors for people, the heads first; a column for each response in order of ``ranking``."""
    rows: list[tuple[str, ...]] = [("judge", "weight", "valid", "counted", *(f"response {name(i)}" for i in ranking))]
    for result in table.results:
        means = ["-" if result.means is None else f"{result.means[i]:.2f}" for i in ranking]
        counted = "yes" if result.counted else "no"
        rows.append((result.name, f"{result.weight:g}", f"{result.valid}/{result.k}", counted, *means))
    return rows


def jury_sentence(table: JuryTable) -> str:
    """Whose vote it is, who is missing from it, and what kept whom from judging."""
    counted = ", ".join(result.name for result in table.results if result.counted) or "nobody"
    how = _HOW[table.comparable]
    if table.escalated is not None:
        first = table.results[0]
        sure = "no confidence" if first.confidence is None else f"confidence {first.confidence:.2f}"
        how = f"{first.name} has {sure}, so the item was {'handed on' if table.escalated else 'kept'}"
    lost = f"; no vote of {', '.join(table.missing)}, left out" if table.missing else ""
    failed = "".join(f"; {r.name}: {_failure(r)}" for r in table.results if r.error is not None)
    return f"the vote is of {counted}: {how}{lost}{failed}"


def _failure(result: JurorResult) -> str:
    assert result.error is not None
    partly = f", after {result.valid} of {result.k} judgments" if result.means is not None else ""
    return f"{line(result.error.type)}: {line(result.error.message)}{partly}"


_HOW: Mapping[Comparable, str] = {
    "raw": "scores as they are",
    "rank": "ranks within each judgment",
    "standardised": "scores standardised within each judge over the run",
    "escalate": "",
}


def _scale_text(scale: tuple[float, float] | None) -> str:
    return "of no stated scale" if scale is None else f"{scale[0]:g} to {scale[1]:g}"
