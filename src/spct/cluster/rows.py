"""Verdicts as rows of Parquet: a column for each key of ``spct judge --json``, and the error as two."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping
from typing import Any

import orjson

NESTED = ("criteria", "jury")
"""Keys whose values differ from run to run: kept as JSON text."""


def verdict_columns(row: Mapping[str, Any]) -> dict[str, Any]:
    """A verdict's row as values of ``verdict_schema``."""
    error = row["error"] or {}
    named = {name: value for name, value in row.items() if name not in ("error", *NESTED)}
    nested = {name: orjson.dumps(row[name]).decode() if name in row else None for name in NESTED}
    return {**named, "error": error.get("type"), "error_message": error.get("message"), **nested}


def verdict_schema() -> Any:
    """The pyarrow schema of ``verdict_columns``: the same whatever the verdicts hold, so that files of it can be joined."""
    arrow = importlib.import_module("pyarrow")
    numbers, counts, text = arrow.list_(arrow.float64()), arrow.list_(arrow.int64()), arrow.string()
    kinds = {"id": text, "best": arrow.int64(), "ranking": counts, "totals": numbers, "means": numbers, "spread": numbers,
             "k": arrow.int64(), "valid": arrow.int64(), "invalid": arrow.int64(), "tied": counts,
             "confidence": arrow.float64(), "error": text, "error_message": text}  # fmt: skip
    return arrow.schema([*kinds.items(), *[(name, text) for name in NESTED]])


def verdicts_as_parquet(rows: Iterable[Mapping[str, Any]]) -> bytes:
    """A Parquet file of these rows of verdicts."""
    arrow = importlib.import_module("pyarrow")
    parquet = importlib.import_module("pyarrow.parquet")
    table = arrow.Table.from_pylist(list(map(verdict_columns, rows)), schema=verdict_schema())
    sink = arrow.BufferOutputStream()
    parquet.write_table(table, sink, compression="zstd")
    return bytes(sink.getvalue())
