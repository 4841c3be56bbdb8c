"""Token rows on disk: an Arrow file that training maps into memory, the counts that went with its making, and their order.

Made once by a stage's first process, read by all; an interrupted stage finds it again.

The order is of our own making, one long epoch read front to back: an optimizer step then sees the same rows with any number
of processes, and so does a resumed run. Within a step rows of like length come together, so that micro batches hold little
padding: its loss and gradient are those of all its rows, in whatever order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import reduce
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from datasets import Dataset, LargeList, List

from spct.data.output import read_json, write_json, written_whole

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


def ordered(rows: Dataset, steps: int, batch: int, seed: int) -> Dataset:
    """The rows as ``steps`` steps of ``batch`` see them."""
    return rows.select(order(lengths_of(rows), steps, batch, seed))


def lengths_of(rows: Dataset) -> list[int]:
    """How many tokens each row has, in all its lists."""
    lists = [name for name, feature in rows.features.items() if isinstance(feature, List | LargeList)]
    lengths: list[int] = []
    for table in rows.select_columns(lists).with_format("arrow").iter(CHUNK):
        of_lists = [pc.list_value_length(column) for column in table.columns]
        lengths += reduce(pc.add, of_lists).to_pylist()
    return lengths


def order(lengths: Sequence[int], steps: int, batch: int, seed: int) -> list[int]:
    """Which row comes when: every epoch a new permutation, the last one cut off; each step's rows by their lengths, shortest
    first.

    It is determined by the arguments alone, so neither a resume nor the number of processes changes it.
    """
    places: list[int] = []
    while len(places) < steps * batch:
        epoch = list(range(len(lengths)))
        Random(f"{seed}:{len(places) // len(lengths)}").shuffle(epoch)
        places += epoch
    by_step = (places[step * batch : (step + 1) * batch] for step in range(steps))
    return [place for of_step in by_step for place in sorted(of_step, key=lengths.__getitem__)]


def write_arrow(path: Path, schema: pa.Schema, rows: Rows) -> None:
    """Write rows to an Arrow stream, whole or not at all. Raises RunError."""
    with (
        written_whole(path) as partial,
        pa.OSFile(str(partial), "wb") as file,
        pa.ipc.new_stream(file, schema) as stream,
    ):
        for chunk in _chunks(rows):
            stream.write_batch(pa.RecordBatch.from_pylist(chunk, schema=schema))


def _chunks(rows: Rows) -> Iterator[list[dict[str, Any]]]:
    chunk: list[dict[str, Any]] = []
    for row in rows:
        chunk.append(dict(row))
        if len(chunk) == CHUNK:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
