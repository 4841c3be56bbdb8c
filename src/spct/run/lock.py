"""One writer at a time: a lock on a file of the run directory, which ends with the process that holds it."""

from __future__ import annotations

import importlib
import os
import time
from pathlib import Path

from spct.errors import RunError

LOCK = "lock"
TRY_S = 0.1
"""How long a lock is tried for: whoever asks if it is held, holds it for a moment."""


class DirectoryLock:
    """Held until ``close``. Raises RunError where another process holds it, OSError where the file cannot be made.

    A link in the file's place is not followed, and what is there is never written to.
    """

    def __init__(self, directory: Path) -> None:
        self._file = os.open(directory / LOCK, _flags(os.O_RDWR | os.O_CREAT), 0o666)
        until = time.monotonic() + TRY_S
        while True:
            try:
                _lock(self._file)
                return
            except OSError:
                if time.monotonic() < until:
                    time.sleep(0.01)
                    continue
                os.close(self._file)
                message = f"{directory} is in use by another process; wait for it, or name another --out"
                raise RunError(message) from None

    def close(self) -> None:
        os.close(self._file)


def is_held(directory: Path) -> bool | None:
    """Whether a process of this machine holds the lock; None where the system cannot say. Nothing is changed."""
    try:
        fcntl = importlib.import_module("fcntl")
        file = os.open(directory / LOCK, _flags(os.O_RDONLY))
    except FileNotFoundError:
        return False  # whoever writes makes it first
    except (ModuleNotFoundError, OSError):
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return False
    except BlockingIOError:
        return True
    except OSError:
        return None
    finally:
        os.close(file)


def _flags(access: int) -> int:
    return access | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)


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
