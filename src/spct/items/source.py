"""Opens what the user named - a path, "-", an open binary file - and finds out what it holds from its first bytes."""

from __future__ import annotations

import io
import lzma
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

from spct.errors import InputError
from spct.items.kinds import COMPRESSED, FORMATS, LOOK, Format, binary_format

BOM, UTF16 = b"\xef\xbb\xbf", (b"\xff\xfe", b"\xfe\xff")
JSON_NAMES = (".jsonl", ".ndjson", ".json")
TABLE_NAMES = (".csv", ".tsv", ".tab")
DELIMITERS = b",;\t|"


@dataclass(frozen=True, slots=True)
class RowFile:
    """Bytes to read from, decompressed, at the first that is neither BOM nor white space; ``line`` is its line.

    ``encoding`` is that of text which says it itself by its first bytes, None where nothing does.
    """

    name: str
    stream: BinaryIO
    format: Format
    line: int = 1
    encoding: str | None = None


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
    except (EOFError, zlib.error, lzma.LZMAError, OSError) as error:
        raise InputError(f"{name}: cannot be read on: {error}; the file is damaged or cut off") from error


def _open(path: Path) -> io.BufferedReader:
    try:
        return path.open("rb")
    except FileNotFoundError as error:
        raise InputError(f"{path}: there is no such file") from error
    except IsADirectoryError as error:
        raise InputError(f"{path}: got a directory; expected a file of items") from error
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
    head = _peek(stream, LOOK)
    packed = next((opener for start, opener in COMPRESSED.items() if head.startswith(start)), None)
    if packed is not None:
        stream = cast(io.BufferedReader, packed(stream))
        head = _peek(stream, LOOK)
    found = cast(Format, format) if format in ("parquet", "arrow", "sheet") else binary_format(head, stream, name)
    if found in ("parquet", "arrow") and packed is not None:
        raise InputError(
            f"{name}: got {found.capitalize()} inside a compressed file; expected it as it is, it compresses itself"
        )
    if found is not None:
        return RowFile(name, stream, found)
    if head.startswith(UTF16):
        return _utf16(stream, name, head)
    marked = head.startswith(BOM)
    if marked:
        stream.read(len(BOM))
    return _text(stream, name, format, "utf-8" if marked else None)


def _utf16(stream: io.BufferedReader, name: str, head: bytes) -> RowFile:
    """A table in UTF-16, as spreadsheets write it ("Unicode text"); JSON is UTF-8 by its standard."""
    start = head[: len(head) // 2 * 2].decode("utf-16", errors="replace").lstrip()
    if start.startswith(("{", "[")):
        raise InputError(f"{name}: got UTF-16 text; expected UTF-8: save the file as UTF-8")
    return RowFile(name, stream, "csv", encoding="utf-16")


def _text(stream: io.BufferedReader, name: str, format: str | None, encoding: str | None) -> RowFile:
    first, line = _skip_blank(stream)
    if not first:
        raise InputError(f"{name}: got an empty file, no items; expected one row per line, or a JSON array of rows")
    found: Format = {b"[": "json", b"{": "jsonl"}.get(first) or _lines_or_table(stream, name)  # type: ignore[assignment]
    if format == "json" and first != b"[":
        raise InputError(f"{name}: got {first!r} as the first character; expected a JSON array, '['")
    return RowFile(name, stream, cast(Format, format) if format in ("jsonl", "csv") else found, line, encoding)


def _lines_or_table(stream: io.BufferedReader, name: str) -> Format:
    """What text is that begins with no bracket: a table if its name or a delimiter in its first line says so."""
    suffixes = Path(name).suffixes[-2:]
    if any(suffix.lower() in JSON_NAMES for suffix in suffixes):
        return "jsonl"
    if any(suffix.lower() in TABLE_NAMES for suffix in suffixes):
        return "csv"
    header = _peek(stream, io.DEFAULT_BUFFER_SIZE).split(b"\n")[0]
    return "csv" if any(byte in DELIMITERS for byte in header) else "jsonl"


def _peek(stream: io.BufferedReader, size: int) -> bytes:
    """Up to ``size`` bytes without taking them. A pipe may give fewer at first: a magic number never comes in parts."""
    return stream.peek(size)[:size]


def _skip_blank(stream: io.BufferedReader) -> tuple[bytes, int]:
    """Take leading blank lines. The first byte that is not blank, left in place (b"" at the end), and the line it is on.

    Blanks before it on its own line are taken in front of a bracket only: in a table they may be an empty cell.
    """
    line = 1
    while ahead := stream.peek(1):
        text = ahead.lstrip()
        blank = ahead[: len(ahead) - len(text)]
        line += blank.count(b"\n")
        stream.read(len(blank) if not text or text[:1] in (b"[", b"{") else blank.rfind(b"\n") + 1)
        if text:
            return text[:1], line
    return b"", line
