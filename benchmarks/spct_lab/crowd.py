"""The crowd whose judgments the base is pre-trained on: fallible authors in a stated mixture, and the prompts they answer.

An author is drawn for each judgment. Most give every requirement the same weight; some leave requirements out, misread one,
check carelessly, add up wrongly, or end without a box. Nothing here is told which response is best, except where the prompt
tells it (a hint). So the base learns the format and the ways of the crowd, and no more truth than the crowd has.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from benchmarks.spct_lab.world import CATEGORY_OF, KINDS, WORDS, Case, Query, Requirement, query_text

FLAT_WEIGHT = 2
"""What authors who do not weigh write for every requirement."""
UNWEIGHED = 0.65
LEFT_OUT, MISREAD = 0.08, 0.05
CARELESS = ((0.01, 0.4), (0.08, 0.35), (0.25, 0.25))
"""(Chance that a check is wrong, share of authors)."""
ADDED_WRONG, BOX_WRONG, NO_BOX = 0.04, 0.02, 0.04
HINT_FOLLOWED, HINT_FORCED = 0.6, 0.2
"""Told the answer, so many authors begin anew (six times at most) until they agree; so many put it in the box regardless."""


@dataclass(frozen=True, slots=True)
class Form:
    """How a judgment is asked for: with ``principles`` or without."""

    principles: bool = True


def prompt_text(case: Case, *, form: Form, hint: str | None = None) -> str:
    """The prompt's words, as the templates of this package render them."""
    parts = "principles critique" if form.principles else "critique"
    asked = f"judge : {query_text(case.query)} . {_shown(case)} write {parts} {_last(case)}"
    return f"{asked} {hint}" if hint else asked


def hint_text(case: Case) -> str:
    """The hint of ``spct train rft-data`` for the responses in this order."""
    if len(case.responses) == 1:
        return f"Hint: the correct score is: {case.truth}"
    return f"Hint: the best response is: response {case.truth + 1}"


def judgment_text(draw: Random, case: Case, *, form: Form, told: bool = False) -> str:
    """A judgment by an author of the crowd, who is ``told`` the answer or not."""
    answer = _Judgment.draw(draw, case)
    manner = draw.random()
    if told and manner < HINT_FOLLOWED:
        for _ in range(6):
            if answer.agrees(case):
                break
            answer = _Judgment.draw(draw, case)
    elif told and manner < HINT_FOLLOWED + HINT_FORCED:
        answer.force(case)
    return answer.text(case, form)


def exact_judgment(case: Case, *, form: Form) -> str:
    """What an author without fault writes."""
    found = [[one.found_in(words) for one in case.query] for words in case.responses]
    points = _points(case.query, found)
    totals = [sum(row) for row in points]
    return _Judgment(list(case.query), found, points, totals, _box(case, points), True).text(case, form)


def exercise(case: Case) -> tuple[str, str]:
    """Reading without judging and without fault: what is asked, and what is found in each response."""
    asked = " , ".join(f"{one.kind} {one.category}" for one in case.query)
    lines = [
        f"#{i} {_read_out(words)} ; {' '.join(f'{one.kind} {one.category} {_said(one.found_in(words))}' for one in case.query)}"
        for i, words in enumerate(case.responses, 1)
    ]
    return f"read : {asked} . {_shown(case)} write critique", " ".join(lines)


def weighing(case: Case) -> tuple[str, str]:
    """An exercise in reading a query alone: its requirements with what they weigh, without fault."""
    return f"read : {query_text(case.query)} . write principles", f"principles {_named(case.query)}"


def worked(case: Case, *, form: Form) -> tuple[str, str]:
    """An exercise that works a case out without fault. It is not asked as a judgment is."""
    return prompt_text(case, form=form).replace("judge :", "read :", 1), exact_judgment(case, form=form)


