"""Keeps an index up to date with a run that may be written, killed, or deleted meanwhile.

First the cells, which the grid needs, then the words, which take longer. Each part is a transaction of its own, so that
readers see what there is. What the index lacks is found by comparing with the run, not by asking its writer.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, TypeVar

import orjson

from spct.errors import RunError, SpctError
from spct.items import parse_item
from spct.run import RunStore
from spct.run.connection import FILE
from spct.run.damage import as_damage, verdict_of
from spct.run.stored import stored_item, stored_scale, stored_settings
from spct.turns import body_alone
from spct.view.index.cells import Cells, cells_of, extras_of
from spct.view.index.tables import attach, connect
from spct.voting.rows import Shown, shown_of

T = TypeVar("T")
CELLS_AT_ONCE, ITEMS_AT_ONCE, JUDGMENTS_AT_ONCE = 500, 200, 2000
AT_ONCE_S = 0.4
"""How long a page waits for the index; the rest is done in the background."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Of how many of the run's items the cells, and of how many the words are there."""

    items: int
    cells: int
    worded: int

    @property
    def complete(self) -> bool:
        return self.items == self.cells == self.worded


class Index:
    """The index of the run in ``directory``, in ``cache``."""

    def __init__(self, directory: Path, cache: Path) -> None:
        self.directory = directory
        self._cache = cache
        self._lock = threading.Lock()
        self._opening = threading.Lock()
        self._thread: threading.Thread | None = None
        self._closed = False
        self._seen: object = None
        self._listed: object = None
        self._parts = 0
        self._memory: dict[str, tuple[object, Any]] = {}

    def close(self) -> None:
        """Stop indexing in the background."""
        self._closed = True
        if self._thread is not None:
            self._thread.join()

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """The index, to read. Raises RunError where it cannot be read."""
        try:
            with self._opening:
                connection = connect(self.directory, self._cache)
            with contextlib.closing(connection) as db:
                yield db
        except sqlite3.Error as error:
            raise RunError(f"{self.directory}: its index cannot be read: {error}; try again") from error

    def update(self, within_s: float = AT_ONCE_S) -> None:
        """Take over what the run has that the index lacks, for so long; the rest in the background. Raises RunError."""
        if not self._lock.acquire(blocking=False):
            return  # it is being done
        try:
            left = self._work(time.monotonic() + within_s)
        finally:
            self._lock.release()
        if left and not self._closed and (self._thread is None or not self._thread.is_alive()):
            self._thread = threading.Thread(target=self._work_on, name="spct-index", daemon=True)
            self._thread.start()

    @property
    def is_complete(self) -> bool:
        """Whether all that the run had when it was last looked at is in the index, words of judgments included."""
        return self._seen is not None and self._seen == self._file_state()

    def _work_on(self) -> None:
        with self._lock, contextlib.suppress(SpctError):  # said by the page that next needs it
            while not self._closed and self._work(time.monotonic() + 1.0):
                pass

    def _work(self, until: float) -> bool:
        """Whether there is more to do at ``until``."""
        now = self._file_state()
        if now == self._seen:
            return False
        try:
            with contextlib.closing(RunStore.open(self.directory)) as store, self.reading() as db:
                attach(db, self.directory)
                source = _Source(store, db)
                # to look for cells that are missing means to look at every item: not again while nothing has changed
                cells = () if now == self._listed else (source.update_cells,)
                for step in (*cells, source.update_item_words, source.update_judgment_words):
                    while step():
                        self._parts += 1
                        if time.monotonic() >= until:
                            return True
                    self._listed = now  # after the first step, whichever that is
        except sqlite3.Error as error:
            raise RunError(f"{self.directory} cannot be read: {error}") from error
        self._seen = now
        self._parts += 1
        return False

    def _file_state(self) -> object:
        """What changes whenever the run's file does."""
        found = []
        for name in (FILE, f"{FILE}-wal"):
            try:
                state = (self.directory / name).stat()
                found.append((state.st_ino, state.st_size, state.st_mtime_ns))
            except OSError:
                found.append((0, 0, 0))
        return tuple(found)

    def remembered(self, what: str, make: Callable[[], T]) -> T:
        """What ``make`` returned last under the name ``what``, as long as neither run nor index has changed since."""
        state = self._file_state(), self._parts
        if self._memory.get(what, (None,))[0] != state:
            self._memory[what] = (state, make())
        value: T = self._memory[what][1]
        return value

    def progress(self, db: sqlite3.Connection) -> Progress:
        """How far the index is. Raises RunError if the run is gone."""
        with contextlib.closing(RunStore.open(self.directory)) as store:
            items = store.count("items")
        cells, worded = db.execute("SELECT count(*), coalesce(sum(worded), 0) FROM cells").fetchone()
        return Progress(items, cells, worded)


