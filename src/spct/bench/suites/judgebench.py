"""JudgeBench (Tan et al., 2024): pairs of one model's responses, one of them objectively right, judged in both orders.

Each order is a game: +1 for the labelled response, -1 for the other, 0 for a tie or no answer. A pair is right only
if the sum is positive. The score is over all pairs alike; knowledge, reasoning, math and coding stand beside it. Of
several ballots in one order the game is their vote.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spct.bench.suites.assembly import assembled_items, data_files, lacks, make_item, mean, means_by, require
from spct.bench.suites.benchmark import About, Ballots, Graded, Loaded, Metrics, Unit
from spct.bench.suites.grading import games_of
from spct.errors import InputError
from spct.items import read_rows
from spct.types import Item
from spct.voting.vote import Means

GPT_4O, CLAUDE = "gpt-4o-2024-05-13", "claude-3-5-sonnet-20240620"
PAIRS = {
    GPT_4O: {"knowledge": 154, "reasoning": 98, "math": 56, "coding": 42},
    CLAUDE: {"knowledge": 154, "reasoning": 51, "math": 34, "coding": 31},
}
LABELS = ("A>B", "B>A")

ABOUT = About(
    title="JudgeBench",
    measures="the objectively right one of two responses by one model: knowledge, reasoning, math, coding",
    tie_rule="each order votes +1, -1 or 0; right only if the sum is positive",
    source="ScalerLab/JudgeBench, folder data",
    licence="none stated in the repository; MIT on the hub",
    hub=("ScalerLab/JudgeBench",),
)
EXPECTED = "JudgeBench's JSONL: pair_id, source, question, response_model, response_A, response_B, label"


@dataclass(frozen=True)
class JudgeBench:
    """The pairs written by ``response_model``; the published leaderboard is on GPT-4o's."""

    name: str = "judgebench"
    response_model: str = GPT_4O
    linear: bool = True
    about = ABOUT

    def load(self, path: Path) -> Loaded:
        """Read all files below ``path`` and keep the pairs by ``response_model``."""
        rows = list(_rows(path))
        kept = [(where, row) for where, row in rows if self._mine(row)]
        if not kept:
            models = sorted({str(row.get("response_model")) for _, row in rows})
            raise InputError(
                f"{path}: got pairs by {', '.join(models)}; {self.name} takes those by {self.response_model}"
            )
        others = len(rows) - len(kept)
        notes = [f"{others} pairs by another response model left out"] if others else []
        return self.assemble([pair_item(row, where) for where, row in kept], notes)

    def assemble(self, items: Iterable[Item], notes: Sequence[str] = ()) -> Loaded:
        return assembled_items(items, self.name, PAIRS[self.response_model], notes)

    def grade(self, unit: Unit, loaded: Loaded, ballots: Ballots) -> Graded:
        best = loaded.items[unit.id].best
        assert best is not None  # the loader sets it
        games = [game for game in games_of(ballots.get(unit.id, ())).values() if game is not None]
        if not games:
            return Graded("invalid", 0.0, 0.0, 0.0)
        return _of_sum(sum(vote_of(game, best) for game in games))

    def aggregate(self, credits: Mapping[Unit, float], graded: Mapping[Unit, Graded], loaded: Loaded) -> Metrics:
        figures = means_by(credits, lambda unit: unit.subset)
        parts = {name: figure for name, figure in figures.items() if not lacks(loaded, name)}
        partial = {name: figure for name, figure in figures.items() if lacks(loaded, name)}
        overall = mean(credits.values())
        if loaded.missing or len(parts) < len(PAIRS[self.response_model]):
            return Metrics(None, parts, partial | {"overall, pairs here": overall})
        return Metrics(overall, parts, partial)

    def _mine(self, row: Mapping[str, Any]) -> bool:
        return bool(row.get("response_model", self.response_model) == self.response_model)


def JudgeBenchClaude() -> JudgeBench:  # noqa: N802
    return JudgeBench(name="judgebench-claude", response_model=CLAUDE)


def vote_of(game: Means, best: int) -> int:
    """+1 for the labelled response above the other, -1 below, 0 level."""
    return (game[best] > game[1 - best]) - (game[best] < game[1 - best])


def _of_sum(total: int) -> Graded:
    if total == 0:
        return Graded("tied", 0.0, 0.0, 0.5)
    won = float(total > 0)
    return Graded("correct" if won else "wrong", won, won, won)


def pair_item(row: Mapping[str, Any], where: str) -> Item:
    """The item of one row, of the data or of a recorded output. Raises InputError."""
    require(row, where, "pair_id", "source", "question", "response_A", "response_B", "label")
    if row["label"] not in LABELS:
        raise InputError(f"{where}: got the label {row['label']!r}; expected {' or '.join(LABELS)}")
    return make_item(
        where,
        id=str(row["pair_id"]),
        query=row["question"],
        responses=[row["response_A"], row["response_B"]],
        best=LABELS.index(row["label"]),
        subset=category_of(str(row["source"]), where),
        source=row["source"],
        writers=[row["response_model"]] * 2 if row.get("response_model") else None,
    )


def category_of(source: str, where: str) -> str:
    """The category by the source data set: all of MMLU-Pro is knowledge, its mathematics too."""
    for prefix, category in (
        ("mmlu-pro", "knowledge"),
        ("livebench-reasoning", "reasoning"),
        ("livebench-math", "math"),
        ("livecodebench", "coding"),
    ):
        if source.startswith(prefix):
            return category
    raise InputError(f"{where}: got the source {source!r}; expected mmlu-pro-*, livebench-* or livecodebench")


def _rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    for file in data_files(path, EXPECTED):
        yield from read_rows(file)
