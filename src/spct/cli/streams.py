"""The three standard streams, of which each may be closed, full, or read by nobody."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from typing import Any


class OutputError(Exception):
    """Standard output takes nothing more. ``is_unread`` says that its reader went away, as ``| head`` does."""

    def __init__(self, error: OSError) -> None:
        super().__init__(f"stdout cannot be written: {error.strerror or error}; what was printed is not all there is")
        self.is_unread = isinstance(error, BrokenPipeError)


class _Output(io.TextIOWrapper):
    """Standard output whose failures can be told from those of any other file."""

    def write(self, text: str) -> int:
        with _as_output_error():
            return super().write(text)

    def flush(self) -> None:
        with _as_output_error():
            super().flush()


@contextlib.contextmanager
def _as_output_error() -> Any:
    try:
        yield
    except OSError as error:
        raise OutputError(error) from error


class _Errors(io.TextIOWrapper):
    """Standard error, which nothing depends on: what it does not take is lost."""

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError):
            super().write(text)
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError):
            super().flush()


def prepare_streams() -> None:
    """Give closed streams something to fail with, standard output an error of its own, and standard error none.

    A closed one would be None to Python, and its number taken by the next file that is opened. In its place reading fails,
    writing to stdout fails, and what goes to stderr is lost.
    """
    for number, flags in ((0, os.O_WRONLY), (1, os.O_RDONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            opened = os.open(os.devnull, flags)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
    if sys.stdin is None:
        sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stdout = _made_over(sys.stdout, 1, _Output)
    sys.stderr = _made_over(sys.stderr, 2, _Errors)


def _made_over(stream: Any, number: int, kind: type[io.TextIOWrapper]) -> io.TextIOWrapper:
    """A standard stream of this kind; what is no plain one, such as a test's, stays as it is."""
    if stream is None:
        return kind(io.BufferedWriter(io.FileIO(number, "w", closefd=False)), encoding="utf-8")
    if type(stream) is not io.TextIOWrapper:
        return stream  # type: ignore[no-any-return]
    encoding, errors, by_line = stream.encoding, stream.errors, stream.line_buffering
    return kind(stream.detach(), encoding, errors, line_buffering=by_line)


def give_up_output() -> None:
    """Let nothing more be said of standard output: what is left of it goes nowhere."""
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
