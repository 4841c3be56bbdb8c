"""Rows of Parquet and Arrow, a batch at a time, and what their types are as the types of JSON."""

from __future__ import annotations

import datetime
import importlib
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from spct.errors import InputError
from spct.items.source import RowFile

BATCH_ROWS = 256


def columnar_rows(file: RowFile) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each row with its place. Raises InputError where pyarrow is missing, for a pipe, and for what pyarrow cannot read."""
    title = file.format.capitalize()
    try:
        importlib.import_module("pyarrow.parquet")
        arrow = importlib.import_module("pyarrow")
    except ImportError as error:
        raise InputError(f"{file.name}: {title} needs pyarrow: pip install 'spct[parquet]'") from error
    if not file.stream.seekable():
        raise InputError(f"{file.name}: {title} cannot be read from a pipe; give the file's name")
    index = 0
    try:
        for batch in _batches(arrow, file):
            for row in batch.to_pylist():
                where = f"{file.name}, row {index} (counting from 0)"
                yield where, {key: _plain(value, f"{where}: {key}") for key, value in row.items()}
                index += 1
    except (arrow.ArrowException, UnicodeDecodeError) as error:
        raise InputError(f"{file.name}, after row {index}: not readable as {title}: {error}") from error


def _batches(arrow: Any, file: RowFile) -> Iterator[Any]:
    if file.format == "parquet":
        yield from arrow.parquet.ParquetFile(file.stream).iter_batches(batch_size=BATCH_ROWS)
    elif file.stream.peek(6)[:6] == b"ARROW1":  # type: ignore[attr-defined]
        with arrow.ipc.open_file(file.stream) as reader:
            yield from (reader.get_batch(number) for number in range(reader.num_record_batches))
    else:
        with arrow.ipc.open_stream(file.stream) as reader:
            yield from reader


def _plain(value: Any, where: str) -> Any:
    """The value in types that JSON has: bytes that are text become text, dates their ISO form, decimals numbers."""
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    if isinstance(value, dict):
        return {key: _plain(inner, where) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(inner, where) for inner in value]
    if isinstance(value, (bytes, bytearray)):
        try:
            return value.decode()
        except UnicodeDecodeError as error:
            raise InputError(f"{where}: got {len(value)} bytes that are not UTF-8; expected text") from error
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, datetime.timedelta):
        return value.total_seconds()
    return str(value)
