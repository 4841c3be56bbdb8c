"""A run directory's samples, in one SQLite file (``run.sqlite``) in write-ahead mode.

SQLite because it is one file, in every Python, readable by every tool, and transactional: after ``kill -9`` the file holds
exactly the committed requests. All samples of a request are put together; what finishes within a moment is written in
bulk (see ``writer``) and shares a commit, and a verdict is reported only after the commit that holds its samples.

Failure rule: whatever SQLite or the file system refuses (full disk, damaged file, another process) is a RunError.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import sqlite3
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import IO, Any

import orjson

from spct.errors import ResumeRefusedError, RunError
from spct.items import fingerprint, item_to_row, parse_item
from spct.run.rows import FORMAT, SCHEMA, judgment_of, judgment_rows
from spct.run.writer import Writer, as_run_error
from spct.types import Item, Judgment, Usage
from spct.voting.ratings import Place, Rating, Ratings

FILE = "run.sqlite"


class RunStore:
    """The samples, items and verdicts of one run. Open it with ``create`` or ``open``; close it after use."""

    def __init__(self, directory: Path, connection: sqlite3.Connection, lock: IO[str] | None) -> None:
        self.directory = directory
        self._db = connection
        self._lock = lock
        self._writer = Writer(directory, connection)
        self._end: int | None = None
        self.principles: MutableMapping[str, str] = _KeptPrinciples(self)

    @classmethod
    def create(cls, directory: Path, meta: Mapping[str, str]) -> RunStore:
        """Make a run directory, which must not hold a run yet, with the facts that define the run."""
        with as_run_error(directory):
            directory.mkdir(parents=True, exist_ok=True)
            lock = _locked(directory)
            db = _connect(directory / FILE)
            if _has_tables(db):
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
            lock = _locked(directory) if write else None
            store = cls(directory, _connect(directory / FILE), lock)
            if (found := store.meta("format")) != str(FORMAT):
                raise RunError(f"{directory / FILE} has format {found!r}; this version of spct reads format {FORMAT}")
            return store

    def meta(self, key: str) -> str | None:
        """One of the run's own facts ("settings", "input", ...), or None."""
        found = self._one("SELECT value FROM meta WHERE key = ?", key)
        return None if found is None else str(found[0])

    def set_meta(self, key: str, value: str) -> None:
        self._writer.put("INSERT OR REPLACE INTO meta VALUES (?, ?)", [(key, value)])

    def add_session(self, started: str, settings: str) -> None:
        self._writer.put("INSERT INTO sessions VALUES (?, ?)", [(started, settings)])
        self.flush()

    def add_item(self, position: int, item: Item) -> bool:
        """Note the item at this place of the input; False if it is there already.

        Raises ResumeRefusedError if another one is.
        """
        mark = fingerprint(item)
        found = None
        if position < self._items_end():
            found = self._one("SELECT id, fingerprint FROM items WHERE position = ?", position)
        if found is None:
            row = orjson.dumps(item_to_row(item), option=orjson.OPT_SORT_KEYS).decode()
            self._writer.put("INSERT INTO items VALUES (?, ?, ?, ?)", [(position, item.id, mark, row)])
            self._end = max(self._items_end(), position + 1)
            return True
        if tuple(found) != (item.id, mark):
            raise ResumeRefusedError(
                f"{self.directory}: item {position} of the input is {item.id!r} now and differs from {found[0]!r}, which "
                "this run judged there; resume with the same input, or start a new run with another --out"
            )
        return False

    def _items_end(self) -> int:
        """The place after the last item there is: asked of the file once, since most items of a run are new ones."""
        if self._end is None:
            self._end = int(self._one("SELECT coalesce(max(position) + 1, 0) FROM items")[0])
        return self._end

    def record(self, position: int, judgments: Sequence[Judgment], usage: Usage) -> None:
        """Keep one finished request: all its samples or, if the process dies before the commit, none."""
        for statement, rows in judgment_rows(position, judgments):
            self._writer.put(statement, rows)
        spent = (position, usage.prompt_tokens, usage.completion_tokens, usage.cached_tokens, usage.requests)
        self._writer.put("INSERT INTO usage VALUES (?, ?, ?, ?, ?)", [spent])

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
        self._writer.write()  # statements of one commit are written kind by kind: what was put before must be there
        self._writer.put(statement, [(position, *place) for place in places])
        self._writer.write()

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
            partial = self.directory / f".{name}.partial"
            partial.write_text(text)
            partial.replace(self.directory / name)

    def close(self) -> None:
        """Commit and let go of the directory."""
        self._writer.close()
        self._db.close()
        if self._lock is not None:
            self._lock.close()

    def history(self, position: int) -> list[Judgment]:
        """The judgments there are of the item at ``position``, by index, block and attempt."""
        query = "SELECT * FROM judgments WHERE position = ? ORDER BY idx, block, attempt"
        return [judgment_of(row) for row in self._rows(query, position)]

    def judgments(self) -> Iterator[tuple[int, list[Judgment]]]:
        """The judgments of every item that has some, in one pass over the file: position, and as by ``history``."""
        rows = self._rows("SELECT * FROM judgments ORDER BY position, idx, block, attempt")
        for position, of_item in groupby(rows, key=itemgetter(0)):
            yield position, [judgment_of(row) for row in of_item]

    def record_ratings(self, position: int, meta: str, ratings: Ratings) -> None:
        """Keep what the meta RM called ``meta`` said of an item's judgments, with the next commit."""
        rows = [(meta, position, *place, rating.value, rating.problem) for place, rating in ratings.items()]
        self._writer.put("INSERT OR REPLACE INTO ratings VALUES (?, ?, ?, ?, ?, ?, ?)", rows)

    def ratings(self, position: int, meta: str) -> dict[Place, Rating]:
        """What ``meta`` said of the judgments of one item, by (index, block, attempt)."""
        query = "SELECT idx, block, attempt, rating, problem FROM ratings WHERE meta = ? AND position = ?"
        return {(i, b, a): Rating(*said) for i, b, a, *said in self._rows(query, meta, position)}

    def all_ratings(self, meta: str) -> Iterator[tuple[int, dict[Place, Rating]]]:
        """Position and ratings of every item that ``meta`` has rated, in input order."""
        query = "SELECT position, idx, block, attempt, rating, problem FROM ratings WHERE meta = ? ORDER BY position"
        for position, rows in groupby(self._rows(query, meta), key=itemgetter(0)):
            yield position, {(i, b, a): Rating(*said) for _, i, b, a, *said in rows}

    def metas(self) -> list[str]:
        """The meta RMs that have rated judgments of this run."""
        return [row[0] for row in self._rows("SELECT DISTINCT meta FROM ratings ORDER BY meta")]

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
        for position, id_, row in self._rows("SELECT position, id, row FROM items ORDER BY position"):
            yield position, parse_item(orjson.loads(row), where=f"{self.directory} item {position}", default_id=id_)

    def item_ids(self) -> Iterator[tuple[int, str]]:
        """Position and id of every item the run has begun, in input order."""
        yield from self._rows("SELECT position, id FROM items ORDER BY position")

    def score_rows(self) -> Iterator[tuple[int, Place, str, str | None, str | None]]:
        """Every judgment without its text, by position and place: both, then shown order, scores, expected scores.

        Orders and scores are JSON lists as text, None where there are none.
        """
        query = (
            "SELECT position, idx, block, attempt, shown, scores, expected FROM judgments "
            "ORDER BY position, idx, block, attempt"
        )
        for position, index, block, attempt, *texts in self._rows(query):
            yield position, (index, block, attempt), *texts

    def verdict_rows(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """Every verdict so far, as the JSON row it was reported as, in input order."""
        for position, row in self._rows("SELECT position, row FROM verdicts ORDER BY position"):
            yield position, orjson.loads(row)

    def usage(self, position: int | None = None) -> Usage:
        """Tokens spent on one item, or on all."""
        where, parameters = ("", ()) if position is None else (" WHERE position = ?", (position,))
        query = "SELECT sum(prompt_tokens), sum(completion_tokens), sum(cached_tokens), sum(requests) FROM usage"
        return Usage(*(value or 0 for value in self._one(query + where, *parameters)))

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
            yield from self._db.execute(query, parameters)

    def _one(self, query: str, *parameters: object) -> Any:
        return next(self._rows(query, *parameters), None)


class _KeptPrinciples(MutableMapping[str, str]):
    """Query-only principles as a mapping over the store."""

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


def holds_run(directory: Path) -> bool:
    """Whether there is a run to open: the schema and the settings are one transaction, so it is there or it is not."""
    if not (directory / FILE).is_file():
        return False
    with as_run_error(directory), contextlib.closing(_connect(directory / FILE)) as db:
        return _has_tables(db)


def _has_tables(db: sqlite3.Connection) -> bool:
    return bool(db.execute("SELECT count(*) FROM sqlite_master WHERE name = 'meta'").fetchone()[0])


def _connect(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, timeout=10.0, check_same_thread=False)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = NORMAL")  # survives the process dying; a power cut may lose the last commits
    db.execute("PRAGMA wal_autocheckpoint = 4000")
    return db


def _locked(directory: Path) -> IO[str]:
    lock = (directory / "lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        raise RunError(f"{directory} is in use by another process; wait for it, or name another --out") from None
    return lock
