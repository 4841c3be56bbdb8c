"""RewardMATH's results: per problem the scores of one right solution and nine wrong ones, or nine comparisons.

Scores of single responses make one item a problem, comparisons one pair each, on the same prompt. The files hold no text
of the solutions. Upstream wrote the score 1 where it could not read one; that cannot be told from a given 1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from math import fsum, prod
from pathlib import Path
from typing import Any

from spct.bench.importers.recording import Recorded, RecordedRun, checked_score, judged, scored_apart, unscored
from spct.bench.suites.assembly import data_files, make_item, require
from spct.errors import InputError
from spct.items import read_rows
from spct.types import Usage

EXPECTED = "one file of RewardMATH's results: rows with problem, solution_reference and score"
RIGHT = "human_to_GPT-4"
"""Upstream's name of the right solution's source; all others are wrong."""
STEPS: dict[str, Callable[[Sequence[float]], float]] = {
    "min": min,
    "max": max,
    "prod": prod,
    "mean": lambda scores: fsum(scores) / len(scores),
    "geometric_mean": lambda scores: prod(scores) ** (1 / len(scores)),
    "last": lambda scores: scores[-1],
}
"""How the scores of a solution's steps become one: those of upstream that are plain arithmetic on them."""


def recorded(path: Path, *, model: str | None = None, steps: str | None = None) -> RecordedRun:
    """Read one judge's results. ``steps`` combines the scores of a process reward model's steps, as ``STEPS`` has them.

    ``model`` is noted in the run; left out, it is the file's name.
    """
    files = data_files(path, EXPECTED)
    if len(files) > 1:
        raise InputError(f"{path}: got {len(files)} files; expected {EXPECTED}: name one of them")
    if steps is not None and steps not in STEPS:
        raise InputError(f"steps={steps}: expected one of {', '.join(STEPS)}")
    items: list[Recorded] = []
    for place, (where, row) in enumerate(read_rows(files[0])):
        require(row, where, "problem", "solution_reference", "score")
        names, scores = row["solution_reference"], row["score"]
        if not isinstance(names, list) or not isinstance(scores, list) or len(names) != len(scores):
            raise InputError(f"{where}: solution_reference and score must be lists of one length")
        if row.get("chosen_position") is not None:
            items += _comparisons(row, where, place)
        else:
            items.append(_scored(row, where, place, steps))
    name = model or files[0].name.partition(".")[0].removesuffix("_reward")
    return RecordedRun(name, items, source={"steps": steps} if steps else {})


def _scored(row: Mapping[str, Any], where: str, place: int, steps: str | None) -> Recorded:
    names = row["solution_reference"]
    if names.count(RIGHT) != 1:
        raise InputError(f"{where}: got {names.count(RIGHT)} solutions by {RIGHT}; expected one, the right one")
    scores_N = [_score(score, where, steps) for score in row["score"]]  # noqa: N806
    item = make_item(where, id=str(place), query=row["problem"], responses=[""] * len(names), best=names.index(RIGHT),
                     writers=names, text_absent=True)  # fmt: skip
    judgments = scored_apart(0, scores_N, range(len(names)), lambda _: unscored("no score was recorded"))
    return Recorded(item, tuple(judgments), Usage(requests=len(names)))


def _score(score: object, where: str, steps: str | None) -> float | None:
    if not isinstance(score, list):
        return checked_score(score, where)
    if steps is None:
        raise InputError(f"{where}: got a score for each step; expected steps= with one of {', '.join(STEPS)}")
    numbers = [checked_score(step, where) for step in score]
    known = [number for number in numbers if number is not None]
    return STEPS[steps](known) if known and len(known) == len(numbers) else None


def _comparisons(row: Mapping[str, Any], where: str, place: int) -> Iterator[Recorded]:
    """The right solution against each wrong one; a letter says where it was shown, another which was preferred."""
    positions = row["chosen_position"]
    if not isinstance(positions, list) or len(positions) != len(row["score"]) or not {*positions} <= {"A", "B"}:
        raise InputError(f"{where}: chosen_position must be a list with A or B for each score")
    for i, (writer, score, position) in enumerate(zip(row["solution_reference"], row["score"], positions, strict=True)):
        if score not in ("A", "B", None):
            raise InputError(f"{where}: got the score {score!r}; expected A, B or null in a file with chosen_position")
        item = make_item(where, id=f"{place}/{i}", query=row["problem"], responses=["", ""], best=0,
                         writers=[RIGHT, writer], text_absent=True)  # fmt: skip
        scores = None if score is None else (1, 0) if score == position else (0, 1)
        problem = unscored("no preference was recorded") if scores is None else None
        order = (0, 1) if position == "A" else (1, 0)
        yield Recorded(item, (judged(0, order, scores, problem=problem),), Usage(requests=1))
