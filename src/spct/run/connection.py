"""The SQLite file of a run directory, opened to write by one process and to read by anyone.

Failure rule: what SQLite or the file system refuses is a RunError.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from pathlib import Path

from spct.errors import RunError
from spct.run.lock import DirectoryLock
from spct.run.writer import as_run_error

FILE = "run.sqlite"


def holds_run(directory: Path) -> bool:
    """Whether there is a run to open: the schema and the settings are one transaction, so it is there or it is not."""
    if not (directory / FILE).is_file():
        return False
    with as_run_error(directory), contextlib.closing(_connect(directory / FILE, write=False)) as db:
        return has_tables(db)


def has_tables(db: sqlite3.Connection) -> bool:
    """Whether a run was made in this file."""
    return bool(db.execute("SELECT count(*) FROM sqlite_master WHERE name = 'meta'").fetchone()[0])


def connected(lock: DirectoryLock | None, directory: Path) -> sqlite3.Connection:
    """The file of a run, to write to under this lock, which is let go if that cannot be; to read without one."""
    try:
        return _connect(directory / FILE, write=lock is not None)
    except BaseException:
        if lock is not None:
            lock.close()
        raise


def _connect(path: Path, *, write: bool) -> sqlite3.Connection:
    db = _writing(path) if write else _reading(path)
    db.execute("PRAGMA trusted_schema = OFF")  # the file may be somebody else's
    return db


def _writing(path: Path) -> sqlite3.Connection:
    if path.is_symlink():
        raise RunError(f"{path} is a link, and what it leads to would be written to; expected a file of the run's own")
    db = sqlite3.connect(path.resolve().as_uri(), uri=True, timeout=10.0, check_same_thread=False)
    db.execute("PRAGMA page_size = 16384")  # of a new file; prompts and judgments are longer than SQLite's usual 4096
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = NORMAL")  # survives the process dying; a power cut may lose the last commits
    db.execute("PRAGMA wal_autocheckpoint = 1000")
    return db


def _reading(path: Path) -> sqlite3.Connection:
    """Reading needs the two files of a log beside the run, which cannot be made on a disk that cannot be written.

    A run that was closed has no log: there it is read as a file that nobody changes.
    """
    closed = not os.access(path.parent, os.W_OK) and not path.with_name(f"{FILE}-wal").exists()
    uri = f"{path.resolve().as_uri()}?mode=ro{'&immutable=1' if closed else ''}"
    return sqlite3.connect(uri, uri=True, timeout=10.0, check_same_thread=False)
