"""What a text looks like to a careless reader: width, invisible characters and look-alike letters undone.

Only the shield reads folded text; nothing folded is ever shown to a model. ASCII folds to itself (case is left to the
patterns). Everything else folds to the ASCII it resembles, to nothing if it is invisible, else to itself.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Sequence
from functools import cached_property
from itertools import accumulate

# Cyrillic and Greek letters that print like Latin ones, lower case.
_LETTERS = dict(zip("аеорсухіјѕԁһкмтвнοναερικτυ", "aeopcyxijsdhkmtbhovaepikty", strict=True))
_BRACKETS = (
    dict.fromkeys("【〔〖〈《«❲❨〚｢「『", "[")
    | dict.fromkeys("】〕〗〉》»❳❩〛｣」』", "]")
    | {"∖": "\\", "◁": "<", "▷": ">"}
)
_BLANKS = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u3164\uffa0") | {
    chr(c) for c in range(0xFE00, 0xFE10)
}

# All but ASCII, kana, Chinese characters, Hangul and the marks of the shield, which fold to themselves.
_MAY_FOLD = re.compile("[^\x00-\x7f\u3041-\u3096\u30a1-\u30fa\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3⟦⟧‹›¦⧵♯⦃⦄·]")
_ALNUM = b"abcdefghijklmnopqrstuvwxyz0123456789"
_LOWER = bytes(range(256)).lower()
_DROPPED = bytes(c for c in range(256) if bytes([c]).lower() not in {bytes([a]) for a in _ALNUM})
_FEW = 32


class _Folds(dict[str, str]):
    """Folded form by character, worked out once per character met."""

    def __missing__(self, char: str) -> str:
        self[char] = folded = _fold_char(char)
        return folded


def _fold_char(char: str) -> str:
    if char.isascii():
        return char
    if char in _BRACKETS:
        return _BRACKETS[char]
    if char in _BLANKS or unicodedata.category(char) == "Cf" or 0xE0100 <= ord(char) <= 0xE01EF:
        return ""
    if (digit := unicodedata.decimal(char, None)) is not None:
        return str(digit)
    plain = unicodedata.normalize("NFKC", char).casefold()
    plain = _LETTERS.get(plain, plain)
    return plain if plain.isascii() else char


FOLDS = _Folds()


class Folded:
    """A folded text that knows where its characters came from."""

    def __init__(self, original: str, foldable: Sequence[str] | None = None) -> None:
        """``foldable`` may name all characters that could fold, where they are known."""
        self.foldable = _foldable(original) if foldable is None else foldable
        self.text = _replaced(original, self.foldable)
        self.original = original
        # Characters that give none or several; the offsets behind one are shifted.
        self._odd = [char for char in self.foldable if len(FOLDS[char]) != 1]

    def source(self, start: int, end: int) -> tuple[int, int]:
        """The span of the original text that folded to [start, end), end > start."""
        if not self._odd:
            return start, end
        return self._origin(start), self._origin(end - 1) + 1

    def _origin(self, offset: int) -> int:
        ats, places = self._shifts
        last = bisect_right(ats, offset) - 1
        if last < 0:
            return offset
        given, place = len(FOLDS[self.original[places[last]]]), places[last]
        beyond = offset - ats[last] - given
        return place if beyond < 0 else place + 1 + beyond

    @cached_property
    def _shifts(self) -> tuple[list[int], list[int]]:
        """Where the odd characters are in the folded text, and in the original."""
        odd = re.compile(f"[{re.escape(''.join(self._odd))}]")
        places = [match.start() for match in odd.finditer(self.original)]
        shifts = accumulate((len(FOLDS[self.original[place]]) - 1 for place in places), initial=0)
        return [place + shift for place, shift in zip(places, shifts, strict=False)], places


def fold_text(text: str) -> str:
    """The folded text alone."""
    return _replaced(text, _foldable(text))


def squeeze(text: str) -> bytes:
    """The ASCII letters and digits of the folded text, lower case, with everything between them dropped."""
    return letters(fold_text(text))


def letters(folded: str) -> bytes:
    """What ``squeeze`` makes of a text that is folded already."""
    return folded.encode("utf-8", "surrogatepass").translate(_LOWER, _DROPPED)


def _foldable(text: str) -> list[str]:
    """The characters of a text, each once, that do not fold to themselves."""
    if text.isascii():
        return []
    found: set[str] = set()
    # Most texts have few kinds of them: taking out one after the other is much faster than to look at each character.
    while len(found) < _FEW and (match := _MAY_FOLD.search(text)):
        found.add(match.group())
        text = text.replace(match.group(), "")
    if len(found) == _FEW:
        found.update(text)
    return [char for char in found if FOLDS[char] != char]


def _replaced(text: str, foldable: Sequence[str]) -> str:
    if len(foldable) > _FEW:
        return text.translate({ord(char): FOLDS[char] for char in foldable})
    for char in foldable:
        text = text.replace(char, FOLDS[char])
    return text
