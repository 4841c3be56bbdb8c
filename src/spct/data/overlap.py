"""Finds queries that a benchmark asks too: word for word, or nearly.

Two texts of a conversation are looked at, its first user turn and all that the user said. Exact: one of them has the
same words in the same order as one of the benchmark's, or as a paragraph of its query (which finds a question that the
benchmark wrapped in an instruction). Near: of the runs of ``words`` words (n-grams) of two texts, at least ``threshold``
of the smaller one's are in the other (containment). Texts with fewer than ``MIN_GRAMS`` different n-grams are compared
exactly only. All n-grams are looked up, none is sampled: nothing is left to chance.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from spct.data.conversation import hash64, user_turns, words_of
from spct.types import Message

Match = Literal["exact", "near"]
MIN_GRAMS = 4
MIN_PARAGRAPH_WORDS = 5
"""A shorter paragraph ("Please answer briefly.") says nothing of the query."""


@dataclass
class OverlapIndex:
    """The queries of all benchmarks; memory is about 100 bytes per n-gram of theirs."""

    words: int = 8
    threshold: float = 0.5
    _exact: dict[int, set[str]] = field(default_factory=lambda: defaultdict(set))
    _near: dict[int, list[int]] = field(default_factory=lambda: defaultdict(list))
    _texts: list[tuple[str, int]] = field(default_factory=list)

    def add(self, benchmark: str, conversations: Iterable[tuple[Message, ...]]) -> int:
        """Take in a benchmark's queries; returns how many different ones there are."""
        seen: set[int] = set()
        for messages in conversations:
            turns = user_turns(messages)
            texts = _texts(turns)
            if (whole := _mark(texts[-1])) in seen:
                continue
            seen.add(whole)
            paragraphs = [words_of(part) for turn in turns for part in turn.splitlines()]
            for words in [*texts, *(words for words in paragraphs if len(words) >= MIN_PARAGRAPH_WORDS)]:
                self._exact[_mark(words)].add(benchmark)
            for words in texts:
                grams = self._grams(words)
                for gram in grams:
                    self._near[gram].append(len(self._texts))
                self._texts.append((benchmark, len(grams)))
        return len(seen)

    def find(self, messages: tuple[Message, ...], topic: str | None = None) -> dict[str, Match]:
        """The benchmarks that ask this query (or ``topic``, where that is what it asks), and how it was found."""
        texts = _texts(user_turns(messages) if topic is None else [topic])
        found: dict[str, Match] = {name: "exact" for words in texts for name in self._exact.get(_mark(words), ())}
        for words in texts:
            for name in self._nearly(self._grams(words)):
                found.setdefault(name, "near")
        return dict(sorted(found.items()))

    def _nearly(self, grams: set[int]) -> Iterator[str]:
        """The benchmarks with a text that shares enough of these n-grams."""
        shared = Counter(text for gram in grams for text in self._near.get(gram, ()))
        for text, count in shared.items():
            name, size = self._texts[text]
            smaller = min(size, len(grams))
            if smaller >= MIN_GRAMS and count >= self.threshold * smaller:
                yield name

    def _grams(self, words: list[str]) -> set[int]:
        return {_mark(words[i : i + self.words]) for i in range(len(words) - self.words + 1)}


def _texts(turns: list[str]) -> list[list[str]]:
    """The words of the first turn and, where there are more, of all turns together; of the turns that have any."""
    spoken = [words for turn in turns if (words := words_of(turn))] or [turns[:1]]
    return [spoken[0]] if len(spoken) == 1 else [spoken[0], [word for words in spoken for word in words]]


def _mark(words: list[str]) -> int:
    return hash64(" ".join(words))
