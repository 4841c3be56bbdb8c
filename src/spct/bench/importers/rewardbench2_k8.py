"""RewardBench 2 without Ties, every response scored k times in calls of its own: ids and scores, no text.

Judgment j is the j-th score of every response. Where some of its calls brought no score, the judgment scores the
others and each failed call stands beside it as an invalid judgment of that response alone, with the recorded error.
The recorders' figure is strict accuracy of the mean per response, over rows where every response has a mean.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import zip_longest
from pathlib import Path
from typing import Any

from spct.bench.importers.recording import Recorded, RecordedRun, scored_apart, unscored
from spct.bench.suites.assembly import data_files, make_item, require
from spct.errors import InputError
from spct.items import read_rows
from spct.types import Item, Judgment, Usage

EXPECTED = "one JSONL file with id, subset and {judge}_scores: a list of k scores (or nulls) per response"
ABSENT = "RewardBench 2, {subset}, prompt {id}: the recording holds scores only, no text."
SUFFIX = "_scores"


def recorded(path: Path, *, judge: str | None = None, joined_to: str | None = None) -> RecordedRun:
    """Read the scores of ``judge`` ("full", "mini", "nano", ...), which may be left out if the file has one judge only.

    ``joined_to`` names another recording to whose rows the scores are attached by id, as the recorders did for their
    nano figures. Ids repeat across subsets and the last row of an id wins, so a few rows then carry the scores of
    another subset's prompt; it is there to repeat those figures and for nothing else.
    """
    rows = _rows(path)
    name = _judge(rows, judge, path)
    if joined_to is not None:
        scored = {row["id"]: row for _, row in rows}
        rows = [
            (where, _attached(row, scored[row["id"]], name))
            for where, row in _rows(Path(joined_to))
            if row["id"] in scored
        ]
    items = [
        Recorded(_item(row, where, name), tuple(_judgments(row, where, name)), _usage(row, name)) for where, row in rows
    ]
    variant = rows[0][1].get("prompt_variant")
    named = re.search(r"_t(\d+\.\d+)", path.name)
    temperature = float(named[1]) if named else 1.0
    source = {"variant": variant} if variant else {}
    return RecordedRun(name, items, "rewardbench2", temperature=temperature, source=source)


def _rows(path: Path) -> list[tuple[str, dict[str, Any]]]:
    files = data_files(path, EXPECTED)
    if len(files) > 1:
        raise InputError(f"{path}: got {len(files)} files; expected {EXPECTED}: name one of them")
    rows = [(where, row) for where, row in read_rows(files[0]) if not row.get("refused")]
    for where, row in rows:
        require(row, where, "id", "subset")
    if not rows:
        raise InputError(f"{path}: got no rows that were not refused; expected {EXPECTED}")
    return rows


def _judge(rows: list[tuple[str, dict[str, Any]]], judge: str | None, path: Path) -> str:
    there = [key.removesuffix(SUFFIX) for key in rows[0][1] if key.endswith(SUFFIX)]
    if judge is None and len(there) == 1:
        return there[0]
    if judge not in there:
        got = f"judge={judge}" if judge else f"scores of {len(there)} judges and no judge= option"
        raise InputError(f"{path}: got {got}; expected judge= with one of {', '.join(there) or EXPECTED}")
    return judge


def _attached(row: Mapping[str, Any], scored: Mapping[str, Any], name: str) -> dict[str, Any]:
    keys = (f"{name}{SUFFIX}", f"{name}_errors")
    return {**row, **{key: scored.get(key) for key in keys}, "cost": scored.get("cost")}


def _scores(row: Mapping[str, Any], where: str, name: str) -> list[list[Any]]:
    """K scores of each response; a list that is shorter than the others lacks its last ones."""
    found = row.get(f"{name}{SUFFIX}")
    if not isinstance(found, list) or len(found) < 2 or not all(isinstance(scores, list) for scores in found):
        raise InputError(f"{where}: {name}{SUFFIX} must be a list with a list of scores for each response")
    return found


def _item(row: Mapping[str, Any], where: str, name: str) -> Item:
    """Without text; the first response is the right one."""
    return make_item(
        where,
        id=f"{row['subset']}/{row['id']}",
        query=ABSENT.format(subset=row["subset"], id=row["id"]),
        responses=[""] * len(_scores(row, where, name)),
        best=0,
        subset=row["subset"],
        num_correct=1,
        text_absent=True,
    )


def _judgments(row: Mapping[str, Any], where: str, name: str) -> Iterator[Judgment]:
    scores_NK = _scores(row, where, name)  # noqa: N806 (N responses, K samples)
    for index, scores_N in enumerate(zip_longest(*scores_NK)):  # noqa: N806
        for score in scores_N:
            if score is not None and (isinstance(score, bool) or not isinstance(score, (int, float))):
                raise InputError(f"{where}: got the score {score!r}; expected a number or null")
        yield from scored_apart(
            index,
            scores_N,
            range(len(scores_N)),
            lambda i, index=index: _problem(row, name, i, index),  # type: ignore[misc]
        )


def _problem(row: Mapping[str, Any], name: str, response: int, index: int) -> Any:
    try:
        error = str(row[f"{name}_errors"][response][index])
    except (KeyError, IndexError, TypeError):
        error = "no score recorded"
    return unscored(error, "empty" if error.startswith("empty_response") else "no_box")


def _usage(row: Mapping[str, Any], name: str) -> Usage:
    cost = row.get("cost") or {}
    prompt, completion = (int(cost.get(f"{name}_{kind}_tokens") or 0) for kind in ("input", "output"))
    return Usage(prompt, completion, requests=len(row[f"{name}{SUFFIX}"]))