class _Source:
    """A run, attached to its index as ``run``; each ``update_`` does a part and says whether there may be more."""

    def __init__(self, store: RunStore, db: sqlite3.Connection) -> None:
        self._store = store
        self._db = db
        written, self._settings = stored_settings(store)
        self._meta: str | None = written.get("meta")
        self._in_tables = self._settings.jury is not None or self._settings.rubric is not None
        self._scale = stored_scale(store, self._settings)
        self._from = 0

    def update_cells(self) -> bool:
        """Items that are new, have another verdict, or have more judgments and no verdict yet."""
        newest = self._db.execute("SELECT coalesce(max(rowid), 0) FROM run.judgments").fetchone()[0]
        seen = self._state("seen_judgment")
        rows = self._db.execute(
            "SELECT i.position, i.row, v.row FROM run.items i LEFT JOIN cells c ON c.position = i.position "
            "LEFT JOIN run.verdicts v ON v.position = i.position "
            "WHERE i.position >= ? AND (c.position IS NULL OR c.verdict IS NOT v.row) ORDER BY i.position LIMIT ?",
            [self._from, CELLS_AT_ONCE],
        ).fetchall()
        if not rows and newest > seen:
            rows = self._db.execute(
                "SELECT position, row, NULL FROM run.items WHERE position IN (SELECT position FROM run.judgments "
                "WHERE rowid > ?) AND position NOT IN (SELECT position FROM run.verdicts)",
                [seen],
            ).fetchall()
            self._keep_state("seen_judgment", newest)
            self._keep_cells(rows)
            return False
        self._keep_cells(rows)
        self._from = rows[-1][0] + 1 if rows else 0
        return len(rows) == CELLS_AT_ONCE

    def _keep_cells(self, rows: Sequence[tuple[int, str, str | None]]) -> None:
        if not rows:
            self._db.commit()
            return
        positions = [row[0] for row in rows]
        places = ",".join("?" * len(positions))
        shown = {} if self._in_tables else self._shown(positions, places)
        sums = (
            f"SELECT position, sum(completion_tokens) FROM run.requests WHERE position IN ({places}) GROUP BY position"
        )
        tokens = dict(self._db.execute(sums, positions))
        cells, extras = [], []
        for position, text, verdict in rows:
            with as_damage(f"{self._store.directory}: item {position}"):
                item = parse_item(orjson.loads(text), where=f"{self._store.directory}: item {position}")
                row = None if verdict is None else verdict_of(verdict)
                found = shown.get(position, ())
                if row is None or self._in_tables:
                    whole = stored_item(self._store, self._settings, position, item, row, self._meta).verdict
                    row, found = whole.as_row(), shown_of(whole)
                cells.append(
                    cells_of(
                        position,
                        item,
                        row,
                        found,
                        scale=self._scale,
                        tokens=tokens.get(position) or None,
                        verdict=verdict,
                    )
                )
            extras += [(key, value, position) for key, value in extras_of(item)]
        names = ", ".join(Cells._fields)
        updated = ", ".join(f"{name} = excluded.{name}" for name in Cells._fields[1:])
        self._db.executemany(
            f"INSERT INTO cells ({names}) VALUES ({', '.join('?' * len(Cells._fields))}) "
            f"ON CONFLICT (position) DO UPDATE SET {updated}",
            cells,
        )
        self._db.executemany("INSERT OR IGNORE INTO extras VALUES (?, ?, ?)", extras)
        self._db.commit()

    def _shown(self, positions: Sequence[int], places: str) -> dict[int, Shown]:
        """What ``shown_of`` says of verdicts without a table, by position: many at once, and no judgment made for it."""
        column = "expected" if self._settings.rule == "expected" else "scores"
        query = (
            f"SELECT position, shown, {column} FROM run.judgments WHERE position IN ({places}) "
            "ORDER BY position, idx, block, attempt"
        )
        with as_damage(str(self._store.directory)):
            return {
                position: [(tuple(orjson.loads(order)), scores and orjson.loads(scores)) for _, order, scores in found]
                for position, found in groupby(self._db.execute(query, positions), key=itemgetter(0))
            }

    def update_item_words(self) -> bool:
        """The words of queries and responses."""
        rows = self._db.execute(
            "SELECT c.position, i.row FROM cells c JOIN run.items i ON i.position = c.position WHERE worded = 0 LIMIT ?",
            [ITEMS_AT_ONCE],
        ).fetchall()
        words = []
        for position, text in rows:
            with as_damage(f"{self._store.directory}: item {position}"):
                item = parse_item(orjson.loads(text), where="")
            query = "\n".join(map(body_alone, item.messages))
            words.append((position, f"{item.id}\n{query}", "\n".join(item.responses)))
        self._db.executemany("INSERT INTO item_words (rowid, query, responses) VALUES (?, ?, ?)", words)
        self._db.executemany("UPDATE cells SET worded = 1 WHERE position = ?", [row[:1] for row in rows])
        self._db.commit()
        return len(rows) == ITEMS_AT_ONCE

    def update_judgment_words(self) -> bool:
        """The words of critiques."""
        seen = self._state("worded_judgment")
        rows = self._db.execute(
            "SELECT rowid, position, text FROM run.judgments WHERE rowid > ? ORDER BY rowid LIMIT ?",
            [seen, JUDGMENTS_AT_ONCE],
        ).fetchall()
        self._db.executemany("INSERT INTO judgment_words (rowid, text) VALUES (?, ?)", [(r[0], r[2]) for r in rows])
        self._db.executemany("INSERT OR REPLACE INTO judged VALUES (?, ?)", [row[:2] for row in rows])
        if rows:
            self._keep_state("worded_judgment", rows[-1][0])
        self._db.commit()
        return len(rows) == JUDGMENTS_AT_ONCE

    def _state(self, key: str) -> int:
        row = self._db.execute("SELECT value FROM state WHERE key = ?", [key]).fetchone()
        return 0 if row is None else int(row[0])

    def _keep_state(self, key: str, value: int) -> None:
        self._db.execute("INSERT OR REPLACE INTO state VALUES (?, ?)", [key, str(value)])
