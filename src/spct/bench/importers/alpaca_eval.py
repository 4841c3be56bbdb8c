"""AlpacaEval's annotations: pairs of a baseline's and a model's output with a preference between 1 and 2.

1 is output_1, 2 is output_2, what lies between is the annotator's certainty, 1.5 (0 in old files) a draw. The scores are
2 - preference and preference - 1, so that the mean of the second is upstream's win rate. Which output was shown first is
not recorded.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spct.bench.importers.recording import Recorded, RecordedRun, checked_score, judged, unscored
from spct.bench.suites.assembly import data_files, make_item, require
from spct.errors import InputError
from spct.items import read_rows
from spct.types import Item, Judgment, Usage

EXPECTED = "one annotations.json of AlpacaEval: rows with instruction, output_1, output_2 and preference"


def recorded(path: Path, *, annotator: str | None = None) -> RecordedRun:
    """Read the annotations of ``annotator``, which may be left out if the file has one only.

    Further rows on the same two outputs are further judgments of one item.
    """
    files = data_files(path, EXPECTED)
    if len(files) > 1:
        raise InputError(f"{path}: got {len(files)} files; expected {EXPECTED}: name one of them")
    rows = list(read_rows(files[0]))
    there = list(dict.fromkeys(str(row.get("annotator") or "unknown") for _, row in rows))
    if annotator is None and len(there) == 1:
        annotator = there[0]
    if annotator not in there:
        raise InputError(
            f"{path}: got annotator={annotator}; expected annotator= with one of {', '.join(there) or EXPECTED}"
        )
    items: dict[tuple[object, ...], tuple[Item, list[Judgment]]] = {}
    for where, row in rows:
        require(row, where, "instruction", "output_1", "output_2")
        if str(row.get("annotator") or "unknown") != annotator:
            continue
        key = tuple(row[name] for name in ("instruction", "output_1", "output_2"))
        if key not in items:
            items[key] = (_item(row, where, len(items)), [])
        items[key][1].append(_judgment(row, where, len(items[key][1])))
    found = [Recorded(item, tuple(judgments), Usage(requests=len(judgments))) for item, judgments in items.values()]
    return RecordedRun(annotator, found, source={"annotator": annotator})


def _item(row: Mapping[str, Any], where: str, place: int) -> Item:
    writers = [row.get("generator_1"), row.get("generator_2")]
    return make_item(
        where,
        id=str(place),
        query=row["instruction"],
        responses=[row["output_1"], row["output_2"]],
        subset=row.get("dataset"),
        writers=writers if all(writers) else None,
    )


def _judgment(row: Mapping[str, Any], where: str, index: int) -> Judgment:
    preference = checked_score(row.get("preference"), where)
    if preference is None:
        return judged(index, (0, 1), None, text=_text(row), problem=unscored("no preference was recorded"))
    preference = preference or 1.5
    if not 1 <= preference <= 2:
        raise InputError(
            f"{where}: got the preference {preference}; expected a number from 1 to 2, 0 for a draw, or null"
        )
    return judged(index, (0, 1), (2 - preference, preference - 1), text=_text(row))


def _text(row: Mapping[str, Any]) -> str:
    completion = row.get("raw_completion")
    text = completion.get("text") if isinstance(completion, Mapping) else completion
    return text if isinstance(text, str) else ""
