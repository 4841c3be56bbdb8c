"""Opens what the user named - a path, "-", an open binary file - and finds out what it holds from its first bytes."""

from __future__ import annotations

import gzip
import io
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal, cast

from spct.errors import InputError

Format = Literal["jsonl", "json", "parquet"]
FORMATS: tuple[Format, ...] = ("jsonl", "json", "parquet")
GZIP, PARQUET, BOM, UTF16 = b"\x1f\x8b", b"PAR1", b"\xef\xbb\xbf", (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True, slots=True)
class RowFile:
    """Bytes to read from, decompressed, at the first that is neither BOM nor white space; ``line`` is its line."""

    name: str
    stream: BinaryIO
    format: Format
    line: int = 1


@contextmanager
def opened(source: str | Path | BinaryIO, format: str | None, name: str | None = None) -> Iterator[RowFile]:
    """Open ``source``, called ``name`` in messages; files opened here are closed again.

    Raises InputError if it cannot be read or is empty.
    """
    if format is not None and format not in FORMATS:
        raise InputError(f"format {format!r}: expected one of {', '.join(FORMATS)}, or none to find out")
    if not isinstance(source, (str, Path)):
        yield _sniffed(_peekable(source), name or str(getattr(source, "name", "input")), format)
    elif source == "-":
        yield _sniffed(_peekable(sys.stdin.buffer), name or "stdin", format)
    else:
        with _open(Path(source)) as stream:
            yield _sniffed(stream, name or str(source), format)


@contextmanager
def read_errors(name: str) -> Iterator[None]:
    """Turn what reading a damaged file raises, its first bytes included, into an InputError."""
    try:
        yield
    except (EOFError, zlib.error, OSError) as error:
        raise InputError(f"{name}: cannot be read on: {error}; the file is damaged or cut off") from error


def _open(path: Path) -> io.BufferedReader:
    try:
        return path.open("rb")
    except FileNotFoundError as error:
        raise InputError(f"{path}: there is no such file") from error
    except IsADirectoryError as error:
        raise InputError(f"{path}: got a directory; expected a JSONL, JSON or Parquet file") from error
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be opened: {getattr(error, 'strerror', None) or error}") from error


class _Borrowed(io.RawIOBase):
    """A stream of the caller's that is read and never closed."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        read = getattr(self._stream, "read1", self._stream.read)
        data: bytes = read(len(buffer))
        if not isinstance(data, bytes):
            raise InputError(f"input: got a stream of {type(data).__name__}; expected one opened in binary mode")
        buffer[: len(data)] = data
        return len(data)

    def seekable(self) -> bool:
        return bool(getattr(self._stream, "seekable", bool)())

    def seek(self, offset: int, whence: int = 0) -> int:
        return int(self._stream.seek(offset, whence))

    def tell(self) -> int:
        return int(self._stream.tell())


def _peekable(stream: BinaryIO) -> io.BufferedReader:
    return io.BufferedReader(_Borrowed(stream))


def _sniffed(stream: io.BufferedReader, name: str, format: str | None) -> RowFile:
    with read_errors(name):
        return _recognized(stream, name, format)


def _recognized(stream: io.BufferedReader, name: str, format: str | None) -> RowFile:
    head = _peek(stream, 4)
    if head.startswith(GZIP):
        stream = cast(io.BufferedReader, gzip.GzipFile(fileobj=stream))
        head = _peek(stream, 4)
        if head.startswith(PARQUET):
            raise InputError(f"{name}: got Parquet inside gzip; expected Parquet as it is, it compresses itself")
    if head.startswith(PARQUET) or format == "parquet":
        return RowFile(name, stream, "parquet")
    if head.startswith(UTF16):
        raise InputError(f"{name}: got UTF-16 text; expected UTF-8: save the file as UTF-8")
    if head.startswith(BOM):
        stream.read(len(BOM))
    first, line = _skip_blank(stream)
    if not first:
        raise InputError(f"{name}: got an empty file, no items; expected one row per line, or a JSON array of rows")
    found: Format = "json" if first == b"[" else "jsonl"
    if format == "json" and found != "json":
        raise InputError(f"{name}: got {first!r} as the first character; expected a JSON array, '['")
    return RowFile(name, stream, "jsonl" if format == "jsonl" else found, line)


def _peek(stream: io.BufferedReader, size: int) -> bytes:
    """Up to ``size`` bytes without taking them. A pipe may give fewer at first: a magic number never comes in parts."""
    return stream.peek(size)[:size]


def _skip_blank(stream: io.BufferedReader) -> tuple[bytes, int]:
    """Take leading white space. The first other byte, left in place (b"" at the end), and the line it is on."""
    line = 1
    while ahead := stream.peek(1):
        text = ahead.lstrip()
        blank = ahead[: len(ahead) - len(text)]
        line += blank.count(b"\n")
        stream.read(len(blank))
        if text:
            return text[:1], line
    return b"", line
