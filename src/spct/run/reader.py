"""What a run's file holds, read: every query over it. ``RunStore`` adds the writing.

Failure rule: what SQLite refuses, and a row that is not as this version writes them, is a RunError.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, TypeVar

import orjson

from spct.errors import InputError, RunError
from spct.items import parse_item
from spct.judges.memory import Prompt
from spct.run.asks import Ask, ask_of
from spct.run.damage import as_damage, check_kinds, facts_of, judgment_of, messages_of, place_of, rating_of, verdict_of
from spct.run.rows import JUDGMENT
from spct.run.writer import as_run_error
from spct.templates import Template
from spct.types import Item, Judgment, Usage
from spct.voting.ratings import Place, Rating

RATING = "rating"
"""The fact of a session in which a meta RM rated what others had judged."""
YEAR_10000 = 253_402_300_800
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Request:
    """One request of a run: when it was ``answered`` (seconds since 1970), how many ``seconds`` it took, what it asked.

    ``places`` are the judgments that came of it: none of a first step's, and of parts of a judgment of several requests.
    """

    answered: float
    seconds: float
    prompt: Prompt
    places: tuple[Place, ...]


class RunReader:
    """The samples, items and verdicts of one run, over an open connection to its file."""

    def __init__(self, directory: Path, connection: sqlite3.Connection) -> None:
        self.directory = directory
        self._db = connection
        self._made: dict[tuple[str, str], Template] = {}

    def meta(self, key: str) -> str | None:
        """One of the run's own facts ("settings", "input", ...), or None."""
        found = self._one("SELECT value FROM meta WHERE key = ?", key)
        return None if found is None else str(found[0])

    def metas_like(self, begin: str) -> dict[str, str]:
        """The run's own facts whose keys begin so."""
        return dict(self._rows("SELECT key, value FROM meta WHERE substr(key, 1, ?) = ?", len(begin), begin))

    @property
    def settings(self) -> dict[str, Any]:
        """What the run was made with, as it was written down. Raises RunError where that cannot be read."""
        with as_damage(f"{self.directory}: its settings"):
            written = orjson.loads(self.meta("settings") or "")
            if not isinstance(written, dict):
                raise ValueError(f"got {written!s:.40}; expected settings by their names")
            return written

    def sessions(self) -> list[tuple[str, dict[str, Any]]]:
        """When each session of judging began, and its facts, in order."""
        return [(started, facts) for started, facts in self.all_sessions() if RATING not in facts]

    def all_sessions(self) -> list[tuple[str, dict[str, Any]]]:
        """As ``sessions``, those among them in which a meta RM rated and nothing was judged."""
        return list(self._decoded(lambda row: facts_of(*row), "SELECT started, facts FROM sessions ORDER BY rowid"))

    def templates(self) -> dict[str, Template]:
        """Every template that the run was judged by, by its name or path in the settings, from the texts kept of it.

        Whoever goes through the items asks for each of them, and a template takes long to make: it is made once.
        """

        def read(row: Any) -> tuple[str, Template]:
            name, text = row
            if (name, text) not in self._made:
                texts = dict(orjson.loads(text))
                check_kinds((name, *texts, *texts.values()), [str] * (1 + 2 * len(texts)))
                self._made[name, text] = Template.of_texts(Path(name).stem, texts)
            return name, self._made[name, text]

        return dict(self._decoded(read, "SELECT name, texts FROM templates ORDER BY name"))

    def meta_prompts(self) -> dict[tuple[str, str], dict[str, str]]:
        """The texts of the templates that meta RMs rated by, by the meta RM's id and the template's digest."""
        raters = [facts["meta"] for _, facts in self.all_sessions() if "prompt" in facts.get("meta", {})]
        return {(meta["id"], meta["prompt"]["digest"]): meta["prompt"]["texts"] for meta in raters}

    @property
    def takes_asks(self) -> bool:
        """Whether there is a place for what was asked of a service: only its own runs have one."""
        return bool(self._one("SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE name = 'asks')")[0])

    def asks(self) -> Iterator[Ask]:
        """What was asked of a service, in the order of the answers."""
        if self.takes_asks:
            yield from self._decoded(ask_of, "SELECT answered, item, run, step, rollouts FROM asks ORDER BY rowid")

    def history(self, position: int) -> list[Judgment]:
        """The judgments there are of the item at ``position``, by index, block and attempt."""
        query = f"SELECT {JUDGMENT} FROM judgments WHERE position = ? ORDER BY idx, block, attempt"
        with as_damage(f"{self.directory}: item {position}"):
            return [judgment_of(row) for row in self._rows(query, position)]

    def judgments(self) -> Iterator[tuple[int, list[Judgment]]]:
        """The judgments of every item that has some, in one pass over the file: position, and as by ``history``."""
        query = f"SELECT {JUDGMENT} FROM judgments ORDER BY position, idx, block, attempt"
        rows = self._decoded(lambda row: (row[0], judgment_of(row)), query)
        for position, of_item in groupby(rows, key=itemgetter(0)):
            yield position, [judgment for _, judgment in of_item]

    def ratings(self, position: int, meta: str) -> dict[Place, Rating]:
        """What ``meta`` said of the judgments of one item, by (index, block, attempt)."""
        query = "SELECT idx, block, attempt, rating, problem FROM ratings WHERE meta = ? AND position = ?"
        return dict(self._decoded(rating_of, query, meta, position))

    def all_ratings(self, meta: str) -> Iterator[tuple[int, dict[Place, Rating]]]:
        """Position and ratings of every item that ``meta`` has rated, in input order."""
        query = "SELECT position, idx, block, attempt, rating, problem FROM ratings WHERE meta = ? ORDER BY position"
        rated = self._decoded(lambda row: (row[0], *rating_of(row[1:])), query, meta)
        for position, of_item in groupby(rated, key=itemgetter(0)):
            yield position, {place: rating for _, place, rating in of_item}

    def metas(self) -> list[str]:
        """The meta RMs that have rated judgments of this run."""
        return [str(row[0]) for row in self._rows("SELECT DISTINCT meta FROM ratings ORDER BY meta")]

    def count_unrated(self, meta: str, k: int) -> int:
        """Valid judgments among the first ``k`` of each item of which ``meta`` has said nothing, not even why not."""
        query = (
            "SELECT count(*) FROM judgments j WHERE problem IS NULL AND idx < ? AND NOT EXISTS (SELECT 1 FROM ratings r "
            "WHERE r.meta = ? AND r.position = j.position AND r.idx = j.idx AND r.block = j.block AND r.attempt = j.attempt)"
        )
        return int(self._one(query, k, meta)[0])

    @property
    def has_expected(self) -> bool:
        """Whether any judgment has expected scores."""
        return bool(self._one("SELECT EXISTS (SELECT 1 FROM judgments WHERE expected IS NOT NULL)")[0])

    def items(self) -> Iterator[tuple[int, Item]]:
        """Every item the run has begun, in input order, with its position."""
        query = "SELECT position, row FROM items ORDER BY position"
        yield from self._decoded(lambda row: (row[0], self._item(row[1], row[0])), query)

    def items_and_verdicts(self) -> Iterator[tuple[int, Item, dict[str, Any] | None]]:
        """Every item the run has begun, in input order, with its position and its verdict's row, None without one."""
        query = "SELECT position, i.row, v.row FROM items i LEFT JOIN verdicts v USING (position) ORDER BY position"

        def read(row: Any) -> tuple[int, Item, dict[str, Any] | None]:
            return row[0], self._item(row[1], row[0]), None if row[2] is None else verdict_of(row[2])

        yield from self._decoded(read, query)

    def item(self, position: int) -> Item:
        """The item at this place of the input, which must be there."""
        query = "SELECT row FROM items WHERE position = ?"
        return next(self._decoded(lambda row: self._item(row[0], position), query, position))

    def has_item(self, position: int) -> bool:
        """Whether the run has begun an item at this place of the input."""
        return self._one("SELECT 1 FROM items WHERE position = ?", position) is not None

    def _item(self, row: str, position: int) -> Item:
        try:
            return parse_item(orjson.loads(row), where=f"{self.directory}: item {position}")
        except InputError as error:
            raise RunError(f"{error}; the file is damaged") from error

    def item_ids(self) -> Iterator[tuple[int, str]]:
        """Position and id of every item the run has begun, in input order."""
        query = "SELECT position, id FROM items ORDER BY position"
        yield from self._decoded(lambda row: (row[0], str(row[1])), query)

    def score_rows(self) -> Iterator[tuple[int, Place, str, str | None, str | None]]:
        """Every judgment without its text, by position and place: both, then shown order, scores, expected scores.

        Orders and scores are JSON lists as text, None where there are none.
        """
        query = (
            "SELECT position, idx, block, attempt, shown, scores, expected FROM judgments "
            "ORDER BY position, idx, block, attempt"
        )
        yield from self._decoded(lambda row: (row[0], place_of(*row[1:4]), *row[4:]), query)

    def verdict_rows(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """Every verdict so far, as the JSON row it was reported as, in input order."""
        query = "SELECT position, row FROM verdicts ORDER BY position"
        yield from self._decoded(lambda row: (row[0], verdict_of(row[1])), query)

    def notes(self, of: str = "main") -> list[str]:
        """What ``keep_notes`` has kept; ``of`` is the name of a run that is attached to this one."""
        found = self._one(f"SELECT value FROM {of}.meta WHERE key = 'notes'")
        with as_damage(str(self.directory)):
            return [] if found is None else [str(note) for note in orjson.loads(found[0])]

    def usage(self, position: int | None = None) -> Usage:
        """Tokens spent on one item, or on all."""
        where, parameters = ("", ()) if position is None else (" WHERE position = ?", (position,))
        sums = "sum(prompt_tokens), sum(completion_tokens), sum(cached_tokens), sum(requests), sum(seconds)"
        prompt, completion, cached, requests, seconds = (
            value or 0 for value in self._one(f"SELECT {sums} FROM requests{where}", *parameters)
        )
        return Usage(int(prompt), int(completion), int(cached), int(requests), float(seconds))

    def images(self) -> int:
        """How many images were sent, each time counted."""
        counted = "SELECT coalesce(sum(requests * json_array_length(value, '$[2]')), 0) FROM requests"
        return int(self._one(f"{counted} JOIN prompts ON prompt = digest, json_each(messages)")[0])

    def requests(self, position: int) -> list[Request]:
        """Every request made for an item, in the order in which they were answered."""
        query = (
            "SELECT request, answered, seconds, messages FROM requests LEFT JOIN prompts ON prompt = digest "
            "WHERE position = ? ORDER BY request"
        )
        places: dict[int, list[Place]] = {}
        asked = "SELECT request, idx, block, attempt FROM judgments WHERE position = ?"
        for request, *place in self._rows(asked, position):
            i, b, a = place
            places.setdefault(request, []).append((i, b, a))

        def read(row: Any) -> Request:
            id, at, seconds, text = row
            check_kinds((at, seconds), (float, float))
            if not 0 <= at < YEAR_10000:
                raise ValueError(f"a request was answered {at} seconds after 1970")
            return Request(at, seconds, messages_of(text), tuple(places.get(id, ())))

        return list(self._decoded(read, query, position))

    def finished_since(self, moment: float) -> int:
        """Items with a verdict for which something was asked after ``moment`` (seconds since 1970)."""
        query = "SELECT count(DISTINCT r.position) FROM requests r JOIN verdicts v USING (position) WHERE answered >= ?"
        return int(self._one(query, moment)[0])

    def verdict_row(self, position: int) -> dict[str, Any] | None:
        """The verdict on the item at ``position``, None if it has none yet."""
        query = "SELECT row FROM verdicts WHERE position = ?"
        return next(self._decoded(lambda row: verdict_of(row[0]), query, position), None)

    def problem_counts(self) -> dict[str, int]:
        """Invalid completions by problem code, retried ones included, most frequent first."""
        query = (
            "SELECT problem, count(*) FROM judgments WHERE problem IS NOT NULL GROUP BY problem ORDER BY count(*) DESC"
        )
        return {str(code): int(number) for code, number in self._rows(query)}

    def count(self, table: str) -> int:
        """Rows of a table of the schema."""
        return int(self._one(f"SELECT count(*) FROM {table}")[0])

    def hand_over(self) -> None:
        """Let what waits to be written be read; nothing here."""

    def _rows(self, query: str, *parameters: object) -> Iterator[Any]:
        self.hand_over()
        with as_run_error(self.directory):
            for row in self._db.execute(query, parameters):  # noqa: UP028 - would close the cursor, perhaps after the file
                yield row

    def _decoded(self, decode: Callable[[Any], T], query: str, *parameters: object) -> Iterator[T]:
        """Every row, as ``decode`` makes it out. Raises RunError for one that is not as this version writes them."""
        with as_damage(str(self.directory)):
            for row in self._rows(query, *parameters):
                yield decode(row)

    def _one(self, query: str, *parameters: object) -> Any:
        return next(self._rows(query, *parameters), None)
