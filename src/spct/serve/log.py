"""One JSON object a line for each event. No text of a query, a response or a judgment, and no key, is ever in it."""

from __future__ import annotations

import logging
import sys
import traceback
from datetime import UTC, datetime
from typing import Any, BinaryIO

import orjson


class JsonLog:
    """Writes to ``stream``, standard error if None. Without ``requests`` only what is not a plain request is written."""

    def __init__(self, stream: BinaryIO | None = None, *, requests: bool = True) -> None:
        self.requests = requests
        self._stream = sys.stderr.buffer if stream is None else stream

    def write(self, event: str, **fields: Any) -> None:
        """Write one line; a log that cannot be written is no reason to fail a request."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        line = orjson.dumps({"time": now, "event": event, **fields}, default=str)
        try:
            self._stream.write(line + b"\n")
            self._stream.flush()
        except (OSError, ValueError):
            self.requests = False

    def take_errors_of(self, *loggers: str) -> None:
        """Write what these libraries log as errors here, as faults; their own lines would show texts, and are no JSON."""
        for name in loggers:
            logger = logging.getLogger(name)
            logger.addHandler(_Errors(self))
            logger.propagate = False

    def fault(self, error: BaseException, **fields: Any) -> None:
        """A fault of the service itself: its kind and where it arose. Not its message, which may hold a user's text."""
        frames = traceback.extract_tb(error.__traceback__)
        where = [f"{frame.filename.rpartition('/')[2]}:{frame.lineno} {frame.name}" for frame in frames[-12:]]
        self.write("fault", type=type(error).__name__, where=where, **fields)


class _Errors(logging.Handler):
    def __init__(self, log: JsonLog) -> None:
        super().__init__(logging.ERROR)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        if error is None:
            self._log.write("fault", logger=record.name)
        else:
            self._log.fault(error, logger=record.name)
