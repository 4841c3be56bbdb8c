"""No scores: the answer is the principles, as text (``parsing.parse_principles`` reads it)."""

from __future__ import annotations

from collections.abc import Sequence

from spct.templates.readers.reader import AnswerKind, BaseReader, Look, Reading, Rules
from spct.templates.readers.scale import Scale
from spct.types import Problem, ProblemCode


class Principles(BaseReader):
    """Any words are an answer, and nothing in a text looks like one."""

    kind: AnswerKind = "principles"
    noun = "principles"
    missing: ProblemCode = "no_principles"

    def __init__(self, scale: Scale) -> None:
        self.scale: tuple[float, float] = (scale.low, scale.high)

    def form(self, n: int) -> str:
        return ""

    def read(self, text: str, start: int, n: int) -> Reading:
        return Reading(None, Problem("no_score", "principles hold no scores"), None)

    def rules(self, n: int) -> Rules:
        return Rules("", (), 0)

    def looks(self, n: int) -> Sequence[Look]:
        return ()
