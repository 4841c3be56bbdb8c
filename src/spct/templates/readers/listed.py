r"""A bracketed list, ``[8, 7]``; and the lenient reading of the DeepSeek-GRM card, which takes it or a box."""

from __future__ import annotations

import re
from collections.abc import Sequence

from spct.errors import InputError
from spct.templates.answer import LOOSE_BOX
from spct.templates.readers.box import SCORE_TOKENS, Box, number_slots, places
from spct.templates.readers.reader import BaseReader, Look, Reading, Rules, reading
from spct.templates.readers.scale import ASCII_SPACE, Scale, shown
from spct.types import Problem, ProblemCode, Slot

_DRESS = r"[\s*_`$,;、.+()]*+"
_END = rf"{_DRESS}(?!-?[0-9])"  # a longer list is no answer


class List(BaseReader):
    """The last ``[...]`` of the answer, with exactly n numbers in it; a list in a list is none."""

    noun = "[...]"

    def __init__(self, scale: Scale) -> None:
        self._scale = scale
        self.scale: tuple[float, float] = (scale.low, scale.high)

    def form(self, n: int) -> str:
        return f"[{places(n)}]"

    def read(self, text: str, start: int, n: int) -> Reading:
        wanted = f"expected {self._scale.wanted(n)} in one"
        at = text.rfind("[", start)
        if at < 0:
            return Reading(None, Problem("no_answer", f"the answer has no [...]; {wanted}"), None)
        end = text.find("]", at)
        if end < 0:
            return Reading(None, Problem("no_answer", f"the last [ is never closed; {wanted}"), (at, len(text)))
        content, span = text[at + 1 : end], (at, end + 1)
        outer = text.rfind("[", start, at)
        if outer >= 0 and text.find("]", outer, at) < 0 and "\n" not in text[outer:at]:
            return Reading(None, Problem("not_integer", f"a list inside a list: {shown(content)}"), span, True)
        parts = [part.strip(ASCII_SPACE) for part in content.split(",")]
        return reading(self._scale.read(parts, n, "the list", content), span)

    def slots(self, text: str, span: tuple[int, int], n: int) -> tuple[Slot, ...]:
        return number_slots(text, (span[0] + 1, span[1] - 1), self._scale, ("]",))

    def rules(self, n: int) -> Rules:
        scores = ' ", " '.join(["score"] * n)
        return Rules(f'"[" {scores} "]"', [f"score ::= {self._scale.grammar()}"], SCORE_TOKENS * n)

    def looks(self, n: int) -> Sequence[Look]:
        return (Look(re.compile(rf"\[{_DRESS}{self._scale.numbers(n, _DRESS)}{_END}")),)


class Card(Box):
    """The reading on the model card of DeepSeek-GRM, kept to reproduce its figures: never the default, always named.

    The last box or bracketed list of the answer; decimals allowed; a number off the scale is moved to its nearer end.
    Still required: exactly n numbers, and an answer that was not cut off.
    """

    noun = "\\boxed{...} or [...]"
    lenient: str | None = (
        "the last box or bracketed list is read, decimals are taken, numbers off the scale are clamped"
    )
    stem = b""
    flood = ""
    _opens = re.compile(r"(?s:.*)(?:\\boxed[ \t\r\n\f\v]*+\{|\[)")
    _number = re.compile(r"-?[0-9]{1,9}(?:\.[0-9]{1,9})?")

    def __init__(self, scale: Scale) -> None:
        if scale.decimals:
            raise InputError("the reader card takes decimals in any case; leave out decimals")
        super().__init__(scale)

    def read(self, text: str, start: int, n: int) -> Reading:
        opening = self._opens.match(text, start)
        numbers = "1 number" if n == 1 else f"{n} numbers"
        if opening is None:
            problem = Problem("no_box", f"the answer has no {self.noun}; expected {numbers} in one")
            return Reading(None, problem, None)
        begin = opening.end()
        at = max(text.rfind("\\boxed", start, begin), text.rfind("[", start, begin))
        ends = [end for end in (text.find("}", begin), text.find("]", begin)) if end >= 0]
        if not ends:
            problem = Problem("no_box", f"the last {text[at:begin]} is never closed; expected {numbers} in it")
            return Reading(None, problem, (at, len(text)))
        content, span = text[begin : min(ends)], (at, min(ends) + 1)
        parts = [part.strip() for part in content.split(",")]
        if len(parts) != n or not all(self._number.fullmatch(part) for part in parts):
            code: ProblemCode = "not_number" if len(parts) == n else "wrong_count"
            return Reading(None, Problem(code, f"it holds {shown(content)}; expected {numbers}"), span, True)
        low, high = self.scale
        return Reading(tuple([float(min(max(float(part), low), high)) for part in parts]), None, span, True)

    def slots(self, text: str, span: tuple[int, int], n: int) -> tuple[Slot, ...]:
        return ()  # what is clamped and rounded has no distribution over the scale

    def looks(self, n: int) -> Sequence[Look]:
        # Runs of digits, as ``Scale.numbers`` counts them; off the scale ones are clamped.
        numbers = rf"-?[0-9]++(?:{_DRESS}-?[0-9]++){{{n - 1},{2 * n - 1}}}"
        return (Look(re.compile(rf"(?:\\{LOOSE_BOX}|\[){_DRESS}{numbers}{_END}")),)
