"""A run directory's samples, in one SQLite file (``run.sqlite``) in write-ahead mode.

SQLite because it is one file, in every Python, readable by every tool, and transactional: after ``kill -9`` the file holds
exactly the committed requests. All samples of a request are put together; what finishes within a moment is written in
bulk (see ``writer``) and shares a commit, and a verdict is reported only after the commit that holds its samples.

Failure rule: whatever SQLite or the file system refuses (full disk, damaged file, another process) is a RunError.
"""

from __future__ import annotations

import asyncio
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

import orjson

from spct.errors import InputError, ResumeRefusedError, RunError
from spct.items import fingerprint, item_to_row, parse_item
from spct.items.images import reference_to
from spct.judges.memory import Prompt
from spct.run.asks import ASKS, Ask, ask_of, ask_row
from spct.run.connection import FILE, connected, has_tables, holds_run
from spct.run.damage import as_damage, check_kinds, facts_of, judgment_of, messages_of, place_of, rating_of, verdict_of
from spct.run.lock import DirectoryLock
from spct.run.rows import ABSORB, FORMAT, INSERT_JUDGMENT, JUDGMENT, SCHEMA, judgment_row
from spct.run.writer import Writer, as_run_error
from spct.templates import Template
from spct.types import Item, Judgment, Message, Usage
from spct.voting.ratings import Place, Rating, Ratings

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


