"""No scores: the answer is a text that another prompt shows (``parsing.parse_text`` reads it)."""

from __future__ import annotations

from collections.abc import Sequence

from spct.templates.readers.reader import AnswerKind, BaseReader, Look, Reading, Rules
from spct.templates.readers.scale import Scale
from spct.types import Problem


class Text(BaseReader):
    """Any words are an answer, and nothing in a text looks like one."""

    kind: AnswerKind = "text"
    noun = "text"

    def __init__(self, scale: Scale) -> None:
        self.scale: tuple[float, float] = (scale.low, scale.high)

    def form(self, n: int) -> str:
        return ""

    def read(self, text: str, start: int, n: int) -> Reading:
        return Reading(None, Problem("no_score", "a text holds no scores"), None)

    def rules(self, n: int) -> Rules:
        return Rules("", (), 0)

    def looks(self, n: int) -> Sequence[Look]:
        return ()
