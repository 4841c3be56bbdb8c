"""The tables of an index, and how one is opened."""

from __future__ import annotations

import contextlib
import hashlib
import sqlite3
import tempfile
from pathlib import Path

from spct.errors import RunError
from spct.run.connection import FILE

FORMAT = "5"
"""Raised with every change of the tables or of what stands in them: an index of another format is made again."""

SCHEMA = """
CREATE TABLE state (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE cells (
    position INTEGER PRIMARY KEY, id TEXT NOT NULL, query TEXT NOT NULL, n INTEGER NOT NULL, kind TEXT, gradable INTEGER,
    grade TEXT, best INTEGER, truth INTEGER, confidence REAL, margin REAL, k INTEGER NOT NULL, valid INTEGER NOT NULL,
    invalid INTEGER NOT NULL, kinds TEXT NOT NULL, finished INTEGER NOT NULL, tokens INTEGER,
    error TEXT, verdict TEXT, worded INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX worded ON cells (worded);
CREATE TABLE extras (key TEXT NOT NULL, value TEXT NOT NULL, position INTEGER NOT NULL, PRIMARY KEY (key, value, position))
    WITHOUT ROWID;
CREATE TABLE judged (judgment INTEGER PRIMARY KEY, position INTEGER NOT NULL);
CREATE VIRTUAL TABLE item_words USING fts5 (query, responses, content = '');
CREATE VIRTUAL TABLE judgment_words USING fts5 (text, content = '');
"""
"""The two tables of words hold no text, only where each word is: the text itself stays in the run."""


def connect(run: Path, cache: Path) -> sqlite3.Connection:
    """The index of a run, made anew where there is none of this run in this format. Raises RunError."""
    path = cache / f"{hashlib.sha256(str(run.resolve()).encode()).hexdigest()[:24]}.sqlite"
    try:
        cache.mkdir(parents=True, exist_ok=True)
        mark = _mark(run)
        db = _opened_if_of(path, mark)
        if db is None:
            _make(path, mark)
            db = _opened(path)
        return db
    except (OSError, sqlite3.Error) as error:
        raise RunError(
            f"{run}: no index of it can be kept in {cache}: {error}; name another with SPCT_CACHE"
        ) from error


def _make(path: Path, mark: str) -> None:
    """Put an empty index in place, whole: another thread or viewer may be at it, too."""
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as scratch:
        made = Path(scratch) / path.name
        with contextlib.closing(_opened(made)) as db:
            db.executescript(SCHEMA)
            db.execute("INSERT INTO state VALUES ('mark', ?)", [mark])
            db.commit()
        made.replace(path)


def _opened(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, timeout=10.0, check_same_thread=False)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = OFF")  # what a power cut loses is made again
    return db


def _opened_if_of(path: Path, mark: str) -> sqlite3.Connection | None:
    """The index in ``path``; None if there is none, or one of another run or format, or no database at all."""
    if not path.exists():
        return None
    db = None
    try:
        db = _opened(path)
        row = db.execute("SELECT value FROM state WHERE key = 'mark'").fetchone()
        if row is not None and row[0] == mark:
            return db
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError) and "no such table" not in str(error):
            raise  # busy, or a disk that fails: what is there may be good
    if db is not None:
        db.close()
    return None


def _mark(run: Path) -> str:
    """What tells this run from any other that stood, or will stand, in its place."""
    found = (run / FILE).stat()
    return f"{FORMAT} {run.resolve()} {found.st_dev} {found.st_ino}"


def attach(db: sqlite3.Connection, run: Path) -> None:
    """Make the run's tables readable, and only readable, as ``run``."""
    db.execute("ATTACH ? AS run", [f"{(run / FILE).resolve().as_uri()}?mode=ro"])
