"""What the reward-bench scripts write of each prompt: RewardBench 1's scores_chosen and scores_rejected, RewardBench 2's scores.

The scripts write one object of columns (``eval-set-scores``); rows are read too. Judges that give no scores have
``results``, 1 if the chosen response won, 0.5 for a tie. The command's ``_all.jsonl`` has scores alone, without ids or
subsets. The text there is prompt and response together in the model's own format, and is not taken over.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from spct.bench.importers.recording import Recorded, RecordedRun, checked_score, scored_apart, unscored
from spct.bench.suites import rewardbench, rewardbench2
from spct.bench.suites.assembly import data_files, make_item, numbered
from spct.errors import InputError
from spct.items import read_rows
from spct.types import Item, Usage

EXPECTED = (
    "one result file of reward-bench: an object of columns, or rows, with scores_chosen and scores_rejected, or scores"
)
ABSENT = "{subset}, prompt {id}: the recording holds scores only."
SUBSETS_2 = {name.lower(): name for name in rewardbench2.ROWS}
RESULTS = {1.0: (1, 0), 0.0: (0, 1), 0.5: (0, 0)}


def recorded(path: Path, *, model: str | None = None) -> RecordedRun:
    """Read one model's scores. ``model`` is noted in the run; left out, it is the one that the file names."""
    files = data_files(path, EXPECTED)
    if len(files) > 1:
        raise InputError(f"{path}: got {len(files)} files; expected {EXPECTED}: name one of them")
    rows = [one for where, row in read_rows(files[0]) for one in _rows(row, where)]
    scores = [_scores(row, where) for where, row in rows]
    items = list(numbered(_item(row, where, place, len(scores[place])) for place, (where, row) in enumerate(rows)))
    found = [
        Recorded(
            item,
            tuple(scored_apart(0, row, range(len(row)), lambda _: unscored("no score was recorded"))),
            Usage(requests=len(row)),
        )
        for item, row in zip(items, scores, strict=True)
    ]
    named = next((str(row["model"]) for _, row in rows if row.get("model")), "unknown")
    return RecordedRun(model or named, found, _benchmark(items))


def _rows(row: Mapping[str, Any], where: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The rows of an object of columns, or the row itself; what is no list is said of all."""
    lengths = {len(row[key]) for key in ("id", "subset", "results") if isinstance(row.get(key), list)}
    if not lengths:
        yield where, dict(row)
        return
    count = max(lengths)
    if uneven := [key for key, column in row.items() if isinstance(column, list) and len(column) != count]:
        raise InputError(
            f"{where}: column {uneven[0]} has {len(row[uneven[0]])} values; expected {count} as in the others"
        )
    for place in range(count):
        values = {key: column[place] if isinstance(column, list) else column for key, column in row.items()}
        yield f"{where}, place {place}", values


def _scores(row: Mapping[str, Any], where: str) -> list[float | None]:
    """The scores in the order of the responses, the chosen ones first."""
    if isinstance(row.get("scores"), list) and len(row["scores"]) > 1:
        return [_score(score, where) for score in row["scores"]]
    for chosen, rejected in (("scores_chosen", "scores_rejected"), ("chosen", "rejected")):
        found = [row[key] for key in (chosen, rejected) if key in row]
        if len(found) == 2 and ("results" not in row or found != [None, None]):
            return [_score(score, where) for score in found]
    if "results" not in row:
        raise InputError(f"{where}: got a row with {', '.join(row)}; expected {EXPECTED}")
    result = checked_score(row["results"], where)
    if result is not None and result not in RESULTS:
        raise InputError(f"{where}: got the result {result}; expected 1, 0.5 or 0")
    return [None, None] if result is None else [*RESULTS[result]]


def _score(score: object, where: str) -> float | None:
    """A score; some models answer with a list of one."""
    return checked_score(score[0] if isinstance(score, list) and len(score) == 1 else score, where)


def _item(row: Mapping[str, Any], where: str, place: int, n: int) -> Item:
    subset, number = str(row.get("subset") or ""), row.get("id", place)
    subset = subset if subset in rewardbench.ROWS else SUBSETS_2.get(subset.lower(), subset)
    right = row.get("num_correct") or 1
    if not isinstance(right, int) or not 0 < right < n:
        raise InputError(f"{where}: got num_correct {right!r} of {n} responses; expected from 1 to {n - 1}")
    return make_item(
        where,
        id=f"{subset}/{number}" if subset else str(number),
        query=ABSENT.format(subset=subset or "reward-bench", id=number),
        responses=[""] * n,
        best=0 if right == 1 else None,
        rewards=[1.0] * right + [0.0] * (n - right) if subset in rewardbench2.ROWS or right > 1 else None,
        subset=subset or None,
        num_correct=right if subset in rewardbench2.ROWS else None,
        domain=next((section for section, subsets in rewardbench.SECTIONS.items() if subset in subsets), None),
        text_absent=True,
    )


def _benchmark(items: list[Item]) -> str | None:
    """The benchmark that all subsets are of."""
    subsets = {str(item.extra.get("subset")) for item in items}
    if subsets <= rewardbench.ROWS.keys():
        return "rewardbench-scalar"
    return "rewardbench2" if subsets <= rewardbench2.ROWS.keys() else None
