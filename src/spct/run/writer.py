"""Everything that is written to a run's file: collected for a moment, then written in bulk by one thread.

A batch is one transaction. The thread is there because SQLite waits for the disk, and works for a while without
Python's lock; many rows go into one statement, since each statement takes that lock again. Failure rule: whatever
SQLite or the file system refuses is a RunError, and after one nothing more is written: a half-kept request must never
be committed.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache, partial
from itertools import chain
from pathlib import Path

from spct.errors import RunError

COMMIT_EVERY_S = 0.02
ROWS_WITHOUT_LOOP = 5000
ROWS_PER_STATEMENT = 32

Batch = dict[str, list[Sequence[object]]]
"""Rows by the statement that writes one of them."""


class Writer:
    """Writes to one connection; its batches are written in the order in which they were put."""

    def __init__(self, directory: Path, connection: sqlite3.Connection) -> None:
        self._directory = directory
        self._db = connection
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="spct-store")
        self._waiting: Batch = {}
        self._waiters: list[asyncio.Future[None]] = []
        self._scheduled = False
        self._last: Future[None] | None = None
        self._failed: RunError | None = None

    def put(self, statement: str, rows: Sequence[Sequence[object]]) -> None:
        """Have rows written with the next commit, which an event loop makes soon by itself."""
        if self._failed is not None:
            raise self._failed
        waiting = self._waiting.setdefault(statement, [])
        waiting += rows
        if self._scheduled:
            return
        try:
            self._schedule(asyncio.get_running_loop())
        except RuntimeError:
            if len(waiting) > ROWS_WITHOUT_LOOP:
                self.flush()

    async def committed(self) -> None:
        """Return once everything put so far is on disk."""
        loop = asyncio.get_running_loop()
        waiter = loop.create_future()
        self._waiters.append(waiter)
        if not self._scheduled:
            self._schedule(loop)
        await waiter

    def flush(self) -> None:
        """Commit everything put so far before going on."""
        if self._failed is not None:
            raise self._failed
        if self._waiting:
            self._start()
        if self._last is not None:
            self._last.result()

    def close(self) -> None:
        """Commit what can be committed, and end the thread."""
        with contextlib.suppress(RunError):
            self.flush()
        self._thread.shutdown()

    def _schedule(self, loop: asyncio.AbstractEventLoop) -> None:
        self._scheduled = True
        loop.call_later(COMMIT_EVERY_S, self._commit_soon, loop)

    def _commit_soon(self, loop: asyncio.AbstractEventLoop) -> None:
        waiters, self._waiters = self._waiters, []
        done = asyncio.wrap_future(self._start(), loop=loop)
        done.add_done_callback(partial(self._settle, waiters))

    def _settle(self, waiters: Sequence[asyncio.Future[None]], done: asyncio.Future[None]) -> None:
        error = done.exception()
        for waiter in waiters:
            if waiter.done():
                continue
            if error is None:
                waiter.set_result(None)
            else:
                waiter.set_exception(error)
                waiter.exception()  # not every waiter is still there to raise it
        self._scheduled = False
        if self._waiting or self._waiters:
            self._schedule(done.get_loop())

    def _start(self) -> Future[None]:
        batch, self._waiting = self._waiting, {}
        self._last = self._thread.submit(self._write, batch)
        return self._last

    def _write(self, batch: Batch) -> None:
        if self._failed is not None:
            raise self._failed
        try:
            with as_run_error(self._directory):
                for statement, rows in batch.items():
                    _execute(self._db, statement, rows)
                self._db.commit()
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
