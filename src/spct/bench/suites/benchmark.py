"""The contract of a benchmark: which items it asks, when an answer counts, and how its numbers are put together.

A benchmark never sees an engine. It turns its published files into items, and the ballots that a judge cast on them
into grades; every benchmark keeps its own tie rule and its own arithmetic, and the strict and the random-tie reading
stand beside it. Failure rule: a broken row or a wrong path is an InputError; a subset that is not there is named, and
no figure that needs it is computed.
To add one: a file with a class that follows ``Benchmark``, a line in ``spct.bench.BENCHMARKS``, a row in the contract
test.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from spct.types import Item
from spct.voting.accuracy import Grade


@dataclass(frozen=True, slots=True)
class About:
    """What ``spct bench list`` says of a benchmark. ``hub`` names its data sets on the Hugging Face hub, if any."""

    title: str
    measures: str
    tie_rule: str
    source: str
    licence: str
    hub: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Unit:
    """What is right or wrong as one: mostly a single item, sometimes several (all pairs of a best-of-n set).

    ``cluster`` is the prompt it hangs on: units of one cluster are not independent, and the bootstrap keeps them
    together. ``part`` says which of its item's questions the unit is, where one item answers several (RM-Bench's
    cells).
    """

    id: str
    items: tuple[str, ...]
    subset: str
    cluster: str
    part: str = ""

    def __hash__(self) -> int:
        return hash(self.id)  # every vote and every replicate looks units up; the id alone tells them apart


@dataclass(frozen=True, slots=True)
class Loaded:
    """A benchmark's data: items by id in file order, the units over them, and which subsets of a full download lack."""

    items: Mapping[str, Item]
    units: tuple[Unit, ...]
    missing: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    data_hash: str = ""


@dataclass(frozen=True, slots=True)
class Ballot:
    """One judgment as a benchmark sees it: scores in item order (None if invalid), and the order they were shown in.

    A score is None where responses were scored apart from each other and this one's completion was invalid. ``lacking``: it
    is valid and has no score of the kind that is voted on, so that no vote with it can be held (``voting.rows``).
    """

    scores_N: tuple[float | None, ...] | None
    order: tuple[int, ...]
    lacking: bool = False


Ballots = Mapping[str, Sequence[Ballot]]
"""The ballots that count, by item id. A judge that could not answer an item has no valid ballot there."""


@dataclass(frozen=True, slots=True)
class Graded:
    """A unit's grade, and its credit in 0..1 under the benchmark's own, the strict and the random-tie rule.

    ``value`` and ``margins`` are what a benchmark needs for a figure that is not a mean of credits: ReaLMistake's AUC
    the score, RewardBench 2's Ties the spread among the right responses and their lead over the best wrong one.
    """

    grade: Grade
    own: float
    strict: float
    random: float
    value: float | None = None
    margins: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Metrics:
    """Named figures in 0..1. ``headline`` is the benchmark's one number, None where the data do not allow it.

    ``parts`` are whole figures of the benchmark. ``partial`` are figures over what is here of something that is not
    here in full: they compare runs on the same data and nothing else.
    """

    headline: float | None
    parts: Mapping[str, float] = field(default_factory=dict)
    partial: Mapping[str, float] = field(default_factory=dict)


class Benchmark(Protocol):
    """A benchmark's data and arithmetic. Stateless.

    ``linear`` says that every figure is a weighted mean of credits: credits averaged over draws of the samples may
    then be aggregated once. Where it is False, figures must be aggregated draw by draw and averaged afterwards.
    """

    @property
    def name(self) -> str: ...

    @property
    def about(self) -> About: ...

    @property
    def linear(self) -> bool: ...

    def load(self, path: Path) -> Loaded:
        """Read the upstream files below ``path`` as they are distributed. Raises InputError."""
        ...

    def assemble(self, items: Iterable[Item], notes: Sequence[str] = ()) -> Loaded:
        """Put the units over items that ``load`` (or an importer) made: those of a file, or those of a stored run.

        All that units need is in the items' ``extra``, so a run directory is graded without the upstream files.
        """
        ...

    def grade(self, unit: Unit, loaded: Loaded, ballots: Ballots) -> Graded:
        """Grade one unit from the ballots on its items."""
        ...

    def aggregate(self, credits: Mapping[Unit, float], graded: Mapping[Unit, Graded], loaded: Loaded) -> Metrics:
        """Put the units' credits (under whichever rule) together as the benchmark does.

        ``credits`` are what the figures are made of; ``graded`` is there for figures that are not means of credits.
        """
        ...
