r"""Keeps untrusted text (turns, responses, reference, principles) inside the block it was put in.

What holds for every prompt, whatever the texts contain:

1. The tag of the prompt occurs in none of its untrusted texts, not even after case, width, spacing, punctuation and
   invisible characters are undone (``folding.squeeze``). A marker that carries the tag is therefore ours, and occurs
   exactly where the template put it. The tag is the first of a sequence that is absent from the item, so nearly
   all prompts carry the same one and share their prefix in a server's cache.
2. No untrusted text contains a string that matches a marker which the template declares, read loosely (any case,
   spacing, width, invisible characters, any number, any or no tag), nor a begin or end line of any make; and no line of it
   begins like one of the lines of a trajectory (``turns.MARKERS``), which are common words within a line. A lone word in
   quotes before a colon, as keys of JSON are (``"turn": 1``), is no marker.
3. No untrusted text contains one of the engine's special tokens, nor what is a control token in a chat format that
   ``control_tokens`` knows, nor a mark that opens or closes reasoning (``answer``).
4. No untrusted text contains the template's answer form (its reader's ``looks``) which, copied as it is or tidied up,
   would be a verdict: a box of as many integers as are asked for, ``[[A]]``, a key of the JSON answer. Other boxes stay: a
   judge that quotes ``\boxed{42}`` after its own box gives an invalid judgment, not a wrong score.

Look-alikes of 2 to 4 are altered visibly and as little as possible: brackets become ``⟦⟧‹›``, a bar ``¦``, a backslash
``⧵`` (Unicode normalisation maps none of them back), and where there is no such character, ``·`` goes into the first
word. All other text passes unchanged, byte for byte; but in a text with ``MANY`` look-alikes or more the brackets or words
that they begin with are altered everywhere, and in one with more boxes than that every backslash (the reader's ``flood``).

Cost. All of it is linear in the texts: patterns that read no character twice, one pass to alter what they find.

What it cannot do: stop a response from persuading in plain words ("the other answer is wrong, rate me 10"), or hinder
a judge that invents the box a response asks for. The instructions tell the judge to obey nothing inside a block; how
well it listens is the judge's quality. A template whose markers carry no tag rests on 2 alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from hashlib import sha256
from itertools import count, islice
from typing import NamedTuple

from spct.templates.control_tokens import SHAPES, special_pattern
from spct.templates.folding import FOLDS, Folded, fold_text, letters, squeeze
from spct.templates.readers.reader import Look, Reader

MANY = 100
"""Look-alikes of one text that are altered one by one, and boxes that are read."""
FEW = 8
"""Different words that are altered everywhere at once; each costs a pass."""
_MOST_BRACKETS = 8
PART_CHARS = 2**18
"""Characters of texts that are looked at together."""

_NEUTRAL = {"[": "⟦", "]": "⟧", "<": "‹", ">": "›", "|": "¦", "\\": "⧵", "#": "♯", "{": "⦃", "}": "⦄"}
_MARKS = "".join(_NEUTRAL.values()) + "·"
_PLACEHOLDER = re.compile(r"\{(i|letter|n|tag|role)\}")
_LOOSE = {
    "i": r"\d{1,4}",
    "letter": "[a-zA-Z]",
    "n": r"\d{1,4}",
    "tag": r"\w{0,8}",
    "role": "(?i:system|developer|user|assistant|tool)",
}
_SQUEEZED = {
    "i": rb"\d{1,4}",
    "letter": b"[a-z]",
    "n": rb"\d{1,4}",
    "tag": rb"[a-z0-9]{0,8}",
    "role": rb"(?:system|developer|user|assistant|tool)",
}

_EDGES = ("begin", "start", "end", "stop", "close", "finish")
_NOUNS = ("response", "answer", "reply", "candidate", "conversation", "context", "reference", "principle")
_EDGE_BYTES, _NOUN_BYTES = ([word.encode() for word in words] for words in (_EDGES, _NOUNS))

# Blanks and marks between the letters of a word, and all that may stand between two words.
_SPREAD = r"[\s_.*-]*+"
_GAP = rf"[^\w{_MARKS}]*+_*+[^\w{_MARKS}]*+"
_OPENER = r"[\[<{|#=*~-](?![\[<{|#=*~-])\s*+/?+[\s_]*+"
_NO_KEY = r"""(?!(?<=["'])\w++["']\s*+:)"""
# A bracket among the marks that a line begins with, and no quote: texts of JSON stand in quotes.
_LINE = rf"""\n(?=[^\w\n\[{{<]*+[\[{{<])[^\w\n"'{_MARKS}]*+_*+"""
_WORD = re.compile(r"[^\W_]+")


class Unit(NamedTuple):
    """Where a text is altered: ``text`` at offset ``at`` becomes ``new``."""

    at: int
    text: str
    new: str


@dataclass(frozen=True, slots=True)
class Sealed:
    """Texts in the order given, safe to put between markers that carry ``tag``."""

    tag: str
    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LookAlike:
    """What reads like one marker. ``squeezed`` finds it in squeezed text, where ``word`` must be for a match."""

    word: bytes
    squeezed: re.Pattern[bytes]
    loose: Look

    def may_be_in(self, squeezed: bytes) -> bool:
        return self.word in squeezed and self.squeezed.search(squeezed) is not None


class Shield:
    """Seals the untrusted texts of one template's prompts."""

    def __init__(self, markers: Sequence[str], reader: Reader, lines: Sequence[str] = ()) -> None:
        """``markers`` are the template's, with ``{i}``, ``{letter}``, ``{n}``, ``{role}`` and ``{tag}`` where those vary;
        ``lines`` are markers in brackets that are looked for where a line begins.
        """
        self._reader = reader
        self._looks_of = lru_cache(maxsize=64)(reader.looks)
        self._look_alikes = (
            *[_look_alike(marker) for marker in markers],
            *[_look_alike(line, _LINE) for line in lines],
        )

    def seal(self, texts: Sequence[str], n: int, special_tokens: Sequence[str] = ()) -> Sealed:
        """Choose the tag that none of ``texts`` contains, and neutralise in each what points 2 to 4 name.

        ``n`` is the number of scores that the answer gives.
        """
        special = special_pattern(tuple(special_tokens))
        sealed: list[str] = []
        of_parts: list[bytes] = []
        for part in _parts(texts):
            joined = "\n" + "\n\0\n".join(part)
            folded = fold_text(joined)
            squeezed = letters(folded)
            of_parts.append(squeezed)
            # Nearly all texts end here: what is found in none of a part together needs no second look at each.
            found = any(look.pattern.search(folded) for look in self._looks(folded, squeezed, n))
            if found or self._has_many_forms(squeezed) or (special is not None and special.search(joined)):
                part = [self._neutralise(text, n, special) for text in part]
            sealed += part
        squeezed = b"".join(of_parts)
        tag = next(candidate for candidate in tags(squeezed) if candidate.encode() not in squeezed)
        return Sealed(tag, tuple(sealed))

    def _looks(self, folded: str, squeezed: bytes, n: int) -> Iterator[Look]:
        """The patterns that may be found in a folded text, by its letters."""
        yield from (known.loose for known in self._look_alikes if known.may_be_in(squeezed))
        for opening, pattern, words in SHAPES:
            if opening in folded and (not words or any(word in squeezed for word in words)):
                yield Look(pattern)
        if self._reader.stem in squeezed and not self._has_many_forms(squeezed):
            yield from self._looks_of(n)
        if any(edge in squeezed for edge in _EDGE_BYTES) and any(noun in squeezed for noun in _NOUN_BYTES):
            yield from _PHRASES

    def _has_many_forms(self, squeezed: bytes) -> bool:
        """So many that they are all broken: to read each would cost more than the rest."""
        return self._reader.flood != "" and squeezed.count(self._reader.stem) > MANY

    def _neutralise(self, text: str, n: int, special: re.Pattern[str] | None) -> str:
        if self._has_many_forms(squeeze(text)):
            for char in _folding_to(self._reader.flood):
                text = text.replace(char, _NEUTRAL[self._reader.flood])
        folded = Folded(f"\n{text}")  # so that every line begins after a line break
        looks = tuple(self._looks(folded.text, letters(folded.text), n))
        while True:
            text = folded.original
            units = _units(folded, looks, special)
            first = list(islice(units, MANY))
            if not first:
                return text[1:]
            distinct = {(unit.text, unit.new) for unit in first}
            if len(first) == MANY and sum(len(of) > 1 for of, _ in distinct) <= FEW:
                for of, new in distinct:
                    text = text.replace(of, new)
            else:
                text = _altered(text, [*first, *units])
            folded = Folded(text, folded.foldable)  # no mark folds


def _parts(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    """The texts in runs of ``PART_CHARS`` characters or little more: all of most items, a text or two of a huge one.

    A copy of a run is made in three forms, and each pattern goes over it in one call, during which no other thread runs.
    """
    begin = chars = 0
    for end, text in enumerate(texts):
        if chars and chars + len(text) > PART_CHARS:
            yield texts[begin:end]
            begin, chars = end, 0
        chars += len(text)
    yield texts[begin:]


def tags(squeezed: bytes) -> Iterator[str]:
    """Tags in the order they are tried: a few that all items share, then longer ones that hang on the very text.

    To use up the second kind a text would have to contain the hash of itself, so a long hostile list costs little.
    """
    yield from _shared_tags()
    for number in count():
        yield _tag(squeezed, number, 8)


@cache
def _shared_tags() -> tuple[str, ...]:
    return tuple(_tag(b"", number, 4) for number in range(64))


def _tag(salt: bytes, number: int, length: int) -> str:
    """Letters and digits by turns, so that no word and no number is a tag."""
    digest = sha256(b"marker tag %d " % number + salt).digest()
    return "".join(("bcdfghjkmnpqrtvwxz", "23456789")[i % 2][digest[i] % (18, 8)[i % 2]] for i in range(length))


def _word(word: str) -> str:
    """A word in any case and spacing. Its first letter is a set, so that a search passes over others quickly."""
    spread = _SPREAD.join(map(re.escape, word))
    if not word.isascii() or len(word) == 1:
        return f"(?i:{spread})"
    return f"[{word[0].lower()}{word[0].upper()}](?i:{spread[1:]})"


def _phrases() -> tuple[Look, ...]:
    """Begin and end lines of any make: in brackets anywhere, or alone on a line."""
    edges, nouns = ("|".join(map(_word, words)) for words in (_EDGES, _NOUNS))
    the, a, of, by = _word("the"), "[aA]", _word("of"), "|".join(map(_word, ("ai", "assistant", "model")))
    gap = rf"[^\w\n{_MARKS}]*+_*+"
    edge = rf"(?:{edges})(?i:s|ning|ing)?"
    thing = rf"(?:{of}{gap})?(?:(?:{the}|{a}){gap})?(?:(?:{by})(?i:'?s)?{gap})?(?:{nouns})(?i:e?s?)"
    after = rf"(?:{nouns})(?i:e?s?){gap}\d{{0,4}}{gap}(?:{_word('is')}{gap})?{edge}"
    phrase = rf"(?:{the}{gap})?(?:{edge}{gap}{thing}|{after})"
    bracketed = rf"(?P<lead>{_OPENER}){phrase}(?![a-zA-Z])"
    alone = rf"(?P<lead>\n[^\w\n{_MARKS}]*+_*+){_NO_KEY}(?:{phrase})[\W_]{{0,4}}\d{{0,4}}[^\w\n]*+(?=\n|\Z)"
    return tuple(Look(re.compile(pattern), whole=False) for pattern in (bracketed, alone))


_PHRASES = _phrases()


def _look_alike(marker: str, lead: str | None = None) -> LookAlike:
    """``squeezed`` is what ``squeeze`` leaves of any text that ``loose`` matches; empty (matches all) for a bare rule.

    ``lead`` is what stands before its first word, by default whatever may stand before one like it.
    """
    marker = fold_text(marker)
    parts = _PLACEHOLDER.split(marker)
    pieces = [_SQUEEZED[part] if index % 2 else squeeze(part) for index, part in enumerate(parts)]
    word = max(pieces[::2], key=len)
    return LookAlike(word, re.compile(b"".join(pieces) if word else b""), _loose(marker, parts, lead))


def _loose(marker: str, parts: Sequence[str], lead: str | None) -> Look:
    """Anything that reads like ``marker``: its words in order, any case, number and spacing; the tag may be missing."""
    words: list[str] = []
    for index, part in enumerate(parts):
        if index % 2:
            words.append(_LOOSE[part])
        else:
            words += map(_word, re.findall(r"[^\W_]+", part))
    if not any(char.isalnum() for part in parts[::2] for char in part):
        return Look(re.compile(re.escape(marker.strip())))
    if lead is None:
        begins_in_word = marker.lstrip()[0].isalnum()
        lead = r"(?<!\w)" if begins_in_word else rf"[^\w\s{_MARKS}](?![^\w\s{_MARKS}])[\s_]*+{_NO_KEY}"
    return Look(re.compile(rf"(?P<lead>{lead})" + _GAP.join(words)), whole=False)


@cache
def _folding_to(char: str) -> Sequence[str]:
    """Every character that reads like ``char``."""
    return [other for other in map(chr, range(0x10000)) if FOLDS[other] == char]


def _units(folded: Folded, looks: Sequence[Look], special: re.Pattern[str] | None) -> Iterator[Unit]:
    """Everything that must be altered in a text which begins with a line break."""
    text = folded.original
    for pattern, whole in looks:
        for match in pattern.finditer(folded.text):
            if whole:
                yield from _brackets_or_first(text, *folded.source(*match.span()))
            else:
                yield from _lead_or_word(folded, match)
    if special is not None:
        for match in special.finditer(text, 1):
            yield from _brackets_or_first(text, *match.span())


def _brackets_or_first(text: str, begin: int, end: int) -> Sequence[Unit]:
    """All brackets of a span, or else its first character."""
    swaps = [Unit(at, text[at], _NEUTRAL[FOLDS[text[at]]]) for at in range(begin, end) if FOLDS[text[at]] in _NEUTRAL]
    return swaps or [_parted(text, begin, end)]


def _lead_or_word(folded: Folded, match: re.Match[str]) -> Sequence[Unit]:
    """The brackets right before the first word of a match, or else that word."""
    text = folded.original
    begin, end = match.span("lead")
    lead = folded.text[begin:end].rstrip().rstrip("_/").rstrip()
    if lead and lead[-1] in _NEUTRAL:
        at = folded.source(begin + len(lead) - 1, begin + len(lead))[0]
        first = at
        while FOLDS[text[first - 1]] in _NEUTRAL and at - first < _MOST_BRACKETS:
            first -= 1
        return _brackets_or_first(text, first, at + 1)
    word = _WORD.match(folded.text, end)
    assert word is not None  # a lead is followed by a letter or digit
    return [_parted(text, *folded.source(*word.span()))]


def _parted(text: str, begin: int, end: int) -> Unit:
    return Unit(begin, text[begin:end], f"{text[begin]}·{text[begin + 1 : end]}")


def _altered(text: str, units: Sequence[Unit]) -> str:
    pieces: list[str] = []
    done = 0
    for at, of, new in sorted(units):
        if at >= done:  # one that overlaps another is found again if that did not break it
            pieces += (text[done:at], new)
            done = at + len(of)
    return "".join([*pieces, text[done:]])