@dataclass(slots=True)
class _Judgment:
    """``found`` (yes or no) and ``points`` have a row per response and a column per principle. ``boxed``: it has a box."""

    principles: list[Requirement]
    found: list[list[bool]]
    points: list[list[int]]
    totals: list[int]
    box: list[int]
    boxed: bool

    @classmethod
    def draw(cls, draw: Random, case: Case) -> _Judgment:
        principles = _read(draw, case.query)
        slip = draw.choices([chance for chance, _ in CARELESS], [share for _, share in CARELESS])[0]
        found = [[one.found_in(words) != (draw.random() < slip) for one in principles] for words in case.responses]
        points = _points(principles, found)
        totals = [sum(row) for row in points]
        totals = [_nudged(draw, total) if draw.random() < ADDED_WRONG else total for total in totals]
        box = _box(case, points) if len(points) == 1 else list(totals)
        box = [_copied(draw, case, score) if draw.random() < BOX_WRONG else score for score in box]
        return cls(principles, found, points, totals, box, draw.random() >= NO_BOX)

    def agrees(self, case: Case) -> bool:
        if len(self.box) == 1:
            return self.box[0] == case.truth
        return all(self.box[case.truth] > score for i, score in enumerate(self.box) if i != case.truth)

    def force(self, case: Case) -> None:
        """Put the answer in the box, whatever the critique says."""
        if len(self.box) == 1:
            self.box = [case.truth]
        else:
            self.box[case.truth] = min(9, max(self.box) + 1)

    def text(self, case: Case, form: Form) -> str:
        lines = [
            f"#{i} {_read_out(words)} ; {self._checks(i - 1)} = {total}"
            for i, (words, total) in enumerate(zip(case.responses, self.totals, strict=True), 1)
        ]
        start = f"principles {_named(self.principles)} " if form.principles else ""
        end = f"{_last(case)} \\boxed{{ {' , '.join(map(str, self.box))} }}" if self.boxed else _last(case)
        return f"{start}critique {' '.join(lines)} {end}"

    def _checks(self, place: int) -> str:
        rows = zip(self.principles, self.found[place], self.points[place], strict=True)
        return " ".join(f"{one.kind} {one.category} {_said(found)} {given}" for one, found, given in rows)


def _named(principles: Sequence[Requirement]) -> str:
    return " , ".join(f"{one.kind} {one.category} {one.weight}" for one in principles)


def _shown(case: Case) -> str:
    return " ".join(f"#{i} {' '.join(words)} ;" for i, words in enumerate(case.responses, 1))


def _read_out(words: Sequence[str]) -> str:
    """A response by the categories of its words."""
    return " ".join(CATEGORY_OF[word] for word in words)


def _said(found: bool) -> str:
    return "yes" if found else "no"


def _points(principles: Sequence[Requirement], found: Sequence[Sequence[bool]]) -> list[list[int]]:
    """What each response earns by each principle, given what was found."""
    return [
        [one.weight * (there != (one.kind == "lack")) for one, there in zip(principles, row, strict=True)]
        for row in found
    ]


def _last(case: Case) -> str:
    return "grade" if len(case.responses) == 1 else "scores"


def _read(draw: Random, query: Query) -> list[Requirement]:
    """The requirements as an author takes them up."""
    flat = draw.random() < UNWEIGHED
    kept = [one for one in query if draw.random() >= LEFT_OUT] or [draw.choice(query)]
    read = [_misread(draw, one) if draw.random() < MISREAD else one for one in kept]
    return [one._replace(weight=FLAT_WEIGHT) for one in read] if flat else read


def _misread(draw: Random, one: Requirement) -> Requirement:
    if draw.random() < 0.5:
        return one._replace(kind=draw.choice(KINDS))
    return one._replace(category=draw.choice(list(WORDS)))


def _box(case: Case, points: Sequence[Sequence[int]]) -> list[int]:
    """The scores that follow from the points: a single response is graded 1 if nothing of it got none."""
    return [int(all(points[0]))] if len(case.responses) == 1 else [sum(row) for row in points]


def _nudged(draw: Random, total: int) -> int:
    return max(0, min(9, total + draw.choice((-2, -1, 1, 2))))


def _copied(draw: Random, case: Case, score: int) -> int:
    return 1 - score if len(case.responses) == 1 else _nudged(draw, score)
