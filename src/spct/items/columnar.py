"""Rows of Parquet and Arrow, a batch at a time, in the types that JSON has (``values``)."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any

from spct.errors import InputError
from spct.items.source import RowFile
from spct.items.values import plain

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
                yield f"{file.name}, row {index} (counting from 0)", plain(row)
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
