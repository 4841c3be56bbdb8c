"""The file of a cache: texts by key in SQLite, read and written by any number of processes, whole whenever one is killed.

Failure rule: a folder that cannot be used is an InputError when it is opened. What fails later is kept as ``failure``, and from
then on nothing is found and nothing is kept: whoever asks goes without.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import sqlite3
import time
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from spct.errors import InputError
from spct.logs import logger
from spct.wording import count

FILE = "cache.sqlite"
APPLICATION_ID = 0x73706374
"""Stands in the file's header, so that no other program's file is written to."""
LOCK_WAIT_S = 30.0
IDLE_OPTIONS = frozenset(
    "api_key concurrency timeout_s attempts backoff_s requests_per_minute tokens_per_minute".split()
)
"""Options that no sample depends on."""

_log = logger(__name__)


class CacheFile:
    """Entries of ``folder``, which is made where it is not there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.failure = ""
        self._db: sqlite3.Connection | None = None

    def open(self) -> None:
        """Idempotent. Raises InputError."""
        if self._db is not None:
            return
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._db = _connected(self.folder / FILE)
        except (OSError, sqlite3.Error) as error:
            raise InputError(
                f"cache {self.folder}: cannot be used: {error}; name a folder of its own that can be written, or delete "
                f"the {FILE} in it"
            ) from error
        _log.info("cache opened in %s", self.folder)

    def close(self) -> None:
        """Idempotent."""
        if self._db is not None:
            self._db.close()
            self._db = None

    def get(self, key: bytes) -> str | None:
        """The entry, None where there is none."""
        if self._db is None or self.failure:
            return None
        try:
            found = self._db.execute("SELECT value FROM entries WHERE key = ?", (key,)).fetchone()
            return None if found is None else zlib.decompress(found[0]).decode()
        except sqlite3.Error as error:
            self._fail(error)
        except (zlib.error, TypeError, ValueError):
            _log.debug("an entry of the cache cannot be read, and is made anew")
        return None

    def put(self, entries: Mapping[bytes, str]) -> None:
        """Keep entries, all or none, in place of those of the same keys."""
        if self._db is None or self.failure or not entries:
            return
        rows = [(key, zlib.compress(text.encode(), 1)) for key, text in entries.items()]
        try:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.executemany("INSERT OR REPLACE INTO entries VALUES (?, ?)", rows)
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            self._fail(error)

    def notes(self, found: int, total: int, what: str) -> list[str]:
        """What a reader of the results should know: how much was there already, and what went wrong."""
        hits = [f"cache: {found:,} of {count(total, what)} were there already"] if total else []
        return hits + ([f"cache: {self.failure}; from there on nothing was kept"] if self.failure else [])

    def _fail(self, error: sqlite3.Error) -> None:
        self.failure = f"{self.folder} cannot be used any more: {error}"
        _log.warning("cache: %s", self.failure)


def _connected(path: Path) -> sqlite3.Connection:
    """The file, ours and ready. Raises OSError, sqlite3.Error."""
    until = time.monotonic() + LOCK_WAIT_S
    while True:
        db = sqlite3.connect(path, timeout=LOCK_WAIT_S, check_same_thread=False, isolation_level=None)
        try:
            _prepare(db)
            return db
        except BaseException as error:
            db.close()
            # Where two processes make the file at once, the change to WAL is refused to one of them without any waiting.
            is_busy = isinstance(error, sqlite3.Error) and error.sqlite_errorcode == sqlite3.SQLITE_BUSY
            if not is_busy or time.monotonic() > until:
                raise
        time.sleep(0.02)


def _prepare(db: sqlite3.Connection) -> None:
    """Make the table, or see that it is ours. Raises OSError, sqlite3.Error."""
    db.execute("PRAGMA trusted_schema = OFF")  # the file may be somebody else's
    tables = db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]  # first: the id comes with the table
    if tables and db.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
        raise OSError(f"{FILE} is a file of another program")
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = NORMAL")  # survives the process dying; a power cut may lose the last entries
    db.execute("BEGIN IMMEDIATE")
    db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    db.execute("CREATE TABLE IF NOT EXISTS entries (key BLOB PRIMARY KEY, value BLOB NOT NULL)")
    db.execute("COMMIT")


def made_by(spec: str, options: Mapping[str, Any]) -> str:
    """What an engine or a model is made with, so far as a sample or a number may depend on it.

    A digest, since options may hold what is secret. A file or folder that is named, as weights, an adapter or a script, counts
    with its size and age: the same name may hold something else tomorrow.
    """
    told = {name: value for name, value in options.items() if name not in IDLE_OPTIONS}
    lists = [value if isinstance(value, (list, tuple)) else [value] for value in told.values()]
    texts = {spec, *[str(text) for values in lists for text in values]}
    parts = [spec, told, sorted(stamp for text in texts for stamp in _stamps(text))]
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()


def _stamps(text: str) -> Iterator[str]:
    """Size and age of the files that ``KIND:PATH``, ``PATH:NAME``, ``PATH=SCALE`` or a path itself names."""
    for name in {text, text.partition(":")[2], *re.split(r"[:=]", text)}:
        path = Path(name)
        with contextlib.suppress(OSError, ValueError):  # a text that is no path at all
            for file in sorted(path.rglob("*")) if name.strip() and path.is_dir() else [path]:
                found = file.stat()
                yield f"{file} {found.st_size} {found.st_mtime_ns}"
