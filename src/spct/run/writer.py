"""Everything that is written to a run's file: collected for a moment, then written in order in one transaction.

Rows are handed to SQLite on the event loop's own thread: that takes microseconds, and a second thread would spend longer
waiting for Python's lock. The commit, which waits for the disk and needs no Python, is made by
another thread; what is put meanwhile waits for the next one. Failure rule: whatever SQLite or the file system refuses is a
RunError, and after one nothing more is written: a half-kept request must never be committed.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import partial
from pathlib import Path

from spct.errors import RunError

COMMIT_EVERY_S = 0.02
PUTS_WITHOUT_LOOP = 5000


class Writer:
    """Collects rows for one connection and commits them."""

    def __init__(self, directory: Path, connection: sqlite3.Connection) -> None:
        self._directory = directory
        self._db = connection
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="spct-commit")
        self._waiting: list[tuple[str, Sequence[Sequence[object]]]] = []
        self._next: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._committing: Future[None] | None = None
        self._failed: RunError | None = None

    def put(self, statement: str, rows: Sequence[Sequence[object]]) -> None:
        """Have rows written with the next commit, which an event loop makes soon by itself."""
        if self._failed is not None:
            raise self._failed
        self._waiting.append((statement, rows))
        if self._next is not None:
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            if len(self._waiting) > PUTS_WITHOUT_LOOP:
                self.commit()
            return
        self._next = loop.create_future()
        if self._committing is None:
            self._commit_soon(loop)

    @property
    def next_commit(self) -> asyncio.Future[None] | None:
        """Done, or failed, once everything put so far is on disk; None if nothing waits for the event loop to write it."""
        return self._next

    def write(self) -> None:
        """Hand everything put so far to SQLite, for this connection to read."""
        if self._committing is not None:
            wait([self._committing])
        waiting, self._waiting = self._waiting, []
        with self._writing():
            inserts: dict[str, list[Sequence[object]]] = {}
            for statement, rows in waiting:
                if statement.startswith("INSERT"):
                    inserts.setdefault(statement, []).extend(rows)
                else:  # what it changes must be there before it, and what comes after must not
                    self._insert(inserts)
                    self._db.executemany(statement, rows)
            self._insert(inserts)

    def _insert(self, rows_of: dict[str, list[Sequence[object]]]) -> None:
        """Many rows by one call each, whose cost is per call; tables do not depend on each other's order."""
        for statement, rows in rows_of.items():
            self._db.executemany(statement, rows)
        rows_of.clear()

    def commit(self) -> None:
        """Write and commit everything put so far."""
        self.write()
        self._commit_written()

    def close(self) -> None:
        """Commit what can be committed; nothing may be put, and nobody wait for a commit, after that."""
        if self._timer is not None:
            self._timer.cancel()
        self._next = None
        with contextlib.suppress(RunError):
            self.commit()
        self._thread.shutdown()

    def _commit_soon(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = loop.call_later(COMMIT_EVERY_S, self._start_commit, loop)

    def _start_commit(self, loop: asyncio.AbstractEventLoop) -> None:
        covered, self._next = self._next, None
        assert covered is not None
        try:
            self.write()
        except RunError as error:
            _settle(covered, error)
            return
        self._committing = self._thread.submit(self._commit_written)
        asyncio.wrap_future(self._committing, loop=loop).add_done_callback(partial(self._end_commit, loop, covered))

    def _end_commit(
        self, loop: asyncio.AbstractEventLoop, covered: asyncio.Future[None], done: asyncio.Future[None]
    ) -> None:
        self._committing = None
        _settle(covered, done.exception())
        if self._next is not None:
            self._commit_soon(loop)

    def _commit_written(self) -> None:
        with self._writing():
            self._db.commit()

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


def _settle(covered: asyncio.Future[None], error: BaseException | None) -> None:
    if error is None:
        covered.set_result(None)
    else:
        covered.set_exception(error)
        covered.exception()  # every waiter raises it; none may be left when the run was cancelled meanwhile


@contextlib.contextmanager
def as_run_error(directory: Path) -> Iterator[None]:
    """Turn what SQLite or the file system refuses into a RunError that names the run."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        if isinstance(error, RunError):
            raise
        hint = ""
        if isinstance(error, FileExistsError | NotADirectoryError):
            raise RunError(f"{directory} is, or lies below, a file; expected a directory: name another") from error
        if "full" in str(error) or "disk I/O" in str(error) or "No space" in str(error):
            hint = "; everything committed so far is kept: free some space and go on with --resume"
        raise RunError(f"{directory}: {error}{hint}") from error
