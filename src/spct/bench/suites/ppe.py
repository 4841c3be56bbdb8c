"""PPE, Preference Proxy Evaluations (Frick et al., 2024): human votes, and pairs of a right and a wrong answer.

Preference: pairs from an arena; votes for a tie say nothing about an order and are left out. Correctness: five
verifiable benchmarks with 32 answers of one model to each question, of which upstream names pairs that conflict; the
score is the plain mean of the five accuracies over those pairs. What a judge's tie earns is left to the scorer: here
half, what a shuffle before the argmax earns on average.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spct.bench.suites.assembly import assembled_items, data_files, lacks, make_item, mean, means_by, numbered, require
from spct.bench.suites.benchmark import About, Ballots, Graded, Loaded, Metrics, Unit
from spct.bench.suites.grading import graded_best, means_of
from spct.errors import InputError
from spct.items import read_rows
from spct.types import Item

WINNERS = {"model_a": 0, "model_b": 1}
TIES = ("tie", "tie (bothbad)", "both_bad", "bothbad")
FLAGS = ("is_code", "is_refusal", "hard_prompt", "easy_prompt", "if_prompt", "math_prompt")
CORRECTNESS = {"mmlu": "MMLU-Pro", "gpqa": "GPQA", "mbpp": "MBPP+", "ifeval": "IFEval", "math": "MATH"}
"""The five sets by what their files' names contain; "math" last, since it is the least telling."""

TIE_RULE = "half for a tie (upstream leaves it open); nothing for no answer"
PREFERENCE_EXPECTED = "PPE-Human-Preference-V1 as Parquet or JSONL: prompt, response_1, response_2, winner"
CORRECTNESS_EXPECTED = "PPE's five Best-of-K sets: prompt, response_1 .. response_32, scores, sampled_conflict_pairs"


class _Pairs:
    """What both halves share: items are pairs, and a tie earns half."""

    name: str
    expected_rows: Mapping[str, int]
    linear: bool = True

    def assemble(self, items: Iterable[Item], notes: Sequence[str] = ()) -> Loaded:
        return assembled_items(items, self.name, self.expected_rows, notes)

    def grade(self, unit: Unit, loaded: Loaded, ballots: Ballots) -> Graded:
        best = loaded.items[unit.id].best
        assert best is not None  # the loader sets it
        return graded_best(means_of(ballots.get(unit.id, ())), best, tie=0.5)


@dataclass(frozen=True)
class PPEPreference(_Pairs):
    """16,038 votes of people, ties among them. Figures by language and by kind of prompt stand beside the score."""

    name: str = "ppe-preference"
    expected_rows = {"preference": 0}  # noqa: RUF012 (read only, the same for all)
    about = About(
        title="PPE preference",
        measures="the response that people preferred, in pairs from an arena",
        tie_rule=TIE_RULE,
        source="lmarena-ai/PPE-Human-Preference-V1",
        licence="see the data set's card",
        hub=("lmarena-ai/PPE-Human-Preference-V1",),
    )

    def load(self, path: Path) -> Loaded:
        rows = [found for file in data_files(path, PREFERENCE_EXPECTED) for found in read_rows(file)]
        kept = [(where, row) for where, row in rows if _winner(row, where) is not None]
        ties = len(rows) - len(kept)
        notes = [f"{ties} votes for a tie left out"] if ties else []
        return self.assemble(numbered(_preference_item(row, where) for where, row in kept), notes)

    def aggregate(self, credits: Mapping[Unit, float], graded: Mapping[Unit, Graded], loaded: Loaded) -> Metrics:
        def extra(unit: Unit) -> Mapping[str, Any]:
            return loaded.items[unit.items[0]].extra

        parts = means_by(credits, lambda unit: f"language/{extra(unit).get('language', 'unknown')}")
        for flag in FLAGS:
            if chosen := [credit for unit, credit in credits.items() if extra(unit).get(flag) is True]:
                parts[flag] = mean(chosen)
        return Metrics(mean(credits.values()), parts)


