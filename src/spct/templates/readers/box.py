r"""Boxes: ``\boxed{8, 7}`` for all responses (the paper's form), ``\boxed{8}`` for each, ``\boxed{2}`` for the best.

The LAST box of the answer is read, wherever it stands: in a fence, after a heading, in dollars. It must hold exactly n
numbers of the scale in ASCII, separated by ASCII commas, with ASCII white space allowed around them. All else is a
``Problem``, among it: ``8/10``, ``eight``, ``08``, ``+8``, ``[8, 7]``, ``\text{8, 7}``, ``8，7``, digits of other
scripts, labels, a trailing comma, LaTeX spaces, a box in a box, a last box never closed; and ``7.5`` without decimals.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from spct.templates.answer import BOX, LOOSE_BOX, box_in_box, closing_brace, first_score_line, last_box
from spct.templates.readers.reader import AnswerKind, BaseReader, Look, Reading, Rules, reading
from spct.templates.readers.scale import ASCII_SPACE, Scale, shown
from spct.types import Problem, ProblemCode, Slot

_WORD = re.compile(r"[-0-9]+")
SCORE_TOKENS = 3
SHORT_CHARS = 40
"""What a box holds at most for its reading to be kept: the judgments of a run hold few different boxes."""


class Box(BaseReader):
    r"""One box of n numbers: ``\boxed{8, 7}``."""

    noun = f"{BOX}{{...}}"
    missing: ProblemCode = "no_box"
    stem = b"boxed"
    flood = "\\"

    def __init__(self, scale: Scale) -> None:
        self._scale = scale
        self.scale: tuple[float, float] = (scale.low, scale.high)

    def form(self, n: int) -> str:
        return rf"\boxed{{{places(n)}}}"

    def read(self, text: str, start: int, n: int) -> Reading:
        return read_box(text, start, n, self._scale)

    def slots(self, text: str, span: tuple[int, int], n: int) -> tuple[Slot, ...]:
        return number_slots(text, (text.find("{", *span) + 1, span[1] - 1), self._scale, ("}",))

    def rules(self, n: int) -> Rules:
        scores = ' ", " '.join(["score"] * n)
        return Rules(rf'"\\boxed{{" {scores} "}}"', [f"score ::= {self._scale.grammar()}"], SCORE_TOKENS * n)

    def looks(self, n: int) -> Sequence[Look]:
        return (box_look(n, self._scale),)


class BoxEach(Box):
    r"""A box for each response, in shown order: ``\boxed{8}, \boxed{7}``.

    Read are the boxes from the first line on that begins with a heading of scores, without such a line those of the
    whole answer; there must be exactly n.
    """

    def form(self, n: int) -> str:
        return ", ".join(rf"\boxed{{{place}}}" for place in places(n).split(", "))

    def read(self, text: str, start: int, n: int) -> Reading:
        begin = first_score_line(text, start)
        begin = start if begin is None else begin
        last = read_box(text, begin, 1, self._scale)
        if last.span is None or not last.closed:
            return last
        boxes = _boxes(text, begin, n + 1)
        span = (text.find(BOX, begin), last.span[1])
        if len(boxes) != n:
            got = f"more than {n}" if len(boxes) > n else str(len(boxes))
            return Reading(
                None, Problem("wrong_count", f"got {got} of the boxes, expected {n}, one a response"), span, True
            )
        parts = [text[slice(*inside)].strip(ASCII_SPACE) for inside in boxes]
        return reading(self._scale.read(parts, n, "the answer", ", ".join(parts)), span)

    def slots(self, text: str, span: tuple[int, int], n: int) -> tuple[Slot, ...]:
        return tuple(
            [slot for inside in _boxes(text, span[0], n) for slot in number_slots(text, inside, self._scale, ("}",))]
        )

    def rules(self, n: int) -> Rules:
        root = ' ", " '.join([r'"\\boxed{" score "}"'] * n)
        return Rules(root, [f"score ::= {self._scale.grammar()}"], (SCORE_TOKENS + 4) * n)

    def looks(self, n: int) -> Sequence[Look]:
        return (box_look(1, self._scale),)


class Index(Box):
    r"""The number of the best response, 1 to n, in a box: ``\boxed{2}``. It scores 1 and the others 0."""

    kind: AnswerKind = "choice"

    def __init__(self, scale: Scale) -> None:
        super().__init__(scale)
        self.scale = (0, 1)

    def form(self, n: int) -> str:
        return r"\boxed{number}"

    def read(self, text: str, start: int, n: int) -> Reading:
        found = read_box(text, start, 1, Scale(1, n))
        return found if found.scores is None else found._replace(scores=one_hot(n)[str(found.scores[0])])

    def slots(self, text: str, span: tuple[int, int], n: int) -> tuple[Slot, ...]:
        inside = (text.find("{", *span) + 1, span[1] - 1)
        return tuple(
            [Slot(slot.span, one_hot(n), slot.closers) for slot in number_slots(text, inside, Scale(1, n), ("}",))]
        )

    def rules(self, n: int) -> Rules:
        return Rules(r'"\\boxed{" score "}"', [f"score ::= {Scale(1, n).grammar()}"], SCORE_TOKENS)

    def looks(self, n: int) -> Sequence[Look]:
        return (box_look(1, Scale(1, n)),)


def places(n: int) -> str:
    """``s1, s2``: what stands for n scores in a form, none of them a number."""
    return ", ".join([f"s{place}" for place in range(1, n + 1)] if n <= 3 else ["s1", "...", f"s{n}"])


@lru_cache(maxsize=256)
def one_hot(n: int) -> dict[str, tuple[float, ...]]:
    """The scores of each number from 1 to n: 1 for the response that it names."""
    return {str(place): tuple([int(other == place) for other in range(1, n + 1)]) for place in range(1, n + 1)}


def box_content(text: str, start: int, wanted: str) -> tuple[str, tuple[int, int]] | Reading:
    """What the last box at or after ``start`` holds, and its span; or what is read of an answer without one."""
    opening = last_box(text, start, len(text))
    if opening is None:
        return Reading(None, Problem("no_box", f"the answer has no {BOX}{{...}}; expected {wanted} in one"), None)
    at, begin = opening
    end = closing_brace(text, begin)
    if end is None:
        problem = Problem("no_box", f"the last {BOX}{{ is never closed; expected {wanted} in it")
        return Reading(None, problem, (at, len(text)))
    content, span = text[begin:end], (at, end + 1)
    if box_in_box(text, start, at, end):
        return Reading(None, Problem("not_integer", f"a box inside a box: {shown(content)}"), span, True)
    return content, span


def read_box(text: str, start: int, n: int, scale: Scale) -> Reading:
    """Read exactly n numbers of ``scale`` from the last box at or after ``start``."""
    found = box_content(text, start, scale.wanted(n))
    if isinstance(found, Reading):
        return found
    content, span = found
    numbers = _kept_numbers if len(content) <= SHORT_CHARS else _numbers
    return reading(numbers(content, n, scale), span)


def _numbers(content: str, n: int, scale: Scale) -> tuple[float, ...] | Problem:
    return scale.read([part.strip(ASCII_SPACE) for part in content.split(",")], n, "the box", content)


_kept_numbers = lru_cache(maxsize=1024)(_numbers)


def number_slots(text: str, span: tuple[int, int], scale: Scale, closers: tuple[str, ...]) -> tuple[Slot, ...]:
    """A slot for each number of a comma-separated list at ``span``, which one of ``closers`` follows."""
    words = scale.words()
    found = [match.span() for match in _WORD.finditer(text, *span)] if words else []
    return tuple([Slot(place, words, closers if place is found[-1] else (",",)) for place in found])


@lru_cache(maxsize=256)
def box_look(n: int, scale: Scale) -> Look:
    """The backslash of a box of n numbers of ``scale`` and nothing but dress."""
    return Look(re.compile(rf"\\(?={LOOSE_BOX}{scale.verdict(n)})"))


_EACH = re.compile(r"\\boxed[ \t\r\n\f\v]*+\{")


def _boxes(text: str, start: int, most: int) -> list[tuple[int, int]]:
    """The spans of what is inside each box from ``start`` on, up to ``most`` of them, or to one that is never closed."""
    found: list[tuple[int, int]] = []
    at = start
    while len(found) < most and (opening := _EACH.search(text, at)):
        end = closing_brace(text, opening.end())
        if end is None:
            break
        found.append((opening.end(), end))
        at = end + 1
    return found
