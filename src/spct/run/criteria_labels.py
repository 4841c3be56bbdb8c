"""Labels by criterion: which questions a person is asked of each response, and what truth the answers make.

A person says pass or fail, which is worth 1 or 0. The rest is the arithmetic of rubrics (``voting.by_criterion``), over the
criteria that were asked: checks need no person. Several responses get their shares of the points as rewards. A lone one is
labelled 1 if it passes the rubric, or, where the rubric does not say what passes, if it has all the points.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

from spct.errors import InputError
from spct.items.names import letter
from spct.rubrics import Criterion, Rubric
from spct.run.labels import CRITERIA
from spct.voting.by_criterion import criteria_of

Answers = Mapping[str, Sequence[int]]
"""By criterion, for each response in item order: 1 for pass, 0 for fail."""
_GIVEN = re.compile(r"([A-Za-z][\w-]{0,39})(?:\s*:\s*(.+))?", re.DOTALL)


def asked_of(rubric: Rubric) -> Rubric:
    """The part of a rubric that people are asked. Raises InputError where there is nothing to ask, or nothing of weight."""
    asked = replace(rubric, criteria=tuple(criterion for criterion in rubric.criteria if criterion.check is None))
    if not any(criterion.weight for criterion in asked.criteria):
        raise InputError(f"rubric {rubric.name}: no criterion that a person could answer counts for anything")
    return asked


def rubric_of_questions(given: Sequence[str]) -> Rubric:
    """Questions as they are named on a command line, ``NAME: QUESTION`` or ``NAME``, one point each. Raises InputError."""
    criteria: list[Criterion] = []
    for text in given:
        found = _GIVEN.fullmatch(text.strip())
        if found is None:
            raise InputError(f"--criterion: got {text!r}; expected a name and a question, such as 'kind: Is it kind?'")
        if any(criterion.id == found[1] for criterion in criteria):
            raise InputError(f"--criterion: got {found[1]} twice; expected each name once")
        criteria.append(Criterion(found[1], "yes-no", Fraction(1), found[2] or found[1]))
    return Rubric("given", tuple(criteria))


def entry_by_criterion(rubric: Rubric, answers: Answers, n: int) -> dict[str, Any]:
    """What a person said of n responses, as a label's entry; ``rubric`` is one of ``asked_of``."""
    order = tuple(range(n))
    said = {
        place: (order, tuple([float(_answer(criterion, passed)) for passed in answers[criterion.id]]))
        for place, criterion in enumerate(rubric.criteria)
    }
    table = criteria_of({0: said}, n, rubric, 1)
    given = {CRITERIA: {criterion.id: list(answers[criterion.id]) for criterion in rubric.criteria}}
    if n > 1:
        return {"rewards": [float(share) for share in table.shares], **given}
    passed = table.passed[0]
    return {"label": int(table.shares[0] == 1 if passed is None else passed), **given}


def by_criterion(answers: Answers) -> str:
    """Answers in words: ``correct: A pass, B fail; kind: ...``."""
    return "; ".join(
        f"{id}: " + ", ".join(f"{letter(i)} {'pass' if passed else 'fail'}" for i, passed in enumerate(given))
        for id, given in answers.items()
    )


def _answer(criterion: Criterion, passed: int) -> int:
    """Pass or fail as an answer that the criterion knows: the end of its scale, the choice worth most or least."""
    if not criterion.choices:
        return criterion.scale[1 if passed else 0]
    worth = [value for _, value in criterion.choices]
    return 1 + worth.index(max(worth) if passed else min(worth))
