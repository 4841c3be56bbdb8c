"""A form of the template's own with numbers in it: ``[RESULT] {}``, ``<score>{}</score>``, ``Rating {letter}: {}``.

The form holds n numbers separated by commas; with ``{i}`` or ``{letter}`` there is one form a response, each with one
number, in shown order. Where a form stands several times the last one is read.
"""

from __future__ import annotations

from collections.abc import Sequence

from spct.templates.readers.box import SCORE_TOKENS, number_slots, places
from spct.templates.readers.literal import Found, Literal
from spct.templates.readers.reader import BaseReader, Look, Reading, Rules, reading
from spct.templates.readers.scale import ASCII_SPACE, Scale
from spct.types import Problem, Slot


class Pattern(BaseReader):
    """Numbers in the literal ``form``."""

    def __init__(self, scale: Scale, *, form: str) -> None:
        self._scale = scale
        self.scale: tuple[float, float] = (scale.low, scale.high)
        self._form = Literal(form)
        self.stem = self._form.stem
        self.noun = self._form.text.replace("{}", "...")

    def form(self, n: int) -> str:
        if not self._form.numbered:
            return self._form.filled(places(n))
        return "\n".join(self._form.filled(f"s{number}", number) for number in range(1, n + 1))

    def read(self, text: str, start: int, n: int) -> Reading:
        found = self._find(text, start, n)
        if isinstance(found, Reading):
            return found
        span, contents = (found[0].span[0], found[-1].span[1]), [text[slice(*form.inside)] for form in found]
        content = ", ".join(contents)
        parts = contents if self._form.numbered else [part.strip(ASCII_SPACE) for part in content.split(",")]
        return reading(self._scale.read(parts, n, self.noun, content), span, found[-1].closed)

    def slots(self, text: str, span: tuple[int, int], n: int) -> tuple[Slot, ...]:
        found = self._find(text[: span[1]], span[0], n)
        if isinstance(found, Reading):
            return ()
        closers = self._form.closers()
        return tuple([slot for form in found for slot in number_slots(text, form.inside, self._scale, closers)])

    def rules(self, n: int) -> Rules:
        if self._form.numbered:
            root = ' "\\n" '.join(quoted(self._form, "score", number) for number in range(1, n + 1))
        else:
            root = quoted(self._form, ' ", " '.join(["score"] * n))
        return Rules(root, [f"score ::= {self._scale.grammar()}"], (SCORE_TOKENS + 6) * n)

    def looks(self, n: int) -> Sequence[Look]:
        return (Look(self._form.pattern(self._scale.pattern())),)

    def _find(self, text: str, start: int, n: int) -> list[Found] | Reading:
        """Every form that is to be read, or the reading that says which is not there."""
        numbers = range(1, n + 1) if self._form.numbered else (1,)
        found: list[Found] = []
        for number in numbers:
            form = self._form.last(text, start, number)
            wanted = f"expected {self._scale.wanted(n)} in it"
            name = self._form.filled("...", number)
            if form is None:
                return Reading(None, Problem("no_answer", f"the answer has no {name}; {wanted}"), None)
            if self._form.after.strip() and not form.closed:
                return Reading(None, Problem("no_answer", f"the last {name} is never closed; {wanted}"), form.span)
            if found and form.span[0] < found[-1].span[1]:
                return Reading(
                    None, Problem("wrong_count", f"{name} does not stand behind that of response {number - 1}")
                )
            found.append(form)
        beyond = self._form.last(text, found[0].span[0], n + 1) if self._form.numbered else None
        if beyond is not None:
            detail = f"{self._form.filled('...', n + 1)} stands in the answer; expected {self._scale.wanted(n)}"
            return Reading(None, Problem("wrong_count", detail), beyond.span, True)
        return found


def quoted(form: Literal, answer: str, number: int = 1) -> str:
    """The form as a GBNF sequence around the GBNF of its answer."""
    before, after = form.filled("\0", number).split("\0")
    return " ".join(part for part in (gbnf(before), answer, gbnf(after)) if part)


def gbnf(text: str) -> str:
    """A GBNF literal, nothing for an empty text."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"' if text else ""
