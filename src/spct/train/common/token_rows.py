"""Token rows on disk: an Arrow file that training maps into memory, the counts that went with its making, and their order.

Made once by a stage's first process, read by all; an interrupted stage finds it again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
from datasets import Dataset

from spct.data.output import read_json, write_json
from spct.errors import RunError, SpctError

CHUNK = 512

Rows = Iterator[Mapping[str, Any]]


def token_rows(
    folder: Path, name: str, schema: pa.Schema, make: Callable[[], tuple[Rows, Callable[[], Mapping[str, Any]]]]
) -> tuple[Dataset, dict[str, Any]]:
    """The rows called ``name`` in ``folder`` and their counts, made if they are not there yet.

    ``make`` gives the rows, and what gives their counts once they have been read. Raises RunError where the disk refuses.
    """
    counts = read_json(folder / f"{name}.json")
    if counts is None:
        rows, count = make()
        write_arrow(folder / f"{name}.arrow", schema, rows)
        counts = dict(count())
        write_json(folder / f"{name}.json", counts)
    return Dataset.from_file(str(folder / f"{name}.arrow")), counts


def order(count: int, total: int, seed: int) -> list[int]:
    """Which row comes when, for ``total`` rows of ``count``: every epoch a new permutation, the last one cut off.

    It is determined by the arguments alone, so neither a resume nor the number of processes changes it.
    """
    places: list[int] = []
    for epoch in range(-(-total // count)):
        epoch_places = list(range(count))
        Random(f"{seed}:{epoch}").shuffle(epoch_places)
        places += epoch_places
    return places[:total]


def write_arrow(path: Path, schema: pa.Schema, rows: Rows) -> None:
    """Write rows to an Arrow stream, whole or not at all. Raises RunError."""
    partial = path.with_name(f".{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with pa.OSFile(str(partial), "wb") as file, pa.ipc.new_stream(file, schema) as stream:
            for chunk in _chunks(rows):
                stream.write_batch(pa.RecordBatch.from_pylist(chunk, schema=schema))
        partial.replace(path)
    except SpctError:  # of the rows' making
        partial.unlink(missing_ok=True)
        raise
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise RunError(f"{path}: cannot be written: {error}; free some space") from error


def _chunks(rows: Rows) -> Iterator[list[dict[str, Any]]]:
    chunk: list[dict[str, Any]] = []
    for row in rows:
        chunk.append(dict(row))
        if len(chunk) == CHUNK:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
