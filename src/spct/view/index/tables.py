"""The tables of an index, and how one is opened."""

from __future__ import annotations

import hashlib
import sqlite3
from pathlib import Path

from spct.errors import RunError
from spct.run.store import FILE

FORMAT = "2"
"""Raised with every change of the tables or of what stands in them: an index of another format is made again."""

SCHEMA = """
CREATE TABLE state (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE cells (
    position INTEGER PRIMARY KEY, id TEXT NOT NULL, query TEXT NOT NULL, n INTEGER NOT NULL, kind TEXT, gradable INTEGER,
    grade TEXT, best INTEGER, truth INTEGER, confidence REAL, margin REAL, k INTEGER NOT NULL, valid INTEGER NOT NULL,
    invalid INTEGER NOT NULL, kinds TEXT NOT NULL, finished INTEGER NOT NULL, tokens INTEGER,
    error TEXT, verdict TEXT, worded INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX unworded ON cells (position) WHERE worded = 0;
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
        db = _opened(path)
        if _marked(db) != mark:
            db.close()
            for suffix in ("", "-wal", "-shm"):
                path.with_name(path.name + suffix).unlink(missing_ok=True)
            db = _opened(path)
            db.executescript(SCHEMA)
            db.execute("INSERT INTO state VALUES ('mark', ?)", [mark])
            db.commit()
        return db
    except (OSError, sqlite3.Error) as error:
        raise RunError(f"{run}: no index of it can be kept in {cache}: {error}; name another with SPCT_CACHE") from error


def _opened(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, timeout=10.0, check_same_thread=False)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = OFF")  # what a power cut loses is made again
    return db


def _mark(run: Path) -> str:
    """What tells this run from any other that stood, or will stand, in its place."""
    found = (run / FILE).stat()
    return f"{FORMAT} {run.resolve()} {found.st_dev} {found.st_ino}"


def _marked(db: sqlite3.Connection) -> str | None:
    try:
        row = db.execute("SELECT value FROM state WHERE key = 'mark'").fetchone()
    except sqlite3.DatabaseError:
        return None
    return None if row is None else str(row[0])


def attach(db: sqlite3.Connection, run: Path) -> None:
    """Make the run's tables readable, and only readable, as ``run``."""
    db.execute("ATTACH ? AS run", [f"{(run / FILE).resolve().as_uri()}?mode=ro"])