@dataclass(frozen=True)
class PPECorrectness(_Pairs):
    """Pairs of a right and a wrong answer of one model to one question."""

    name: str = "ppe-correctness"
    expected_rows = dict.fromkeys(CORRECTNESS.values(), 0)
    about = About(
        title="PPE correctness",
        measures="the right one of two answers: MMLU-Pro, MATH, GPQA, MBPP+, IFEval",
        tie_rule=TIE_RULE,
        source="lmarena-ai/PPE-*-Best-of-K",
        licence="see the data sets' cards",
        hub=tuple(f"lmarena-ai/PPE-{name}-Best-of-K" for name in ("MMLU-Pro", "MATH", "GPQA", "MBPP-Plus", "IFEval")),
    )

    def load(self, path: Path) -> Loaded:
        files = data_files(path, CORRECTNESS_EXPECTED)
        return self.assemble(numbered(item for file in files for item in _correctness_items(file, path)))

    def aggregate(self, credits: Mapping[Unit, float], graded: Mapping[Unit, Graded], loaded: Loaded) -> Metrics:
        figures = means_by(credits, lambda unit: unit.subset)
        parts = {name: figures[name] for name in CORRECTNESS.values() if name in figures and not lacks(loaded, name)}
        if len(parts) < len(CORRECTNESS):
            return Metrics(None, parts, {"overall, sets here": mean(figures.values())})
        return Metrics(mean(parts.values()), parts)


def _winner(row: Mapping[str, Any], where: str) -> int | None:
    """The index of the preferred response, None for a tie."""
    winner = row.get("winner")
    if winner in WINNERS:
        return WINNERS[winner]
    if winner in TIES:
        return None
    raise InputError(f"{where}: got the winner {winner!r}; expected model_a, model_b or a tie")


def _preference_item(row: Mapping[str, Any], where: str) -> Item:
    require(row, where, "prompt", "response_1", "response_2")
    flags: dict[str, Any] = {flag: bool(row[flag]) for flag in FLAGS if row.get(flag) is not None}
    return make_item(
        where,
        id=str(row.get("question_id") or where.rpartition(" ")[2]),
        query=row["prompt"],
        responses=[row["response_1"], row["response_2"]],
        best=_winner(row, where),
        subset="preference",
        language=row.get("language"),
        domain=row.get("language"),
        writers=[row.get("model_a"), row.get("model_b")] if row.get("model_a") else None,
        **flags,
    )


def _correctness_items(file: Path, root: Path) -> Iterator[Item]:
    for where, row in read_rows(file):
        subset = _set_of(row, file, root, where)
        require(row, where, "prompt", "scores", "sampled_conflict_pairs")
        if not isinstance(row["scores"], list) or not isinstance(row["sampled_conflict_pairs"], list):
            raise InputError(f"{where}: scores and sampled_conflict_pairs must be lists")
        question = row.get("question_id", row.get("id", where.rpartition(" ")[2]))
        for place, pair in enumerate(row["sampled_conflict_pairs"]):
            yield _conflict(row, where, subset, f"{subset}/{question}/{place}", pair)


def _conflict(row: Mapping[str, Any], where: str, subset: str, id: str, pair: Any) -> Item:
    scores = row["scores"]
    if not isinstance(pair, list) or len(pair) != 2 or not all(isinstance(i, int) for i in pair):
        raise InputError(f"{where}: got the conflict pair {pair!r}; expected two indices of responses")
    if not all(0 <= i < len(scores) for i in pair) or bool(scores[pair[0]]) == bool(scores[pair[1]]):
        raise InputError(f"{where}: got the conflict pair {pair}; expected one right and one wrong response of the row")
    require(row, where, *(f"response_{i + 1}" for i in pair))
    return make_item(
        where,
        id=id,
        query=row["prompt"],
        responses=[row[f"response_{i + 1}"] for i in pair],
        best=0 if scores[pair[0]] else 1,
        subset=subset,
        domain=row.get("category"),
        writers=[row["model_name"]] * 2 if row.get("model_name") else None,
    )


def _set_of(row: Mapping[str, Any], file: Path, root: Path, where: str) -> str:
    """Which of the five sets a row is of: by its own word if it has one, else by the names of file and folders."""
    folders = [root.name, *file.relative_to(root).parts] if root.is_dir() else file.parts[-3:]
    names = (str(row.get("benchmark") or ""), *reversed(folders))
    for name in names:
        squeezed = re.sub("[^a-z0-9]", "", name.lower())
        for mark, subset in CORRECTNESS.items():
            if mark in squeezed:
                return subset
    raise InputError(
        f"{where}: cannot tell which set it is of; expected MMLU-Pro, MATH, GPQA, MBPP-Plus or IFEval in a file name"
    )
