"""The judging world: queries that list requirements, responses that meet some of them, and the exact judge.

A query has two or three requirements, each a weight (must 4, should 2, may 1), a kind and a category of words ("must begin
fish , may lack stone"). A response is three to five words. It is worth the weights of the requirements that it meets; of two or
more responses one is worth most. A single response is right (1) if it meets all of them, else 0. What a response meets is
drawn before its words and apart from its length, so neither a length nor a place nor a word tells the best one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, NamedTuple

WEIGHTS = {"must": 4, "should": 2, "may": 1}
KINDS = ("have", "lack", "begin", "end")
CATEGORIES = {
    "dish": "soup stew bread rice",
    "fish": "trout carp perch eel",
    "stone": "flint slate marble chalk",
    "flower": "rose lily daisy tulip",
    "boat": "raft canoe ferry barge",
    "spice": "salt pepper clove mint",
}
"""Of the second edition: no query of the first one (docs/lab.md) can be made of these."""
WORDS = {name: tuple(words.split()) for name, words in CATEGORIES.items()}
CATEGORY_OF = {word: name for name, words in WORDS.items() for word in words}
LENGTHS = (3, 4, 5)
HELDOUT_OF = 5
"""One of so many combinations of requirements is held out."""


class Requirement(NamedTuple):
    """``weight`` is what meeting it is worth."""

    kind: str
    category: str
    weight: int

    def found_in(self, words: Sequence[str]) -> bool:
        """Whether its category is in a response: anywhere, or for begin and end there."""
        found = [CATEGORY_OF[word] == self.category for word in words]
        return {"begin": found[0], "end": found[-1]}.get(self.kind, any(found))

    def met_by(self, words: Sequence[str]) -> bool:
        """Whether a response meets it."""
        return self.found_in(words) != (self.kind == "lack")


Query = tuple[Requirement, ...]
Response = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Case:
    """A query with its n responses; ``worth`` has n totals."""

    query: Query
    responses: tuple[Response, ...]

    @property
    def worth(self) -> list[int]:
        return [worth(self.query, response) for response in self.responses]

    @property
    def truth(self) -> int:
        """The index of the best response; of a single response its label, 0 or 1."""
        if len(self.responses) == 1:
            return int(self.worth[0] == sum(one.weight for one in self.query))
        return max(range(len(self.responses)), key=self.worth.__getitem__)

    def row(self, id: str) -> dict[str, Any]:
        """The case as a row of items (docs/items.md)."""
        texts = [" ".join(response) for response in self.responses]
        truth = {"label" if len(texts) == 1 else "best": self.truth}
        subset = {"subset": f"n = {len(texts)}", "source": f"n = {len(texts)}"}
        return {"id": id, "prompt": query_text(self.query), "responses": texts, **truth, **subset}


def worth(query: Query, response: Response) -> int:
    """The sum of the weights of what the response meets."""
    return sum(one.weight for one in query if one.met_by(response))


def query_text(query: Query) -> str:
    """The query in words."""
    names = {weight: name for name, weight in WEIGHTS.items()}
    return " , ".join(f"{names[one.weight]} {one.kind} {one.category}" for one in query)


def read_query(text: str) -> Query:
    """The query that ``query_text`` writes so."""
    words = [part.split() for part in text.split(" , ")]
    return tuple([Requirement(kind, category, WEIGHTS[weight]) for weight, kind, category in words])


def is_heldout(query: Query) -> bool:
    """Whether the combination of kinds and categories, in whichever order and by whichever weights, is held out."""
    text = " ".join(["second edition", *sorted(f"{one.kind} {one.category}" for one in query)])
    return hashlib.blake2b(text.encode(), digest_size=4).digest()[0] % HELDOUT_OF == 0


def cases(
    seed: int, *, heldout: bool, sizes: Sequence[int] = (1, 2, 3, 4), decided: float | None = None
) -> Iterator[Case]:
    """Cases without end, n in turn from ``sizes``, over combinations that are held out or over the others.

    In a share ``decided`` of those of two responses or more the weights decide: to count what each response meets does not
    single out the best. None leaves that as it comes, which is one in four.
    """
    draw = Random(f"second world {seed} {heldout}")
    while True:
        for n in sizes:
            yield draw_case(draw, n, heldout=heldout, decided=decided)


def draw_case(draw: Random, n: int, *, heldout: bool, decided: float | None = None) -> Case:
    """One case of n responses."""
    while is_heldout(query := draw_query(draw)) != heldout:
        pass
    patterns = _patterns(draw, query, n, None if decided is None else draw.random() < decided)
    return Case(query, tuple(draw_response(draw, query, pattern) for pattern in patterns))


def draw_query(draw: Random) -> Query:
    """Two or three requirements of different weights on different categories, at most one on the begin and one on the end."""
    while True:
        count = draw.choice((2, 3))
        kinds = [draw.choice(KINDS) for _ in range(count)]
        if kinds.count("begin") <= 1 and kinds.count("end") <= 1:
            break
    categories = draw.sample(list(WORDS), count)
    weights = draw.sample(list(WEIGHTS.values()), count)
    return tuple(map(Requirement, kinds, categories, weights))


def _patterns(draw: Random, query: Query, n: int, weighed: bool | None) -> list[tuple[bool, ...]]:
    """What each response meets: for one, all of it half of the time; else anything with a single best.

    ``weighed`` says whether the weights must decide which.
    """
    if n == 1:
        if draw.random() < 0.5:
            return [(True,) * len(query)]
        while all(pattern := _pattern(draw, query)):
            pass
        return [pattern]
    while True:
        patterns = [_pattern(draw, query) for _ in range(n)]
        best = _single_best(sum(one.weight for one, met in zip(query, row, strict=True) if met) for row in patterns)
        if best is not None and weighed in (None, _single_best(map(sum, patterns)) != best):
            return patterns


def _single_best(totals: Iterable[int]) -> int | None:
    listed = list(totals)
    top = max(listed)
    return listed.index(top) if listed.count(top) == 1 else None


def _pattern(draw: Random, query: Query) -> tuple[bool, ...]:
    return tuple(draw.random() < 0.5 for _ in query)


def draw_response(draw: Random, query: Query, pattern: Sequence[bool]) -> Response:
    """Words that meet just what ``pattern`` says: uniform over all such responses of a length drawn before."""
    length = draw.choice(LENGTHS)
    names = list(WORDS)
    places = {"begin": 0, "end": length - 1}
    ends = {
        places[one.kind]: (one.category, met) for one, met in zip(query, pattern, strict=True) if one.kind in places
    }
    while True:
        categories = [draw.choice(names) for _ in range(length)]
        for place, (category, met) in ends.items():
            categories[place] = category if met else draw.choice([name for name in names if name != category])
        words = tuple(draw.choice(WORDS[category]) for category in categories)
        if all(one.met_by(words) == met for one, met in zip(query, pattern, strict=True)):
            return words
