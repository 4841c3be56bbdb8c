"""A Ray Dataset of items in, the same with their verdicts out: a transform to stand among others of Ray Data.

Nothing is kept but the columns; for runs that are stopped, gone on with and looked at, see ``spct judge --ray``. Failure rule: an
item that fails alone has its error in ``verdict_error``; a row that is no item, or an engine that cannot go on, fails the pipeline.
"""

from __future__ import annotations

import importlib
from collections.abc import AsyncIterator
from typing import Any

from spct.cluster.rows import verdict_columns, verdict_schema
from spct.grm import GRM
from spct.items import parse_item

PREFIX = "verdict_"
"""In front of every column that is added, since the rows may have an ``id`` and a ``best`` of their own."""


def judge_dataset(
    dataset: Any,
    engine: str,
    *,
    actors: int = 1,
    gpus_per_actor: float = 0.0,
    cpus_per_actor: float = 1.0,
    batch_size: int = 256,
    **options: Any,
) -> Any:
    """The Dataset with a column for each key of a verdict, such as ``verdict_best``, ``verdict_means`` and ``verdict_error``.

    Its rows are items in any accepted shape. ``engine`` and ``options`` are those of ``GRM``: k, seed, base_url, and so on. Each of
    the ``actors`` holds one GRM and judges several batches of ``batch_size`` rows at once, as Ray Data has asynchronous functions
    do, so that its engine stays full. An item is named by its id or its content, so its verdict does not depend on how rows are
    batched.
    """
    data = importlib.import_module("ray.data")
    GRM(engine, **options)  # what is wrong with the options is said here, and not by the first actor
    return dataset.map_batches(
        _Judged,
        fn_constructor_args=(engine, options),
        compute=data.ActorPoolStrategy(size=actors),
        batch_size=batch_size,
        batch_format="pyarrow",
        num_cpus=cpus_per_actor,
        num_gpus=gpus_per_actor,
    )


class _Judged:
    """One actor's judge."""

    def __init__(self, engine: str, options: dict[str, Any]) -> None:
        self._grm = GRM(engine, **options)

    async def __call__(self, table: Any) -> AsyncIterator[Any]:
        arrow = importlib.import_module("pyarrow")
        items = [parse_item(row, where=f"row {place} of a batch") for place, row in enumerate(table.to_pylist())]
        rows = [verdict_columns(verdict.as_row()) async for verdict in self._grm.ajudge_many(items)]
        verdicts = arrow.Table.from_pylist(rows, schema=verdict_schema())
        for name in verdicts.column_names:
            table = table.append_column(f"{PREFIX}{name}", verdicts.column(name))
        yield table
