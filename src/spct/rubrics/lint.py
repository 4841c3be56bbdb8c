"""What may be wrong with a rubric that can be used all the same: a sentence each, for its author."""

from __future__ import annotations

import re
from collections.abc import Iterator
from difflib import SequenceMatcher
from itertools import combinations

from spct.rubrics.rubric import Criterion, Rubric, point_range

ALIKE = 0.8
"""From this likeness of their texts on, two questions may be one."""
_TWO = re.compile(r"\b(?:and|or)\b", re.IGNORECASE)


def lint(rubric: Rubric) -> list[str]:
    """Remarks on the rubric, in the order of its criteria; [] where there is nothing to say."""
    found = [f"{criterion.id}: {said}" for criterion in rubric.criteria for said in _of_one(criterion)]
    return found + list(_of_all(rubric))


def _of_one(c: Criterion) -> Iterator[str]:
    if c.weight == 0 and c.gate is None:
        yield "its weight is 0 and it has no gate, so it is asked for nothing"
    if c.check is not None:
        return
    if not c.ask.endswith("?"):
        yield f"{c.ask[:50]!r} does not end as a question"
    if c.kind == "yes-no" and len(_TWO.findall(c.ask)) > 1:
        yield "asks several things at once, and a yes or no answers one: split it"
    if c.kind == "scale" and not {c.scale[0], c.scale[1]} <= {place for place, _ in c.anchors}:
        yield f"says in no words what {c.scale[0]} and {c.scale[1]} mean; anchors keep judges to one reading"
    if c.kind == "scale" and c.scale[1] - c.scale[0] > 9:
        yield f"has {c.scale[1] - c.scale[0] + 1} points; judges use few of so many"


def _of_all(rubric: Rubric) -> Iterator[str]:
    least, most = point_range([c.weight for c in rubric.criteria])
    for c in rubric.criteria:
        if len(rubric.criteria) > 1 and abs(c.weight) > (most - least) * 3 / 5:
            share = 100 * float(abs(c.weight) / (most - least))
            yield f"{c.id}: has {share:.0f}% of all points, so it decides nearly alone"
    asked = [c for c in rubric.criteria if c.ask]
    for a, b in combinations(asked, 2):
        if SequenceMatcher(None, a.ask.lower(), b.ask.lower()).ratio() >= ALIKE:
            yield f"{a.id}, {b.id}: ask nearly the same, so it counts twice"
    if rubric.threshold is None and all(c.gate is None for c in rubric.criteria):
        yield "nothing says what passes: add pass or a gate if anybody is to act on it"
