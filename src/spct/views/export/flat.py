"""Tables for programs: CSV, TSV, JSONL and Parquet, under the names of the columns."""

from __future__ import annotations

import csv
import importlib
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import orjson

from spct.errors import InputError
from spct.views.export.table import Cell, Kind, RowCells, Table, unarmed

BATCH_ROWS = 1024


def write_csv(table: Table, path: Path, delimiter: str = ",") -> int:
    """UTF-8 with a byte order mark, by which Excel knows it; text that looks like a formula is ``unarmed``."""
    count = 0
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file, delimiter=delimiter)
        writer.writerow([unarmed(column.name) for column in table.columns])
        for row in table.rows:
            count += 1
            writer.writerow([_csv_cell(row.get(column.name)) for column in table.columns])
    return count


def write_tsv(table: Table, path: Path) -> int:
    """As CSV, with tabs."""
    return write_csv(table, path, "\t")


def write_jsonl(table: Table, path: Path) -> int:
    """One object for each row, with every column."""
    count = 0
    with path.open("wb") as file:
        for row in table.rows:
            count += 1
            file.write(orjson.dumps({column.name: row.get(column.name) for column in table.columns}) + b"\n")
    return count


def write_parquet(table: Table, path: Path) -> int:
    """Typed columns: text, whole numbers, numbers, true or false. Raises InputError without pyarrow."""
    try:
        arrow = importlib.import_module("pyarrow")
        parquet = importlib.import_module("pyarrow.parquet")
    except ImportError as error:
        raise InputError("Parquet needs pyarrow: pip install 'spct[parquet]'") from error
    types: dict[Kind, Any] = {
        "text": arrow.string(),
        "word": arrow.string(),
        "number": arrow.float64(),
        "share": arrow.float64(),
        "count": arrow.int64(),
        "flag": arrow.bool_(),
    }
    schema = arrow.schema([(column.name, types[column.kind]) for column in table.columns])
    textual = {column.name for column in table.columns if column.kind in ("text", "word")}
    count = 0
    with parquet.ParquetWriter(path, schema) as writer:
        for batch in _batches(table.rows):
            rows = [{name: _text(cell) if name in textual else cell for name, cell in row.items()} for row in batch]
            writer.write_batch(arrow.RecordBatch.from_pylist(rows, schema=schema))
            count += len(rows)
    return count


def _batches(rows: Iterator[RowCells]) -> Iterator[list[RowCells]]:
    while batch := list(islice(rows, BATCH_ROWS)):
        yield batch


def _csv_cell(cell: Cell) -> Cell:
    return unarmed(cell) if isinstance(cell, str) else cell


def _text(cell: Cell) -> str | None:
    return cell if cell is None or isinstance(cell, str) else orjson.dumps(cell).decode()
