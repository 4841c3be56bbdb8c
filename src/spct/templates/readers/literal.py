"""A form that a template writes down literally, with ``{}`` where the answer stands: ``[RESULT] {}``, ``[[{}]]``.

No regular expression is taken from a user: the text stands for itself, blanks in it for one or more blanks, and ``{i}``
or ``{letter}`` for the number (1, 2, ...) or the letter (A, B, ...) of a response. So it is found in linear time.

What stands between the text before and the text after is the answer, ASCII white space around it dropped. Without a text
after, it is the rest of the line, of which marks of emphasis and a full stop are dropped too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from spct.errors import InputError
from spct.templates.folding import squeeze
from spct.templates.readers.scale import ASCII_SPACE

_NUMBERS = re.compile(r"\{(i|letter)\}")
ENDS_OF_LINE: tuple[str, ...] = ("\n", ".", "*")
_LEADING, _TRAILING = " \t\r*_`$'\"", " \t\r*_`$'\"."


class Found(NamedTuple):
    """A form in a completion: the span of it all and of the answer in it; ``closed`` as for ``Reading``."""

    span: tuple[int, int]
    inside: tuple[int, int]
    closed: bool


class Literal:
    """The form ``text``. Raises InputError where it has no place for the answer, or nothing before it to know it by."""

    def __init__(self, text: object) -> None:
        if not isinstance(text, str) or text.count("{}") != 1 or "\n" in text:
            raise InputError(f"form is {text!r}; expected one line of text with {{}} where the answer stands")
        self.text = text
        self.before, self.after = text.split("{}")
        self.numbered = bool(_NUMBERS.search(self.before))
        if not self.before.strip() or _NUMBERS.search(self.after):
            raise InputError(f"form is {text!r}; expected text before the {{}}, and {{i}} or {{letter}} nowhere else")
        self.stem = squeeze(max(_NUMBERS.split(self.before)[::2], key=len))

    def filled(self, answer: str, number: int = 1) -> str:
        """The form of response ``number`` with this answer in it."""
        return numbered(self.before, number) + answer + self.after

    def last(self, text: str, start: int, number: int = 1) -> Found | None:
        """Where the form of response ``number`` stands last, from ``start`` on; also if it is not closed."""
        match = _last(self.before, number).match(text, start)
        return None if match is None else self._found(text, match.end("lead"), match.end())

    def holding(self, answers: Iterable[str]) -> re.Pattern[str]:
        """The form with one of ``answers`` in it, as written."""
        one_of = "|".join(map(re.escape, sorted(answers, key=len, reverse=True)))
        blanks = f"[{ASCII_SPACE}]*+"
        end = blanks + _after(self.after).pattern if self.after.strip() else r"(?![^\W_])"
        return re.compile(rf"{_first(self.before, 1).pattern}{blanks}(?:{one_of}){end}")

    def _found(self, text: str, at: int, begin: int) -> Found:
        if self.after.strip():
            closing = _after(self.after).search(text, begin)
            if closing is None:
                return Found((at, len(text)), (begin, len(text)), False)
            return Found((at, closing.end()), stripped(text, begin, closing.start(), ASCII_SPACE, ASCII_SPACE), True)
        end = text.find("\n", begin)
        closed, end = end >= 0, end if end >= 0 else len(text)
        return Found((at, end), stripped(text, begin, end, _LEADING, _TRAILING), closed)

    def closers(self) -> tuple[str, ...]:
        """What follows the answer."""
        after = self.after.strip()
        return (after[0],) if after else ENDS_OF_LINE

    def pattern(self, answer: str) -> re.Pattern[str]:
        """What reads like this form of any response, with ``answer`` (a regular expression) in it, to somebody careless."""
        return re.compile(rf"{loosely(self.before)}[\s*_`$'\"(]*+{answer}")


def numbered(text: str, number: int) -> str:
    """``text`` with the number or the letter of a response in it."""
    return _NUMBERS.sub(lambda match: str(number) if match[1] == "i" else letter(number), text)


def loosely(text: str) -> str:
    """A regular expression for what reads like ``text``, of any response, to somebody careless."""
    pieces = [r"(?:\d{1,4}|[a-zA-Z])" if at % 2 else _loose(part) for at, part in enumerate(_NUMBERS.split(text))]
    return r"[\s*_]*+".join(piece for piece in pieces if piece)


def letter(number: int) -> str:
    """A for 1, B for 2, ...; beyond Z the number itself."""
    return chr(ord("A") + number - 1) if number <= 26 else str(number)


def stripped(text: str, begin: int, end: int, leading: str, trailing: str) -> tuple[int, int]:
    content = text[begin:end]
    begin = end - len(content.lstrip(leading))
    return begin, max(begin, begin + len(text[begin:end].rstrip(trailing)))


def _strict(text: str) -> str:
    """The text itself, in which blanks stand for one or more blanks."""
    return r"[ \t]++".join(map(re.escape, re.split(r"[ \t]+", text)))


@lru_cache(maxsize=1024)
def _first(before: str, number: int) -> re.Pattern[str]:
    text = numbered(before, number).strip()
    return re.compile(("(?<![^\\W_])" if text[0].isalnum() else "") + _strict(text))


@lru_cache(maxsize=1024)
def _last(before: str, number: int) -> re.Pattern[str]:
    return re.compile(rf"(?P<lead>(?s:.*)){_first(before, number).pattern}")


@lru_cache(maxsize=64)
def _after(after: str) -> re.Pattern[str]:
    return re.compile(_strict(after.strip()))


def _loose(text: str) -> str:
    """The characters of ``text`` in any case, with any blanks and emphasis between them."""
    chars = [char for char in text if not char.isspace() and char not in "*_"] or text.split()
    return r"[\s*_]*+".join(f"[{char.lower()}{char.upper()}]" if char.isalpha() else re.escape(char) for char in chars)
