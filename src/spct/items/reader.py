"""Reads a file of items row by row. Memory holds one row (Parquet, Arrow: one batch; a workbook, or a table whose rows are
grouped: all of it) and 8 bytes of hash per id.

Failure rule: a bad row raises InputError, or with ``skip_bad`` is reported and left out; a file that cannot be read on
(missing, damaged, cut off) raises always.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from spct.errors import InputError
from spct.items.columnar import columnar_rows
from spct.items.columns import Reading, Understood, understand
from spct.items.ids import Ids
from spct.items.item import has_id, parse_item
from spct.items.json_array import array_elements
from spct.items.long_table import grouped
from spct.items.source import RowFile, opened, read_errors
from spct.items.tables import csv_rows, sheet_rows
from spct.types import Item

RawRow = tuple[str, bytes | dict[str, Any]]
"""Where a row stands, and its JSON text or (from a table) its values."""


def read_items(
    source: str | Path | BinaryIO,
    *,
    format: str | None = None,
    skip_bad: bool = False,
    on_bad: Callable[[InputError], None] | None = None,
    name: str | None = None,
    reading: Reading | None = None,
) -> Iterator[Item]:
    """Yield the items of a file, of stdin ("-") or of an open binary file, in order.

    JSONL, a JSON array, CSV, a workbook, Parquet or Arrow, told apart by content unless ``format`` is one of
    ``kinds.FORMATS``. ``reading`` says what columns hold where their names do not, and is told what was understood.
    ``name`` is what messages call the file. A row without an id gets one made of its content, and a
    number behind it (``-2``) where a row before it has the same. With ``skip_bad`` a bad row goes to ``on_bad`` and is
    left out. Raises InputError on the first bad row otherwise, for a file that cannot be read, and for one without a
    single usable item. Nothing is opened before the first item is asked for.
    """
    ids = Ids()
    position = -1
    reading = reading or Reading()
    with opened(source, format, name) as file:
        shape, rows = _Shaping(file, reading), _rows(file, reading)
        if reading.group_by is not None:
            rows = grouped(((place, _decode(row, place)) for place, row in rows), reading)
        for position, (where, row) in enumerate(rows):  # noqa: B007 - counted for the message below
            try:
                values = shape(_decode(row, where), where)
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
            got = "no items" if position < 0 else count
            raise InputError(f"{file.name}: got {got}; expected at least one item")


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


class _Shaping:
    """Brings rows into an accepted shape by what their columns hold, which is worked out once for rows with equal keys."""

    def __init__(self, file: RowFile, reading: Reading) -> None:
        self._file, self._reading = file, reading
        self._known: dict[tuple[str, ...], Understood | None] = {}

    def __call__(self, values: Any, where: str) -> Any:
        if not isinstance(values, dict) or self._reading.group_by is not None:
            return values
        keys = tuple(values)
        if keys not in self._known:
            table = self._file.format not in ("jsonl", "json")
            understood = understand(keys, self._reading, where, table=table)
            if understood is not None and not any(self._known.values()) and self._reading.told is not None:
                self._reading.told(understood.told())
            self._known[keys] = understood
        understood = self._known[keys]
        return values if understood is None else understood.row(values, where)


def _rows(file: RowFile, reading: Reading | None = None) -> Iterator[RawRow]:
    reading = reading or Reading()
    note = reading.told or (lambda _: None)
    if reading.sheet is not None and file.format != "sheet":
        raise InputError(
            f"{file.name}: got a sheet ({reading.sheet!r}) of a file of {file.format}; --sheet is for workbooks"
        )
    if reading.encoding is not None and file.format != "csv":
        raise InputError(
            f"{file.name}: got an encoding ({reading.encoding}) of a file of {file.format}; --encoding is for CSV"
        )
    if file.format == "csv":
        rows: Iterator[RawRow] = csv_rows(file, reading.encoding, note)
    elif file.format == "sheet":
        rows = sheet_rows(file, reading.sheet, note)
    else:
        rows = {"jsonl": _lines, "json": _elements, "parquet": columnar_rows, "arrow": columnar_rows}[file.format](file)
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
