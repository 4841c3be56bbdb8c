"""Auto-J's judgments of pairs: a file with the decision on each pair of its test data, and one with the order swapped.

0 is the first response shown, 1 the second, 2 a tie, as in the people's label. Judgment 0 is the pair as it is, judgment 1
the swapped one. A decision becomes the scores 1 and 0, a tie 0 and 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spct.bench.importers.recording import Recorded, RecordedRun, judged, unscored
from spct.bench.suites.assembly import make_item, require
from spct.errors import InputError
from spct.items import read_rows
from spct.types import Item, Judgment, Usage

EXPECTED = 'a JSONL file with a line {"output": 0, 1 or 2} for each pair of testdata_pairwise.jsonl'
ORDERS = ((0, 1), (1, 0))
SHOWN = {0: (1, 0), 1: (0, 1), 2: (0, 0)}
"""Scores in shown order."""
LABELS = {0: 0, 1: 1, 2: "tie"}


def recorded(path: Path, *, data: str | None = None, swapped: str | None = None, model: str = "unknown") -> RecordedRun:
    """Read decisions on the pairs of ``data`` (upstream's testdata_pairwise.jsonl), and those on the swapped pairs.

    ``swapped`` may be left out for a judge that rates each response alone.
    """
    outputs = [list(read_rows(Path(file))) for file in (path, swapped) if file is not None]
    if data is None:
        raise InputError(
            f"{path}: got no data= option; expected data= with testdata_pairwise.jsonl, whose pairs were judged"
        )
    pairs = list(read_rows(Path(data)))
    for rows in outputs:
        if len(rows) != len(pairs):
            raise InputError(f"{path}: got {len(rows)} decisions on {len(pairs)} pairs of {data}; expected {EXPECTED}")
    items = []
    for place, (where, row) in enumerate(pairs):
        judgments = tuple(_judgment(index, *rows[place]) for index, rows in enumerate(outputs))
        items.append(Recorded(_item(row, where, place), judgments, Usage(requests=len(judgments))))
    return RecordedRun(model, items)


def _item(row: Mapping[str, Any], where: str, place: int) -> Item:
    require(row, where, "prompt", "response 1", "response 2", "label")
    if not isinstance(row["label"], int) or row["label"] not in LABELS:
        raise InputError(f"{where}: got the label {row['label']!r}; expected 0, 1 or 2 (tie)")
    return make_item(
        where,
        id=str(place),
        query=row["prompt"],
        responses=[row["response 1"], row["response 2"]],
        label=LABELS[row["label"]],
        subset=row.get("scenario"),
    )


def _judgment(index: int, where: str, row: Mapping[str, Any]) -> Judgment:
    output, order = row.get("output"), ORDERS[index]
    if output is None:
        return judged(index, order, None, problem=unscored("no decision was recorded"))
    if not isinstance(output, int) or isinstance(output, bool) or output not in SHOWN:
        raise InputError(f"{where}: got the output {str(output)[:40]!r}; expected 0, 1, 2 or null")
    shown = SHOWN[output]
    return judged(index, order, (shown[order[0]], shown[order[1]]))
