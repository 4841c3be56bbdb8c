"""JudgeBench's outputs: each pair judged as it is and swapped, by a text judge's decision or a reward model's scores.

Judgment 0 is the pair as it is, judgment 1 the swapped one. A decision becomes the scores 1 and 0, or 0 and 0 for a
tie; a missing one is an invalid judgment.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from spct.bench.importers.recording import Recorded, RecordedRun, judged, unscored
from spct.bench.suites.assembly import data_files, require
from spct.bench.suites.judgebench import CLAUDE, pair_item
from spct.errors import InputError
from spct.items import read_rows
from spct.types import Judgment, Usage

EXPECTED = "one JSONL file of JudgeBench's outputs: the pairs with judgments, each with a decision"
SHOWN = {"A>B": (1, 0), "B>A": (0, 1), "A=B": (0, 0), "B=A": (0, 0)}
"""Scores in shown order."""
ORDERS = ((0, 1), (1, 0))


def recorded(path: Path) -> RecordedRun:
    """Read one file of outputs. A pair judged once only (an order-independent judge) has one judgment."""
    files = data_files(path, EXPECTED)
    if len(files) > 1:
        raise InputError(f"{path}: got {len(files)} files; expected {EXPECTED}: name one of them")
    items, models = [], set()
    for where, row in read_rows(files[0]):
        require(row, where, "judgments")
        if not isinstance(row["judgments"], list) or not 1 <= len(row["judgments"]) <= 2:
            raise InputError(f"{where}: judgments must be a list of one or two, the pair as it is and swapped")
        judgments = tuple(_judgments(row["judgments"], where))
        items.append(Recorded(pair_item(row, where), judgments, Usage(requests=len(judgments))))
        models |= {_model(entry) for entry in row["judgments"]} - {None}
    judge = row.get("judge_name") if items else None
    writers = items[0].item.extra.get("writers") if items else None
    benchmark = "judgebench-claude" if writers and writers[0] == CLAUDE else "judgebench"
    model = ", ".join(sorted(map(str, models))) or "unknown"
    return RecordedRun(model, items, benchmark, source={"judge": judge} if judge else {})


def _model(entry: object) -> str | None:
    inner = entry.get("judgment") if isinstance(entry, Mapping) else None
    return inner.get("judge_model") if isinstance(inner, Mapping) else None


def _judgments(entries: list[Any], where: str) -> Iterator[Judgment]:
    for index, (entry, order) in enumerate(zip(entries, ORDERS, strict=False)):
        if entry is not None and not isinstance(entry, Mapping):
            raise InputError(f"{where}: got a judgment {str(entry)[:40]!r}; expected an object or null")
        inner = (entry or {}).get("judgment")
        text = inner.get("response") if isinstance(inner, Mapping) else inner
        shown = _shown(entry, inner, where)
        yield judged(
            index,
            order,
            None if shown is None else (shown[order[0]], shown[order[1]]),
            text=text if isinstance(text, str) else "",
            problem=unscored("no decision was recorded") if shown is None else None,
        )


def _shown(entry: Mapping[str, Any] | None, inner: object, where: str) -> tuple[float, float] | None:
    """The two scores in shown order: a reward model's own, else the decision's; None without a decision."""
    if isinstance(inner, Mapping) and inner.get("scores") is not None:
        scores = inner["scores"]
        if isinstance(scores, list):  # some reward models answer with a list of one number for each response
            scores = [s[0] if isinstance(s, list) and len(s) == 1 else s for s in scores]
        if not isinstance(scores, list) or len(scores) != 2 or not all(isinstance(s, (int, float)) for s in scores):
            raise InputError(f"{where}: got the scores {str(scores)[:40]}; expected two numbers")
        return scores[0], scores[1]
    decision = (entry or {}).get("decision")
    if decision is not None and decision not in SHOWN:
        raise InputError(f"{where}: got the decision {decision!r}; expected {', '.join(SHOWN)} or null")
    return None if decision is None else SHOWN[decision]
