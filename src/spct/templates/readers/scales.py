r"""Answers to several questions in one box, ``\boxed{4, 2, 0, 1}``: first those to the first question, each on its own scale."""

from __future__ import annotations

from collections.abc import Sequence
from string import ascii_lowercase
from typing import TypeVar

from spct.errors import InputError
from spct.templates.readers.box import SCORE_TOKENS, Box, box_look, number_slots, read_box
from spct.templates.readers.reader import Look, Reading, Rules
from spct.templates.readers.scale import Scale
from spct.types import Problem, Slot

T = TypeVar("T")


class Scales(Box):
    """``each`` holds the scale of each question; n is the number of all answers, a multiple of that of the questions."""

    def __init__(self, scale: Scale, *, each: Sequence[Sequence[int]]) -> None:
        pairs = [tuple(pair) for pair in each] if isinstance(each, (list, tuple)) else []
        if not 1 <= len(pairs) <= 64 or not all(
            len(pair) == 2 and all(type(end) is int for end in pair) for pair in pairs
        ):
            raise InputError(f"each is {each!r}; expected a list with [lowest, highest] of each question")
        super().__init__(Scale(min(low for low, _ in pairs), max(high for _, high in pairs)))
        self._each = [Scale(low, high) for low, high in pairs]

    def refuses(self, n: int) -> str | None:
        asked = len(self._each)
        return None if n % asked == 0 else f"it holds as many answers to each of {asked} questions, got {n} in all"

    def read(self, text: str, start: int, n: int) -> Reading:
        found = read_box(text, start, n, self._scale)
        if found.scores is None:
            return found
        for number, (scale, answers) in enumerate(zip(self._each, self._apart(found.scores), strict=True), 1):
            if not all(scale.low <= answer <= scale.high for answer in answers):
                held = ", ".join(f"{answer:g}" for answer in answers)
                said = f"the answers to question {number} are {held}; expected {scale.wanted(len(answers))}"
                return Reading(None, Problem("out_of_range", said), found.span, True)
        return found

    def slots(self, text: str, span: tuple[int, int], n: int) -> tuple[Slot, ...]:
        inside = (text.find("{", *span) + 1, span[1] - 1)
        of_each = [self._apart(number_slots(text, inside, scale, ("}",))) for scale in self._each]
        return tuple(slot for number, parts in enumerate(of_each) for slot in parts[number])

    def rules(self, n: int) -> Rules:
        names = [
            f"score-{ascii_lowercase[number // 26]}{ascii_lowercase[number % 26]}" for number in range(len(self._each))
        ]
        scores = ' ", " '.join(name for name in names for _ in range(n // len(names)))
        rules = [f"{name} ::= {scale.grammar()}" for name, scale in zip(names, self._each, strict=True)]
        return Rules(rf'"\\boxed{{" {scores} "}}"', rules, SCORE_TOKENS * n)

    def looks(self, n: int) -> Sequence[Look]:
        return (box_look(n, self._scale),)

    def _apart(self, values: Sequence[T]) -> list[Sequence[T]]:
        """The values in as many equal parts as there are questions."""
        size = len(values) // len(self._each)
        return [values[at * size : (at + 1) * size] for at in range(len(self._each))]
