"""One writer at a time: a lock on a file of the run directory, which ends with the process that holds it."""

from __future__ import annotations

import importlib
import os
from pathlib import Path

from spct.errors import RunError

LOCK = "lock"


class DirectoryLock:
    """Held until ``close``. Raises RunError where another process holds it, OSError where the file cannot be made.

    A link in the file's place is not followed, and what is there is never written to.
    """

    def __init__(self, directory: Path) -> None:
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
        self._file = os.open(directory / LOCK, flags, 0o666)
        try:
            _lock(self._file)
        except OSError:
            os.close(self._file)
            raise RunError(f"{directory} is in use by another process; wait for it, or name another --out") from None

    def close(self) -> None:
        os.close(self._file)


def _lock(file: int) -> None:
    """Lock an open file, by what this system has: fcntl, or msvcrt on Windows."""
    try:
        fcntl = importlib.import_module("fcntl")
    except ModuleNotFoundError:
        try:
            msvcrt = importlib.import_module("msvcrt")
        except ModuleNotFoundError:
            return  # neither: the file system offers no lock
        msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        return
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
