"""LLMBar's evaluator outputs: ``result.json`` of one evaluator, every pair as it is and swapped.

Judgment 0 is the pair as it is, judgment 1 the swapped one. A comparing evaluator's winner becomes the scores 1 and
0. A rating evaluator scored each output once; both judgments then carry those scores, from which upstream derived
both winners. Where a rating was not a number upstream let the output shown first win both times, which is repeated
here as a decision.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from spct.bench.importers.recording import Recorded, RecordedRun, judged, unscored
from spct.bench.suites.assembly import data_files, require
from spct.bench.suites.llmbar import PAIRS, PROCESSED, pair_item, subset_of
from spct.errors import InputError
from spct.items import read_rows
from spct.types import Judgment, Usage

EXPECTED = "result.json files of one evaluator: LLMBar's rows with results"
SWAPS = (("swap = False", (0, 1)), ("swap = True", (1, 0)))
DECISIONS = {"1": (1, 0), "2": (0, 1)}


def recorded(path: Path, *, evaluator: str | None = None) -> RecordedRun:
    """Read one evaluator's results, of one subset or of all below ``path``.

    ``evaluator`` names it as upstream does ("GPT-4/Vanilla"); it may be left out where there is only one.
    """
    found = [file for file in data_files(path, EXPECTED) if file.name.startswith("result.json")]
    by_name: dict[str, list[Path]] = {}
    for file in found:
        by_name.setdefault("/".join(file.parts[-3:-1]), []).append(file)
    name = evaluator or (next(iter(by_name)) if len(by_name) == 1 else "")
    if name not in by_name:
        raise InputError(f"{path}: got evaluator={evaluator!r}; expected one of {', '.join(by_name) or EXPECTED}")
    items = [item for file in by_name[name] for item in _of_file(file)]
    processed = bool(items) and items[0].item.extra["subset"] in PROCESSED
    return RecordedRun(name, items, "llmbar-processed" if processed else "llmbar", source={"evaluator": name})


def _of_file(file: Path) -> Iterator[Recorded]:
    if not (subset := subset_of(file)):
        raise InputError(f"{file}: got no folder {', '.join([*PAIRS, *PROCESSED])} above; expected {EXPECTED}")
    for place, (where, row) in enumerate(read_rows(file)):
        require(row, where, "results")
        result = row["results"][-1] if isinstance(row["results"], list) and row["results"] else None
        if not isinstance(result, Mapping) or not all(isinstance(result.get(key), Mapping) for key, _ in SWAPS):
            raise InputError(f"{where}: the last of results must hold {' and '.join(key for key, _ in SWAPS)}")
        judgments = tuple(_judgments(result, where))
        yield Recorded(pair_item(row, where, subset, place), judgments, Usage(requests=2))


def _judgments(result: Mapping[str, Any], where: str) -> Iterator[Judgment]:
    ratings = _ratings(result)
    for index, (key, order) in enumerate(SWAPS):
        winner = result[key].get("winner")
        if winner is not None and winner not in DECISIONS:
            raise InputError(f"{where}: got the winner {winner!r}; expected '1', '2' or null")
        scores = None if winner is None else DECISIONS[winner]
        if ratings is not None and winner == _winner(ratings, index == 1):
            scores = ratings
        problem = unscored("no winner was recorded") if scores is None else None
        yield judged(index, order, scores, text=_text(result, key), problem=problem)


def _ratings(result: Mapping[str, Any]) -> tuple[int, int] | None:
    try:
        return int(result["score_1"][0]), int(result["score_2"][0])
    except (KeyError, IndexError, TypeError, ValueError):
        return None


def _winner(ratings: tuple[int, int], swapped: bool) -> str:
    """Upstream's: the higher one, on a tie the output shown second."""
    return "1" if ratings[0] > ratings[1] or (ratings[0] == ratings[1] and swapped) else "2"


def _text(result: Mapping[str, Any], key: str) -> str:
    completion = result[key].get("completion")
    if isinstance(completion, list) and completion:
        return str(completion[0])
    parts = [
        result[score][0] for score in ("score_1", "score_2") if isinstance(result.get(score), list) and result[score]
    ]
    return "\n".join(map(str, parts))
