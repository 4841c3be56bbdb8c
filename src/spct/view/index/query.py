"""What of a run is asked for: filters, words, order and page, as they stand in an address, and as SQL over the index.

``show=wrong&show=tied`` are items of either grade; every other part narrows further. ``x.KEY=VALUE`` is an extra key of the
items. An address with something unknown in it is an InputError that names what there is.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

from spct.errors import InputError
from spct.views.kinds import OUTCOMES, check_kinds_known

PAGE = 100
LEAST_BEGIN = 4
"""Letters by which the words that begin with them are found; fewer would find half of all texts, slowly."""
COLUMNS = {
    "position": "position",
    "id": "id",
    "query": "query COLLATE NOCASE",
    "n": "n",
    "grade": "grade",
    "best": "best",
    "confidence": "confidence",
    "margin": "margin",
    "valid": "valid",
    "invalid": "invalid",
    "tokens": "tokens",
}
_TERM = re.compile(r'"([^"]+)"|(\S+)')


@dataclass(frozen=True, slots=True)
class Query:
    """``sort`` is a column, with a minus for the greatest first; ``against`` another run whose votes choose otherwise."""

    show: tuple[str, ...] = ()
    extras: tuple[tuple[str, str], ...] = ()
    words: str = ""
    sort: str = "position"
    page: int = 1
    against: str = ""

    def address(self, **changes: Any) -> str:
        """The part of an address behind the question mark, with some of it changed."""
        asked = replace(self, **{"page": 1, **changes})
        pairs = [("show", name) for name in asked.show]
        pairs += [(f"x.{key}", value) for key, value in asked.extras]
        if asked.words:
            pairs.append(("q", asked.words))
        if asked.against:
            pairs.append(("against", asked.against))
        if asked.sort != "position":
            pairs.append(("sort", asked.sort))
        if asked.page > 1:
            pairs.append(("page", str(asked.page)))
        return urlencode(pairs)

    def sorted_by(self, column: str) -> str:
        """The address that sorts by ``column``, the other way round if it already does."""
        return self.address(sort=f"-{column}" if self.sort == column else column)

    def where(self) -> tuple[str, list[Any]]:
        """The condition in SQL, and its values."""
        parts, values = ["1"], []
        if outcomes := [_is_kind(name) for name in self.show if name in OUTCOMES]:
            parts.append("(" + " OR ".join(outcomes) + ")")
        parts += [_is_kind(name) for name in self.show if name not in OUTCOMES]
        for key, value in self.extras:
            parts.append("position IN (SELECT position FROM extras WHERE key = ? AND value = ?)")
            values += [key, value]
        for term in _terms(self.words):
            parts.append(
                "position IN (SELECT rowid FROM item_words WHERE item_words MATCH ? UNION SELECT position FROM judged "
                "WHERE judgment IN (SELECT rowid FROM judgment_words WHERE judgment_words MATCH ?))"
            )
            values += [term, term]
        if self.against:
            parts.append("id IN (SELECT id FROM flips)")
        return " AND ".join(parts), values

    def order(self) -> str:
        """The order in SQL: what has no value comes last, equals in the order of the input."""
        column = COLUMNS[self.sort.removeprefix("-")]
        return f"({column}) IS NULL, {column} {'DESC' if self.sort.startswith('-') else 'ASC'}, position"


def query_of(pairs: Sequence[tuple[str, str]]) -> Query:
    """Read the part of an address behind the question mark. Raises InputError."""
    given: dict[str, list[str]] = {}
    for key, value in pairs:
        given.setdefault(key, []).append(value)
    show = tuple(dict.fromkeys(given.get("show", ())))
    check_kinds_known(show)
    sort = given.get("sort", ["position"])[-1] or "position"
    if sort.removeprefix("-") not in COLUMNS:
        raise InputError(f"sort={sort}: expected one of {', '.join(COLUMNS)}, with a minus for the greatest first")
    page = given.get("page", ["1"])[-1] or "1"
    if not page.isdigit() or not 1 <= int(page) <= 10**9:
        raise InputError(f"page={page}: expected a number from 1")
    extras = tuple(
        (key[2:], value) for key, values in given.items() if key.startswith("x.") for value in values if value
    )
    words, against = given.get("q", [""])[-1].strip(), given.get("against", [""])[-1]
    return Query(show, extras, words, sort, int(page), against)


def _is_kind(name: str) -> str:
    """The condition in SQL that an item is of the kind ``name``, which must be one of ``KINDS``."""
    return f"instr(kinds, ',{name},')"


def _terms(words: str) -> list[str]:
    """Words and quoted phrases, each as the index takes it; of a word, its first letters will do if they are not too few."""
    found = []
    for phrase, word in _TERM.findall(words):
        text = (phrase or word).replace('"', " ").strip()
        if any(char.isalnum() for char in text):
            found.append(f'"{text}"' + (" *" if word and len(text) >= LEAST_BEGIN else ""))
    return found


@dataclass(frozen=True, slots=True)
class Found:
    """``count`` items match; ``rows`` are those of the page asked for, by name of the column."""

    count: int
    rows: list[sqlite3.Row]
    pages: int


def _narrowed(db: sqlite3.Connection, query: Query) -> tuple[str, list[Any]]:
    """The condition to count and to sort by: where words are searched, the items that match, found once."""
    where, values = query.where()
    if not query.words:
        return where, values
    db.execute("DROP TABLE IF EXISTS temp.matching")
    db.execute(f"CREATE TEMP TABLE matching AS SELECT position FROM cells WHERE {where}", values)
    return "position IN (SELECT position FROM temp.matching)", []


def find(db: sqlite3.Connection, query: Query) -> Found:
    """The page of items that match."""
    where, values = _narrowed(db, query)
    count = db.execute(f"SELECT count(*) FROM cells WHERE {where}", values).fetchone()[0]
    db.row_factory = sqlite3.Row
    rows = db.execute(
        f"SELECT * FROM cells WHERE {where} ORDER BY {query.order()} LIMIT ? OFFSET ?",
        [*values, PAGE, (query.page - 1) * PAGE],
    ).fetchall()
    db.row_factory = None
    return Found(count, rows, max(1, -(-count // PAGE)))


@dataclass(frozen=True, slots=True)
class Neighbours:
    """An item among those that match: its ``place`` from 1 (None: not among them), and the positions next to it."""

    place: int | None
    count: int
    before: int | None
    after: int | None


def neighbours(db: sqlite3.Connection, query: Query, position: int) -> Neighbours:
    """Who stands next to an item in the order asked for."""
    where, values = query.where()
    order = [row[0] for row in db.execute(f"SELECT position FROM cells WHERE {where} ORDER BY {query.order()}", values)]
    try:
        place = order.index(position)
    except ValueError:
        return Neighbours(None, len(order), None, order[0] if order else None)
    before = order[place - 1] if place else None
    after = order[place + 1] if place + 1 < len(order) else None
    return Neighbours(place + 1, len(order), before, after)


@dataclass(frozen=True, slots=True)
class Facet:
    """An extra key with its values and how many items have each, most frequent first."""

    key: str
    values: list[tuple[str, int]]


MOST_VALUES = 50


def facets(db: sqlite3.Connection) -> list[Facet]:
    """The extra keys that some items share, of not too many values."""
    keys = db.execute("SELECT key, count(DISTINCT value), count(*) FROM extras GROUP BY key ORDER BY key").fetchall()
    found = []
    for key, kinds, count in keys:
        if kinds <= MOST_VALUES and (count > kinds or kinds == 1):
            counted = "SELECT value, count(*) FROM extras WHERE key = ? GROUP BY value ORDER BY count(*) DESC, value"
            found.append(Facet(key, db.execute(counted, [key]).fetchall()))
    return found
