"""How well votes agree with what people know: the measures that fit each kind of ground truth.

``measured`` takes votes with the truth of their items, puts them into the kinds of ``KINDS`` and gives each kind its
measures. To add a kind of truth: a module here with a function from cases to ``Measure``s, a line in ``KINDS``, its form
in ``spct.items.truth``. What needs a library of the extra ``bench`` imports it when it is computed; without it the
measure says what to install, and all others are there.
Failure rule: nothing is left out in silence. A measure that the cases do not allow has no value and says why.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from spct.loading import imported
from spct.measures.case import Case, Measure, Scale
from spct.types import Item

KINDS = {
    "best": ("one best response", "spct.measures.one_best:one_best"),
    "rewards": ("rewards, of which several may be the highest", "spct.measures.rewards:rewards"),
    "ranking": ("a ranking", "spct.measures.rewards:ranking"),
    "pair": ("a pair's label, with ties", "spct.measures.pairs:pairs"),
    "label": ("a label, 0 or 1, of one response", "spct.measures.labels:labels"),
    "grade": ("a grade of one response", "spct.measures.grades:grades"),
    "people": ("labels of several people", "spct.measures.people:people"),
}
"""What each kind of truth is called, and the function that measures votes against it."""


@dataclass(frozen=True, slots=True)
class KindMeasured:
    """The measures over the ``items`` of one kind; ``voted`` of them have a vote."""

    kind: str
    title: str
    items: int
    voted: int
    measures: tuple[Measure, ...]


@dataclass(frozen=True, slots=True)
class TruthMeasured:
    """Each kind's measures, and how many items cannot be graded for which reason. ``scale`` is the judge's, if known."""

    kinds: tuple[KindMeasured, ...] = ()
    ungraded: Mapping[str, int] | None = None
    scale: Scale | None = None

    def as_row(self) -> dict[str, Any]:
        return asdict(self)


def why_ungraded(item: Item) -> str | None:
    """Why no vote on this item can be graded, None if one can."""
    if item.truth is not None:
        return None if item.truth.values_N else "as many people say one thing as another"
    if item.best is not None:
        return "it names the best of one response"
    return "nothing says which response is right"


def measured(cases: Sequence[Case], ungraded: Mapping[str, int], scale: Scale | None = None) -> TruthMeasured:
    """The measures of ``cases`` kind by kind; ``ungraded`` counts the other items by reason, ``scale`` is the judge's."""
    by_kind: dict[str, list[Case]] = {kind: [] for kind in KINDS}
    graded_alone = any(case.truth.kind == "grade" for case in cases)
    for case in cases:
        # Among grades a 0 or 1 that came as a lone reward is a grade too.
        kind: str = "grade" if case.truth.kind == "label" and graded_alone else case.truth.kind
        if case.truth.values_N:
            by_kind[kind].append(case)
        if case.truth.people:
            by_kind["people"].append(case)
    found = []
    for kind, of_kind in by_kind.items():
        if of_kind:
            title, target = KINDS[kind]
            voted = sum(case.means_N is not None for case in of_kind)
            found.append(KindMeasured(kind, title, len(of_kind), voted, tuple(imported(target)(of_kind, scale))))
    return TruthMeasured(tuple(found), dict(Counter(ungraded)), scale)
