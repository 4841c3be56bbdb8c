"""Several people said something of each item: how far they agree, which is the ceiling for a judge, and how far it does.

The people of an item need not be those of another. What each of them said is held against what the others of the item
came to; the judge is held against what all of them came to by the measures of that kind, which stand beside these.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from spct.measures.case import Case, Means, Measure, Scale, average, by_library, choice_of, top_of
from spct.measures.grades import correlations
from spct.types import Truth

COUNTED = ("best", "pair", "label")


def people(cases: Sequence[Case], scale: Scale | None) -> list[Measure]:
    """Krippendorff's alpha; how often two people agree and a person agrees with the judge, or how they correlate."""
    found = []
    for kind in dict.fromkeys(case.truth.kind for case in cases):
        of_kind = [case for case in cases if case.truth.kind == kind]
        found.append(alpha(of_kind))
        found += _counted(of_kind, scale) if kind in COUNTED else _averaged(of_kind)
    return found


def alpha(cases: Sequence[Case]) -> Measure:
    """Krippendorff's alpha over the items, of answers as names; over the responses, of rewards, grades and places as numbers.

    1 is agreement throughout, 0 what chance gives.
    """
    counted = cases[0].truth.kind in COUNTED
    units = [unit for case in cases for unit in _units(case.truth, counted)]
    several = sum(len(unit) > 1 for unit in units)

    def value() -> float:
        import numpy as np
        from krippendorff import alpha as krippendorff_alpha

        answers = sorted({answer for unit in units for answer in unit})
        if not several or len({answer for unit in units if len(unit) > 1 for answer in unit}) < 2:
            return float("nan")
        # How often each answer was given to each unit: who gave it does not matter, and people may be any number.
        counts = np.array([[unit.count(answer) for answer in answers] for unit in units])
        return float(
            krippendorff_alpha(
                value_counts=counts,
                value_domain=answers,
                level_of_measurement="nominal" if counted else "interval",
            )
        )

    return by_library(
        "Krippendorff's alpha of the people", several, value, f"{'items' if counted else 'responses'} with two people"
    )


def _units(truth: Truth, counted: bool) -> list[list[float]]:
    """What the people said of the item as one number each; or of each of its responses."""
    if counted:
        return [[_answer(person.values_N) for person in truth.people]]
    return [list(column) for column in zip(*(person.values_N for person in truth.people), strict=True)]


def _answer(values_N: Means) -> float:  # noqa: N803
    """An answer as one number: the value of a lone response, who leads a pair, the place of the best."""
    return values_N[0] if len(values_N) < 3 else float(values_N.index(1.0))


def _counted(cases: Sequence[Case], scale: Scale | None) -> list[Measure]:
    together = []
    with_judge = []
    for case in cases:
        answers = [_answer(person.values_N) for person in case.truth.people]
        equal = sum(count * (count - 1) for count in Counter(answers).values())
        if len(answers) > 1:
            together.append(equal / (len(answers) * (len(answers) - 1)))
        if case.means_N is not None and (judged := _judged(case, scale)) is not None:
            with_judge.append(sum(answer == judged for answer in answers) / len(answers))
    return [
        average("two people of an item agree", together, "the ceiling", share=True),
        average(
            "judge and a person agree", with_judge, "" if with_judge else "the judge does not score 0 or 1", share=True
        ),
    ]


def _judged(case: Case, scale: Scale | None) -> float | None:
    """The vote as an answer; -1 where two of three or more are level, None where its scale is not the labels'."""
    assert case.means_N is not None
    if len(case.means_N) == 1:
        return (float(case.means_N[0] > 0.5) if case.means_N[0] != 0.5 else -1.0) if scale == (0, 1) else None
    if len(case.means_N) == 2:
        return choice_of(case.means_N)
    top = top_of(case.means_N)
    return float(top[0]) if len(top) == 1 else -1.0


def _averaged(cases: Sequence[Case]) -> list[Measure]:
    """Correlations over the responses: each person with the mean of the others, and with the judge."""
    own, others, scores, values = [], [], [], []
    for case in cases:
        said = [person.values_N for person in case.truth.people]
        for i in range(len(said[0])):
            column = [person[i] for person in said]
            if len(column) > 1:
                own += column
                others += [(sum(column) - value) / (len(column) - 1) for value in column]
            if case.means_N is not None:
                scores += [case.means_N[i]] * len(column)
                values += column
    named = [("a person and the mean of the others", own, others), ("a person and the judge", values, scores)]
    return [
        Measure(f"{found.name} of {title}", found.value, found.over, found.note)
        for title, first, second in named
        for found in correlations(first, second)
    ]
