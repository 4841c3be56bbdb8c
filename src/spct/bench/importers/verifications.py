"""Verifications as an array: problems x solutions x verifications, of which the j-th of every solution are judgment j.

JSONL has a row per problem; npz has a three-dimensional array, NaN where there is no score, and a two-dimensional one of
which solutions are right.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

from spct.bench.importers.recording import Recorded, RecordedRun, checked_score, scored_apart, unscored
from spct.bench.suites.assembly import make_item, require
from spct.errors import InputError
from spct.items import read_rows
from spct.types import Judgment, Usage

EXPECTED = (
    "a JSONL file of rows with verifications (a list for each solution) and correct (0 or 1 for each), or an npz file with "
    "an array problems x solutions x verifications"
)
ABSENT = "Problem {id}: the recording holds scores only, no text."


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem: its row's place, what verifies each solution, which are right, and the texts if they are there."""

    where: str
    id: str
    scores_NK: Sequence[Any]
    correct_N: Sequence[Any] | None
    query: str | None = None
    solutions: Sequence[str] | None = None
    subset: str | None = None


def recorded(
    path: Path, *, model: str = "unknown", verifications: str = "verifications", correct: str = "correct"
) -> RecordedRun:
    """Read a JSONL or an npz file. ``verifications`` and ``correct`` name the keys or arrays, ``model`` who verified.

    ``correct`` may be absent: no truth is then known.
    """
    if not path.is_file():
        raise InputError(f"{path}: there is no such file; expected {EXPECTED}")
    problems = _arrays(path, verifications, correct) if path.suffix == ".npz" else _rows(path, verifications, correct)
    return RecordedRun(model, [_recorded(problem) for problem in problems], temperature=1.0)


def _rows(path: Path, verifications: str, correct: str) -> Iterator[Problem]:
    for place, (where, row) in enumerate(read_rows(path)):
        require(row, where, verifications)
        yield Problem(
            where,
            str(row.get("id", place)),
            row[verifications],
            row.get(correct),
            row.get("problem"),
            row.get("solutions"),
            row.get("subset"),
        )


def _arrays(path: Path, verifications: str, correct: str) -> Iterator[Problem]:
    try:
        import numpy as np
    except ModuleNotFoundError:
        raise InputError(f"{path}: an npz file is read with numpy: pip install 'spct[bench]'") from None
    try:
        with np.load(path, allow_pickle=False) as found:
            arrays = {name: found[name] for name in found.files}
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as npz ({error}); expected {EXPECTED}") from error
    shapes = ", ".join(f"{name} {array.shape}" for name, array in arrays.items()) or "no arrays"
    scores = arrays.get(verifications)
    if scores is None or scores.ndim != 3 or scores.dtype.kind not in "biuf":
        raise InputError(
            f"{path}: got {shapes}; expected {verifications}, numbers of problems x solutions x verifications"
        )
    right = arrays.get(correct)
    if right is not None and right.shape != scores.shape[:2]:
        raise InputError(f"{path}: got {shapes}; expected {correct} of problems x solutions")
    ids = arrays.get("ids")
    if ids is not None and ids.shape != scores.shape[:1]:
        raise InputError(f"{path}: got {shapes}; expected one of ids for each problem")
    for place in range(len(scores)):
        name = str(place if ids is None else ids[place])
        yield Problem(
            f"{path}, problem {place}", name, scores[place].tolist(), None if right is None else right[place].tolist()
        )


def _recorded(problem: Problem) -> Recorded:
    scores_NK, n = problem.scores_NK, len(problem.scores_NK)  # noqa: N806
    if not n or not all(isinstance(scores, list) for scores in scores_NK):
        raise InputError(f"{problem.where}: verifications must be a list with a list of scores for each solution")
    correct_N = problem.correct_N  # noqa: N806
    if correct_N is not None and (not isinstance(correct_N, list) or len(correct_N) != n):
        raise InputError(f"{problem.where}: correct must be a list of {n}, one for each solution")
    if problem.solutions is not None and len(problem.solutions) != n:
        raise InputError(f"{problem.where}: got {len(problem.solutions)} solutions and verifications of {n}")
    rewards = None if correct_N is None else [_reward(value, problem.where) for value in correct_N]
    item = make_item(
        problem.where,
        id=problem.id,
        query=problem.query or ABSENT.format(id=problem.id),
        responses=problem.solutions or [""] * n,
        rewards=rewards,
        subset=problem.subset,
        text_absent=None if problem.solutions else True,
    )
    judgments = tuple(_judgments(scores_NK, problem.where))
    return Recorded(item, judgments, Usage(requests=sum(len(scores) for scores in scores_NK)))


def _judgments(scores_NK: Sequence[Any], where: str) -> Iterator[Judgment]:  # noqa: N803
    for index, scores_N in enumerate(zip_longest(*scores_NK)):  # noqa: N806
        checked = [checked_score(score, where) for score in scores_N]
        yield from scored_apart(index, checked, range(len(checked)), lambda _: unscored("no score was recorded"))


def _reward(value: object, where: str) -> float:
    reward = checked_score(value, where)
    if reward is None:
        raise InputError(f"{where}: correct holds {value!r}; expected 0 or 1 for each solution, or leave it out")
    return reward
