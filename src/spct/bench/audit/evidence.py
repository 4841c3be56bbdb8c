"""What an audit looks at and what it finds: items with their ballots and votes, and findings with intervals.

Accuracy of a vote or of a single judgment counts a tie as 1/#tied throughout.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from spct.bench.scoring.statistics import Figure
from spct.bench.scoring.stored import StoredBench
from spct.bench.suites.assembly import cluster_of
from spct.bench.suites.benchmark import Ballot
from spct.bench.suites.grading import means_of
from spct.types import Item
from spct.voting.vote import Means

Probe = Callable[["Evidence"], Iterable["Finding"]]


@dataclass(frozen=True, slots=True)
class Finding:
    """``figure`` is None where the data cannot tell; the sentence then says why. ``unit`` is "points" (shares, shown
    times 100, with a sign), "share" (times 100), "correlation" or "rank". ``detail`` is what the figure is made of."""

    probe: str
    name: str
    sentence: str
    figure: Figure | None = None
    unit: str = "points"
    detail: Mapping[str, Any] = field(default_factory=dict)

    @property
    def measurable(self) -> bool:
        return self.figure is not None


@dataclass(frozen=True, slots=True)
class WholeBallot:
    """A ballot that scores every response; ``order`` is as in ``Ballot``."""

    scores_N: tuple[float, ...]
    order: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Judged:
    """An item with its whole ballots and its vote, which is over the others too."""

    item: Item
    cluster: str
    valid: tuple[WholeBallot, ...]
    vote: Means | None

    @property
    def pairs(self) -> list[tuple[int, int]]:
        """(Better, worse) response indices that the ground truth tells apart."""
        n = len(self.item.responses)
        if self.item.best is not None:
            return [(self.item.best, j) for j in range(n) if j != self.item.best]
        values = () if self.item.truth is None else self.item.truth.values_N
        return [(i, j) for i in range(len(values)) for j in range(len(values)) if values[i] > values[j]]

    @property
    def group(self) -> str:
        """Its domain, or its subset where the benchmark names no domain."""
        return str(self.item.extra.get("domain") or self.item.extra.get("subset") or "")


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the probes look at: ``planned`` samples, of which the share ``missing`` stayed invalid.

    ``judge_name`` is the judge's own name among the writers, if given.
    """

    label: str
    judged: tuple[Judged, ...]
    planned: int
    missing: float
    invalid_codes: Mapping[str, int]
    completions: int
    judge_name: str | None = None


def evidence_of(stored: StoredBench, judge_name: str | None = None) -> Evidence:
    judged = []
    for id, item in stored.loaded.items.items():
        row = stored.ballots.get(id, ())
        judged.append(Judged(item, cluster_of(item), tuple(whole_ballots(row)), means_of(row)))
    planned = sum(len(row) for row in stored.ballots.values())
    missing, spent = stored.missing_share, stored.spent
    return Evidence(stored.label, tuple(judged), planned, missing, spent.invalid, spent.completions, judge_name)


def whole_ballots(ballots: Iterable[Ballot]) -> Iterator[WholeBallot]:
    for ballot in ballots:
        scores_N = [score for score in ballot.scores_N or () if score is not None]  # noqa: N806
        if scores_N and len(scores_N) == len(ballot.scores_N or ()):
            yield WholeBallot(tuple(scores_N), ballot.order)


def pair_credit(scores_N: Sequence[float], better: int, worse: int) -> float:  # noqa: N803
    """1 if the better response has the higher score, half for a tie."""
    first, second = scores_N[better], scores_N[worse]
    return 1.0 if first > second else 0.5 if first == second else 0.0
