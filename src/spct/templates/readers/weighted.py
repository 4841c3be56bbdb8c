r"""Criteria of the model's own with their weights, and a score for each response under each: ``\boxed{3, 8, 6; 1, 5, 9}``.

Between semicolons stands a criterion: its weight, then the scores of the responses in shown order. The model adds nothing
up: a response's score is sum(weight x score) / sum(weight), worked out in fractions. The last box is read, as ever.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction

from spct.templates.answer import LOOSE_BOX
from spct.templates.readers.box import SCORE_TOKENS, Box, box_content, places
from spct.templates.readers.reader import Look, Reading, Rules, reading
from spct.templates.readers.scale import ASCII_SPACE, COMMAND, Scale
from spct.types import Problem, ProblemCode, Slot

WEIGHTS = Scale(1, 100)
FEWEST, MOST = 1, 8
"""Criteria that an answer may have."""
IN_A_GRAMMAR = 2, 5
"""Criteria that a grammar makes a model write."""


class Weighted(Box):
    """At least one criterion, at most eight."""

    noun = r"\boxed{weight, scores; weight, scores; ...}"
    missing: ProblemCode = "no_box"

    def form(self, n: int) -> str:
        return rf"\boxed{{weight, {places(n)}; weight, {places(n)}; ...}}"

    def read(self, text: str, start: int, n: int) -> Reading:
        found = box_content(text, start, self.noun)
        if isinstance(found, Reading):
            return found
        content, span = found
        rows = content.split(";")
        if not FEWEST <= len(rows) <= MOST:
            return Reading(
                None, Problem("wrong_count", f"{len(rows)} criteria; expected {FEWEST} to {MOST}"), span, True
            )
        weights: list[float] = []
        scores_CN: list[tuple[float, ...]] = []  # noqa: N806
        for number, row in enumerate(rows, 1):
            parts = [part.strip(ASCII_SPACE) for part in row.split(",")]
            where = f"criterion {number} of the box"
            weight = WEIGHTS.read(parts[:1], 1, f"the weight of {where}", row)
            scores = self._scale.read(parts[1:], n, where, row)
            for read in (weight, scores):
                if isinstance(read, Problem):
                    return reading(read, span)
            assert not isinstance(weight, Problem) and not isinstance(scores, Problem)
            weights += weight
            scores_CN.append(scores)
        return reading(totals(weights, scores_CN), span)

    def slots(self, text: str, span: tuple[int, int], n: int) -> tuple[Slot, ...]:
        return ()

    def rules(self, n: int) -> Rules:
        least, most = IN_A_GRAMMAR
        scores = ' ", " '.join(["score"] * n)
        rules = [
            f'criterion-scores ::= weight ", " {scores}',
            "weight ::= [1-9] [0-9]{0,1}",
            f"score ::= {self._scale.grammar()}",
        ]
        root = rf'"\\boxed{{" criterion-scores ("; " criterion-scores){{{least - 1},{most - 1}}} "}}"'
        return Rules(root, rules, SCORE_TOKENS * (n + 1) * most)

    def looks(self, n: int) -> Sequence[Look]:
        return (_ANY_NUMBERS,)


_ANY_NUMBERS = Look(re.compile(rf"\\(?={LOOSE_BOX}(?:[^a-zA-Z}}\\]++|{COMMAND})*+(?:\}}|\Z))"))
"""A box of anything without words: which numbers make an answer depends on how many criteria there are."""


def totals(weights_C: Sequence[float], scores_CN: Sequence[Sequence[float]]) -> tuple[float, ...]:  # noqa: N803
    """Each response's mean score by weight, exact until the last step."""
    whole = sum(map(Fraction, weights_C))
    return tuple(
        float(sum(Fraction(w) * Fraction(s) for w, s in zip(weights_C, column, strict=True)) / whole)
        for column in zip(*scores_CN, strict=True)
    )
