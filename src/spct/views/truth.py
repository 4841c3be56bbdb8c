"""What a run's votes are worth by what people know, as (label, line) pairs of the summary."""

from __future__ import annotations

from collections.abc import Iterator

from spct.measures.text import kind_lines, kind_title, measure_text, ungraded_text
from spct.views.table import MARKS
from spct.views.totals import Totals
from spct.voting.accuracy import Grade
from spct.wording import count, percent

SAID_IN_WORDS = ("strict accuracy", "accuracy with 1/#tied for a tie")
"""Measures of one best response that the counts of right and wrong say already."""


def truth_facts(totals: Totals) -> Iterator[tuple[str, str]]:
    """Right and wrong where a vote can be either, the measures of each kind of truth, and what cannot be graded."""
    grades = totals.grades
    if grades.count:
        names: tuple[Grade, ...] = ("correct", "wrong", "tied", "invalid")
        counts = ", ".join(f"{MARKS[name][0]} {getattr(grades, name):,.0f} {name}" for name in names)
        yield "truth", f"{counts}, of {count(grades.count, 'item')} with a known best or label"
        strict = percent(grades.correct, grades.count)
        yield "", f"{strict} correct (strict: a tie counts as wrong, and so does no verdict)"
        credit = percent(grades.credit, grades.count)
        yield "", f"{credit} if a tie earns 1/#tied (what breaking ties at random scores)"
    found = totals.measured()
    for kind in found.kinds:
        if kind.kind == "best":
            yield from (("", measure_text(measure)) for measure in kind.measures if measure.name not in SAID_IN_WORDS)
            continue
        yield kind.kind, kind_title(kind)
        yield from (("", line) for line in kind_lines(kind))
    if found.kinds and found.ungraded:
        yield "not graded", ungraded_text(found.ungraded)
