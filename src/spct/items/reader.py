"""Reads a file of items row by row. Memory holds one row (Parquet: one batch) and 8 bytes of hash per id.

Failure rule: a bad row raises InputError, or with ``skip_bad`` is reported and left out; a file that cannot be read on
(missing, damaged, cut off) raises always.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from spct.errors import InputError
from spct.items.ids import Ids
from spct.items.item import has_id, parse_item
from spct.items.json_array import array_elements
from spct.items.source import RowFile, opened, read_errors
from spct.types import Item

PARQUET_BATCH_ROWS = 256

RawRow = tuple[str, bytes | dict[str, Any]]
"""Where a row stands, and its JSON text or (from Parquet) its values."""


def read_items(
    source: str | Path | BinaryIO,
    *,
    format: str | None = None,
    skip_bad: bool = False,
    on_bad: Callable[[InputError], None] | None = None,
    name: str | None = None,
) -> Iterator[Item]:
    """Yield the items of a file, of stdin ("-") or of an open binary file, in order.

    JSONL, JSON array or Parquet, told apart by content unless ``format`` says jsonl, json or parquet; the first two
    may be gzipped. ``name`` is what messages call the file. A row without an id gets one made of its content, and a
    number behind it (``-2``) where a row before it has the same. With ``skip_bad`` a bad row goes to ``on_bad`` and is
    left out. Raises InputError on the first bad row otherwise, for a file that cannot be read, and for one without a
    single usable item. Nothing is opened before the first item is asked for.
    """
    ids = Ids()
    position = -1
    with opened(source, format, name) as file:
        for position, (where, row) in enumerate(_rows(file)):  # noqa: B007 - counted for the message below
            try:
                values = _decode(row, where)
                item = parse_item(values, where=where)
                item = ids.add(item, where, given=has_id(values))
            except InputError as error:
                if not skip_bad:
                    raise
                if on_bad is not None:
                    on_bad(error)
                continue
            yield item
        if not ids:
            count = "1 row, a bad one" if position == 0 else f"{position + 1} rows, all of them bad"
            rows = "no items" if position < 0 else count
            raise InputError(f"{file.name}: got {rows}; expected at least one item")


def read_rows(source: str | Path | BinaryIO, *, format: str | None = None) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield a file's rows as they are, each with its place for people ("a.jsonl, line 3"): any keys, no item made.

    Formats as in ``read_items``. Raises InputError at the first row that is not an object and for a file that cannot be
    read to its end.
    """
    with opened(source, format) as file:
        for where, row in _rows(file):
            values = _decode(row, where)
            if not isinstance(values, dict):
                raise InputError(f"{where}: got {type(values).__name__}; expected an object with keys")
            yield where, values


def _rows(file: RowFile) -> Iterator[RawRow]:
    rows = {"jsonl": _lines, "json": _elements, "parquet": _parquet}[file.format](file)
    with read_errors(file.name):
        yield from rows


def _lines(file: RowFile) -> Iterator[RawRow]:
    prefix = f"{file.name}, line "
    for number, line in enumerate(file.stream, file.line):
        if not line.isspace():
            yield f"{prefix}{number}", line


def _elements(file: RowFile) -> Iterator[RawRow]:
    prefix = f"{file.name}, element "
    for index, element in enumerate(array_elements(file.stream, file.name)):
        yield f"{prefix}{index} (counting from 0)", element


def _parquet(file: RowFile) -> Iterator[RawRow]:
    try:
        parquet = importlib.import_module("pyarrow.parquet")
    except ImportError as error:
        raise InputError(f"{file.name}: Parquet needs pyarrow: pip install 'spct[parquet]'") from error
    if not file.stream.seekable():
        raise InputError(f"{file.name}: Parquet cannot be read from a pipe; give the file's name")
    arrow_error = importlib.import_module("pyarrow").ArrowException
    index = 0
    try:
        for batch in parquet.ParquetFile(file.stream).iter_batches(batch_size=PARQUET_BATCH_ROWS):
            for row in batch.to_pylist():
                yield f"{file.name}, row {index} (counting from 0)", row
                index += 1
    except (arrow_error, UnicodeDecodeError) as error:
        raise InputError(f"{file.name}, after row {index}: not readable as Parquet: {error}") from error


def _decode(row: bytes | dict[str, Any], where: str) -> Any:
    if isinstance(row, dict):
        return row
    try:
        return orjson.loads(row)
    except orjson.JSONDecodeError as error:
        raise InputError(f"{where}: got invalid JSON at column {error.colno}: {_why(row, error)}") from error


def _why(row: bytes, error: orjson.JSONDecodeError) -> str:
    """What is wrong, beyond the strict parser's words where the lenient one of the standard library tells more."""
    if not row.strip():
        return "nothing between two commas; expected a row"
    try:
        text = row.decode()
    except UnicodeDecodeError as bad:
        return f"byte {bad.start + 1} is not UTF-8; expected a file saved as UTF-8"
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return f"{error.msg}; expected one JSON object per row"
    if "surrogate" in error.msg:
        return "a lone surrogate (half of a character, as \\ud83d); expected text that UTF-8 can encode"
    return "NaN or Infinity, or nesting too deep; JSON has neither: write null or leave the key out"
