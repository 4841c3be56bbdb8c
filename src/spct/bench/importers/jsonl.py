"""The general form: one row per item, with the item's own keys and ``judgments``.

``{"prompt" | "messages", "responses", "best", ..., "judgments": [{"scores": [...], "order": [...], "text": "..."},
...]}``. ``scores`` follow the responses of the row; null is an invalid judgment, and null for one response says that
this one alone was not scored. ``order`` is the order they were shown in; left out, it is the row's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from spct.bench.importers.recording import Recorded, RecordedRun, judged, scored_apart, unscored
from spct.errors import InputError
from spct.items import parse_item, read_rows
from spct.items.ids import Ids
from spct.types import Judgment, Usage
from spct.voting.verdict import Rule

RULES: dict[str, Rule] = {"sum": "sum", "mean": "mean"}


def recorded(path: Path, *, model: str = "unknown", rule: str = "mean", benchmark: str | None = None) -> RecordedRun:
    """Read a JSONL, JSON array or Parquet file of such rows.

    ``model`` is noted in the run, ``rule`` is sum or mean, ``benchmark`` is the one whose items the rows are: their
    keys must then be those of its items, ``subset`` among them.
    """
    if rule not in RULES:
        raise InputError(f"rule {rule!r}: expected sum or mean")
    items: list[Recorded] = []
    ids = Ids()
    for where, row in read_rows(path):
        entries = row.get("judgments")
        if not isinstance(entries, list):
            raise InputError(f"{where}: got no list of judgments; expected {{scores, order, text}} for each judgment")
        item = parse_item({k: v for k, v in row.items() if k != "judgments"}, where=where)
        item = ids.add(item, where, given=row.get("id") is not None)
        n = len(item.responses)
        judgments = [j for i, entry in enumerate(entries) for j in _judgments(entry, i, n, f"{where}: judgments[{i}]")]
        items.append(Recorded(item, tuple(judgments), Usage(requests=len(entries))))
    return RecordedRun(model, items, benchmark, rule=RULES[rule], temperature=1.0)


def _judgments(entry: Any, index: int, n: int, where: str) -> Iterator[Judgment]:
    if not isinstance(entry, Mapping):
        raise InputError(f"{where}: got {type(entry).__name__}; expected an object with scores")
    if "scores" not in entry and "error" not in entry:
        raise InputError(
            f"{where}: got {', '.join(map(str, entry)) or 'no keys'}; expected scores, or null under it for an invalid one"
        )
    order, scores, text = _order(entry, n, where), _scores(entry, n, where), str(entry.get("text") or "")
    reason = str(entry.get("error") or "no scores were recorded")
    if scores is None:
        yield judged(index, order, None, text=text, problem=unscored(reason))
        return
    yield from scored_apart(index, scores, order, lambda _: unscored(reason), text)


def _order(entry: Mapping[str, Any], n: int, where: str) -> list[int]:
    order = entry.get("order")
    if order is None:
        return list(range(n))
    if not isinstance(order, list) or sorted(map(str, order)) != sorted(map(str, range(n))):
        raise InputError(f"{where}: got the order {order}; expected each of 0 to {n - 1} once, in the order shown")
    return [int(i) for i in order]


def _scores(entry: Mapping[str, Any], n: int, where: str) -> list[float | None] | None:
    scores = entry.get("scores")
    if scores is None:
        return None
    if not isinstance(scores, list) or len(scores) != n:
        raise InputError(f"{where}: got the scores {str(scores)[:60]}; expected {n}, one per response, or null")
    for score in scores:
        if score is not None and (isinstance(score, bool) or not isinstance(score, (int, float))):
            raise InputError(f"{where}: got the score {score!r}; expected a number or null")
    return None if all(score is None for score in scores) else scores
