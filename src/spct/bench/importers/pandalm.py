"""PandaLM's judgments: which of two responses is better, or neither, beside the test set with three people's labels.

A decision becomes the scores 1 and 0, a tie 0 and 0. What upstream names "garbage" and counts as a tie is an invalid
judgment here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spct.bench.importers.recording import Recorded, RecordedRun, judged, unscored
from spct.bench.suites.assembly import make_item, require
from spct.errors import InputError
from spct.types import Item, Judgment, Usage

EXPECTED = "one JSON array of PandaLM's judgments: objects with idx and {judge}_result"
TESTSET = "testset-v1.json"
SUFFIX = "_result"
SCORES = {"1": (1, 0), "2": (0, 1), "0": (0, 0), "tie": (0, 0)}
LABELS = {1: 0, 2: 1, 0: "tie"}
ANNOTATORS = ("annotator1", "annotator2", "annotator3")


def recorded(path: Path, *, testset: str | None = None) -> RecordedRun:
    """Read one judge's results; ``testset`` is upstream's test set, by default the file testset-v1.json beside them."""
    source = Path(testset) if testset else path.parent / TESTSET
    pairs = {str(row.get("idx")): (where, row) for where, row in _rows(source)}
    items, names = [], set()
    for where, row in _rows(path):
        require(row, where, "idx")
        keys = [key for key in row if key.endswith(SUFFIX)]
        if len(keys) != 1:
            raise InputError(f"{where}: got {', '.join(row)}; expected one {{judge}}{SUFFIX}")
        if str(row["idx"]) not in pairs:
            raise InputError(
                f"{where}: {source} has no idx {row['idx']}; expected testset= with the pairs that were judged"
            )
        name = keys[0].removesuffix(SUFFIX)
        names.add(name)
        spot, pair = pairs[str(row["idx"])]
        items.append(Recorded(_item(pair, spot), (_judgment(row, name, where),), Usage(requests=1)))
    return RecordedRun(", ".join(sorted(names)) or "unknown", items)


def _rows(path: Path) -> list[tuple[str, dict[str, Any]]]:
    """The objects of a JSON array; upstream writes NaN for an empty input, which is no JSON."""
    try:
        rows = json.loads(path.read_text())
    except FileNotFoundError:
        raise InputError(
            f"{path}: there is no such file; expected {EXPECTED}, and testset= with the test set"
        ) from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read ({error}); expected {EXPECTED}") from error
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise InputError(f"{path}: got {type(rows).__name__}; expected {EXPECTED}")
    return [(f"{path}, row {place + 1}", row) for place, row in enumerate(rows)]


def _item(row: Mapping[str, Any], where: str) -> Item:
    require(row, where, "instruction", "response1", "response2", *ANNOTATORS)
    given = row.get("input")
    query = row["instruction"] + (f"\n\n{given}" if isinstance(given, str) and given else "")
    if unknown := [row[name] for name in ANNOTATORS if not isinstance(row[name], int) or row[name] not in LABELS]:
        raise InputError(f"{where}: got the label {unknown[0]!r}; expected 0 (tie), 1 or 2")
    writers = str(row.get("cmp_key") or "").split("_")
    return make_item(
        where,
        id=str(row["idx"]),
        query=query,
        responses=[row["response1"], row["response2"]],
        labels=[LABELS[row[name]] for name in ANNOTATORS],
        subset=row.get("motivation_app"),
        writers=writers if len(writers) == 2 else None,
    )


def _judgment(row: Mapping[str, Any], name: str, where: str) -> Judgment:
    result = row[f"{name}{SUFFIX}"]
    scores = SCORES.get(str(result).lower())
    if scores is None and result is not None and str(result).lower() != "garbage":
        raise InputError(f"{where}: got the result {result!r}; expected 0, 1, 2, Tie, garbage or null")
    problem = unscored("no decision could be read") if scores is None else None
    return judged(0, (0, 1), scores, text=str(row.get(f"{name}_reason") or ""), problem=problem)