class RunStore:
    """The samples, items and verdicts of one run. Open it with ``create`` or ``open``; close it after use."""

    def __init__(self, directory: Path, connection: sqlite3.Connection, lock: DirectoryLock | None) -> None:
        self.directory = directory
        self._db = connection
        self._lock = lock
        self._writer = Writer(directory, connection)
        self._end: int | None = None
        self._request: int | None = None
        self._made: dict[tuple[str, str], Template] = {}
        self.first_texts: MutableMapping[str, str] = _FirstTexts(self)

    @classmethod
    def create(cls, directory: Path, meta: Mapping[str, str]) -> RunStore:
        """Make a run directory, which must not hold a run yet, with the facts that define the run."""
        with as_run_error(directory):
            directory.mkdir(parents=True, exist_ok=True)
            lock = DirectoryLock(directory)
            db = connected(lock, directory)
            if has_tables(db):
                db.close()
                lock.close()
                raise RunError(f"{directory} already holds a run; add --resume to go on with it, or name another --out")
            db.execute("BEGIN")
            for statement in SCHEMA.split(";")[:-1]:
                db.execute(statement)
            db.executemany("INSERT INTO meta VALUES (?, ?)", [("format", str(FORMAT)), *meta.items()])
            db.commit()
            return cls(directory, db, lock)

    @classmethod
    def open(cls, directory: Path, *, write: bool = False) -> RunStore:
        """Open an existing run: for reading by anyone at any time, for writing by one process at a time."""
        if not holds_run(directory):
            raise RunError(
                f"{directory} holds no run (no {FILE} with samples in it); give the directory named by --out"
            )
        with as_run_error(directory):
            lock = DirectoryLock(directory) if write else None
            store = cls(directory, connected(lock, directory), lock)
            if (found := store.meta("format")) != str(FORMAT):
                store.close()
                raise RunError(
                    f"{directory} was written in format {found}, and this version of spct reads format {FORMAT}: read it "
                    "with the version of spct that wrote it, or judge its items again into another --out"
                )
            return store

    def meta(self, key: str) -> str | None:
        """One of the run's own facts ("settings", "input", ...), or None."""
        found = self._one("SELECT value FROM meta WHERE key = ?", key)
        return None if found is None else str(found[0])

    def metas_like(self, begin: str) -> dict[str, str]:
        """The run's own facts whose keys begin so."""
        return dict(self._rows("SELECT key, value FROM meta WHERE substr(key, 1, ?) = ?", len(begin), begin))

    def set_meta(self, key: str, value: str) -> None:
        self._writer.put("INSERT OR REPLACE INTO meta VALUES (?, ?)", [(key, value)])

    def add_session(self, started: str, facts: Mapping[str, Any]) -> None:
        """Note that work on the run begins: when, with what, on which input."""
        self._writer.put("INSERT INTO sessions VALUES (?, ?)", [(started, orjson.dumps(dict(facts)).decode())])
        self.flush()

    def sessions(self) -> list[tuple[str, dict[str, Any]]]:
        """When each session began, and its facts, in order."""
        return list(self._decoded(lambda row: facts_of(*row), "SELECT started, facts FROM sessions ORDER BY rowid"))

    def add_templates(self, templates: Mapping[str, Template]) -> None:
        """Keep the whole text of each template with what it names, by its name or path in the settings."""
        rows = [(name, orjson.dumps(dict(template.texts)).decode()) for name, template in templates.items()]
        self._writer.put("INSERT OR REPLACE INTO templates VALUES (?, ?)", rows)

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

    def absorb(self, other: Path, *, at: int | None = None, meta: Mapping[str, str] = MappingProxyType({})) -> None:
        """Add everything of the run in the file ``other``, its items from the place ``at`` on: behind the last one if None.

        The facts ``meta`` of this run are kept in the same transaction: all of it is there after it, or none.
        """
        here = {"items": self.items_end() if at is None else at, "requests": self._next_request() - 1}
        self.flush()
        with as_run_error(self.directory):
            self._db.execute("ATTACH ? AS part", [f"{other.resolve().as_uri()}?mode=ro"])
            try:
                with self._db:
                    for statement in ABSORB.split(";")[:-1]:
                        self._db.execute(statement, here)
                    self._db.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", [*meta.items()])
            finally:
                self._db.execute("DETACH part")
        self._end = self._request = None

    def rename_item(self, position: int, item: Item) -> None:
        """Give the item at this place the id of ``item``, which is the same otherwise."""
        row = orjson.dumps(item_to_row(item), option=orjson.OPT_SORT_KEYS).decode()
        self._writer.put("UPDATE items SET id = ?, row = ? WHERE position = ?", [(item.id, row, position)])

    def add_item(self, position: int, item: Item) -> bool:
        """Note the item at this place of the input; False if it is there already.

        Raises ResumeRefusedError if another one is.
        """
        mark = fingerprint(item)
        found = None
        if position < self.items_end():
            found = self._one("SELECT id, fingerprint FROM items WHERE position = ?", position)
        if found is None:
            row = orjson.dumps(item_to_row(item), option=orjson.OPT_SORT_KEYS).decode()
            self._writer.put("INSERT INTO items VALUES (?, ?, ?, ?)", [(position, item.id, mark, row)])
            self._end = max(self.items_end(), position + 1)
            return True
        if tuple(found) != (item.id, mark):
            raise ResumeRefusedError(
                f"{self.directory}: item {position} of the input is {item.id!r} now and differs from {found[0]!r}, which "
                "this run judged there; resume with the same input, or start a new run with another --out"
            )
        return False

    def items_end(self) -> int:
        """The place after the last item there is: asked of the file once, since most items of a run are new ones."""
        if self._end is None:
            self._end = int(self._one("SELECT coalesce(max(position) + 1, 0) FROM items")[0])
        return self._end

    def record(self, position: int, judgments: Sequence[Judgment], usage: Usage, prompt: Prompt = ()) -> None:
        """Keep one finished request: all its samples or, if the process dies before the commit, none."""
        request = self._next_request()
        self._writer.put(INSERT_JUDGMENT, [judgment_row(position, judgment, request) for judgment in judgments])
        tokens = (usage.prompt_tokens, usage.completion_tokens, usage.cached_tokens, usage.requests)
        spent = (request, position, time.time(), usage.seconds, *tokens, self._kept_prompt(prompt))
        self._writer.put("INSERT INTO requests VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", [spent])

    def _kept_prompt(self, prompt: Prompt) -> bytes | None:
        """Keep a prompt's text once, however often it is asked; what it is known by."""
        if not prompt:
            return None
        text = orjson.dumps([_as_kept(message) for message in prompt])
        digest = blake2b(text, digest_size=12).digest()
        self._writer.put("INSERT OR IGNORE INTO prompts VALUES (?, ?)", [(digest, text.decode())])
        return digest

    def _next_request(self) -> int:
        if self._request is None:
            self._request = int(self._one("SELECT coalesce(max(request), 0) FROM requests")[0])
        self._request += 1
        return self._request

    def forget_ratings(self, position: int, places: Sequence[Place]) -> None:
        """Drop what meta RMs said of these judgments of an item, which others have taken the place of."""
        self._delete("ratings", position, places)

    def forget(self, position: int, places: Sequence[Place]) -> None:
        """Drop these judgments of an item, which belong to no verdict any more, and their ratings."""
        self._delete("judgments", position, places)
        self._delete("ratings", position, places)

    def _delete(self, table: str, position: int, places: Sequence[Place]) -> None:
        if not places:
            return
        statement = f"DELETE FROM {table} WHERE position = ? AND idx = ? AND block = ? AND attempt = ?"
        self._writer.put(statement, [(position, *place) for place in places])

    def take_asks(self) -> None:
        """Have a place for ``add_ask``."""
        self.flush()
        with as_run_error(self.directory):
            self._db.execute(ASKS)

    @property
    def takes_asks(self) -> bool:
        """Whether there is a place for what was asked of a service: only its own runs have one."""
        return bool(self._one("SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE name = 'asks')")[0])

    def add_ask(self, ask: Ask) -> None:
        """Keep what was asked of a service, with the next commit."""
        self._writer.put("INSERT INTO asks VALUES (?, ?, ?, ?, ?)", [ask_row(ask)])

    def asks(self) -> Iterator[Ask]:
        """What was asked of a service, in the order of the answers."""
        if self.takes_asks:
            yield from self._decoded(ask_of, "SELECT answered, item, run, step, rollouts FROM asks ORDER BY rowid")

    async def finish(self, position: int, verdict_row: Mapping[str, Any]) -> None:
        """Keep the verdict, and return once it and everything before it is on disk."""
        self.put_verdict(position, verdict_row)
        assert self.next_commit is not None
        await asyncio.shield(self.next_commit)

    @property
    def next_commit(self) -> asyncio.Future[None] | None:
        """Done, or failed with a RunError, once everything recorded so far is on disk; None without an event loop."""
        return self._writer.next_commit

    def put_verdict(self, position: int, verdict_row: Mapping[str, Any]) -> None:
        """Keep the verdict with the next commit; for writers without an event loop, which call ``flush`` at the end."""
        row = orjson.dumps(verdict_row).decode()
        self._writer.put("INSERT OR REPLACE INTO verdicts VALUES (?, ?)", [(position, row)])

    def flush(self) -> None:
        """Commit what has been recorded."""
        self._writer.commit()

    def write_file(self, name: str, text: str) -> None:
        """Put a file for people beside the samples, whole or not at all."""
        with as_run_error(self.directory):
            with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=self.directory, delete=False) as partial:
                partial.write(text)
            Path(partial.name).chmod(0o644)
            Path(partial.name).replace(self.directory / name)

    def close(self) -> None:
        """Commit and let go of the directory."""
        self._writer.close()
        self._db.close()
        if self._lock is not None:
            self._lock.close()

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

    def record_ratings(self, position: int, meta: str, ratings: Ratings) -> None:
        """Keep what the meta RM called ``meta`` said of an item's judgments, with the next commit."""
        rows = [(meta, position, *place, rating.value, rating.problem) for place, rating in ratings.items()]
        self._writer.put("INSERT OR REPLACE INTO ratings VALUES (?, ?, ?, ?, ?, ?, ?)", rows)

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

    def keep_notes(self, notes: Iterable[str]) -> None:
        """Add sentences that whoever reads the run should know, each once."""
        self.set_meta("notes", orjson.dumps(list(dict.fromkeys([*self.notes(), *notes]))).decode())
        self.flush()

    def notes(self) -> list[str]:
        """What ``keep_notes`` has kept."""
        with as_damage(str(self.directory)):
            return [str(note) for note in orjson.loads(self.meta("notes") or "[]")]

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

    def _rows(self, query: str, *parameters: object) -> Iterator[Any]:
        self._writer.write()
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


class _FirstTexts(MutableMapping[str, str]):
    """The texts of first steps as a mapping over the store."""

    def __init__(self, store: RunStore) -> None:
        self._store = store

    def __getitem__(self, key: str) -> str:
        found = self._store._one("SELECT text FROM principles WHERE key = ?", key)
        if found is None:
            raise KeyError(key)
        return str(found[0])

    def __setitem__(self, key: str, text: str) -> None:
        self._store._writer.put("INSERT OR REPLACE INTO principles VALUES (?, ?)", [(key, text)])

    def __delitem__(self, key: str) -> None:
        self._store._writer.put("DELETE FROM principles WHERE key = ?", [(key,)])

    def __iter__(self) -> Iterator[str]:
        return (row[0] for row in self._store._rows("SELECT key FROM principles"))

    def __len__(self) -> int:
        return self._store.count("principles")


def _as_kept(message: Message) -> tuple[Any, ...]:
    """A message of a prompt as it is stored: of its images references only."""
    images = [reference_to(image) for image in message.images if image]
    return (message.role, message.content, images) if images else (message.role, message.content)
