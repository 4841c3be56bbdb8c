"""Everything that is written to a run's file: collected for a moment, then written in bulk in one transaction.

Writing happens on the event loop's own thread: a row takes microseconds, and a second thread would spend as long waiting
for Python's lock. Many rows go into one statement, which halves what they cost. Failure rule: whatever SQLite or the file
system refuses is a RunError, and after one nothing more is written: a half-kept request must never be committed.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import chain
from pathlib import Path

from spct.errors import RunError

COMMIT_EVERY_S = 0.02
ROWS_WITHOUT_LOOP = 5000
ROWS_PER_STATEMENT = 32


class Writer:
    """Collects rows for one connection and commits them."""

    def __init__(self, directory: Path, connection: sqlite3.Connection) -> None:
        self._directory = directory
        self._db = connection
        self._waiting: dict[str, list[Sequence[object]]] = {}
        self._commit: asyncio.Future[None] | None = None
        self._failed: RunError | None = None

    def put(self, statement: str, rows: Sequence[Sequence[object]]) -> None:
        """Have rows written with the next commit, which an event loop makes soon by itself."""
        if self._failed is not None:
            raise self._failed
        waiting = self._waiting.setdefault(statement, [])
        waiting += rows
        if self._commit is not None:
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            if len(waiting) > ROWS_WITHOUT_LOOP:
                self.commit()
            return
        self._commit = loop.create_future()
        loop.call_later(COMMIT_EVERY_S, self._commit_waiting)

    @property
    def next_commit(self) -> asyncio.Future[None] | None:
        """Done, or failed, once everything put so far is on disk; None if nothing waits for the event loop to write it."""
        return self._commit

    def write(self) -> None:
        """Hand everything put so far to SQLite, for this connection to read."""
        waiting, self._waiting = self._waiting, {}
        with self._writing():
            for statement, rows in waiting.items():
                _execute(self._db, statement, rows)

    def commit(self) -> None:
        """Write and commit everything put so far."""
        self.write()
        with self._writing():
            self._db.commit()

    def _commit_waiting(self) -> None:
        waiting, self._commit = self._commit, None
        assert waiting is not None
        try:
            self.commit()
        except RunError as error:
            waiting.set_exception(error)
            waiting.exception()  # every waiter raises it; none may be left when the run was cancelled meanwhile
        else:
            waiting.set_result(None)

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        if self._failed is not None:
            raise self._failed
        try:
            with as_run_error(self._directory):
                yield
        except RunError as error:
            self._failed = error
            with contextlib.suppress(sqlite3.Error):
                self._db.rollback()
            raise


def _execute(db: sqlite3.Connection, statement: str, rows: Sequence[Sequence[object]]) -> None:
    """Execute ``statement`` for every row; inserts many rows at a time."""
    whole = 0
    if statement.startswith("INSERT"):
        whole = len(rows) - len(rows) % ROWS_PER_STATEMENT
        for at in range(0, whole, ROWS_PER_STATEMENT):
            db.execute(_widened(statement), list(chain.from_iterable(rows[at : at + ROWS_PER_STATEMENT])))
    db.executemany(statement, rows[whole:])


@lru_cache(maxsize=32)
def _widened(insert: str) -> str:
    """The statement "INSERT ... VALUES (?, ...)" for ROWS_PER_STATEMENT rows."""
    return insert + f", {insert[insert.rindex('(') :]}" * (ROWS_PER_STATEMENT - 1)


@contextlib.contextmanager
def as_run_error(directory: Path) -> Iterator[None]:
    """Turn what SQLite or the file system refuses into a RunError that names the run."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        if isinstance(error, RunError):
            raise
        hint = ""
        if "full" in str(error) or "disk I/O" in str(error) or "No space" in str(error):
            hint = "; everything committed so far is kept: free some space and go on with --resume"
        raise RunError(f"{directory}: {error}{hint}") from error
