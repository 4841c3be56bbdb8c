"""LLMBar (Zeng et al., 2024): which of two outputs follows the instruction, judged in both orders.

A pair's credit is the mean over both orders, so a tie, which picks one place, is right in one order and wrong in the
other. The score is the plain mean of the subsets. ``statistics`` gives the figures that upstream writes beside every
evaluator. Of several ballots in one order the answer is their vote.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from spct.bench.suites.assembly import assembled_items, data_files, lacks, make_item, mean, means_by, require
from spct.bench.suites.benchmark import About, Ballots, Graded, Loaded, Metrics, Unit
from spct.bench.suites.grading import games_of
from spct.errors import InputError
from spct.items import read_rows
from spct.types import Item
from spct.voting.vote import Means

PAIRS = {"Natural": 100, "Neighbor": 134, "GPTInst": 92, "GPTOut": 47, "Manual": 46}
PROCESSED = {"FairEval": 66, "LLMEval^2": 200, "MT-Bench": 200}

ABOUT = About(
    title="LLMBar",
    measures="the output that follows the instruction, against one that only looks better",
    tie_rule="mean over both orders; a tie is right in one order and wrong in the other",
    source="princeton-nlp/LLMBar, folder Dataset",
    licence="MIT",
)
EXPECTED = "LLMBar's Dataset folder with dataset.json files: input, output_1, output_2, label"


@dataclass(frozen=True)
class LLMBar:
    """The five subsets of LLMBar itself, or those that its authors made of other benchmarks in the same format."""

    name: str = "llmbar"
    pairs: Mapping[str, int] = field(default_factory=lambda: PAIRS)
    linear: bool = True
    about = ABOUT

    def load(self, path: Path) -> Loaded:
        """Read every ``SUBSET/dataset.json`` below ``path``, or the one that ``path`` is."""
        files = [file for file in data_files(path, EXPECTED) if subset_of(file) in self.pairs]
        if not files:
            raise InputError(f"{path}: got no folder {', '.join(self.pairs)} with data in it; expected {EXPECTED}")
        files = [file for file in files if file.name.startswith("dataset.json")] or files
        return self.assemble(item for file in files for item in _items(file))

    def assemble(self, items: Iterable[Item], notes: Sequence[str] = ()) -> Loaded:
        return assembled_items(items, self.name, self.pairs, notes)

    def grade(self, unit: Unit, loaded: Loaded, ballots: Ballots) -> Graded:
        best = loaded.items[unit.id].best
        assert best is not None  # the loader sets it
        games = games_of(ballots.get(unit.id, ())).values()
        if all(game is None for game in games):
            return Graded("invalid", 0.0, 0.0, 0.0)
        credit = mean(0.0 if game is None else _credit(game, best) for game in games)
        strict = float(credit == 1.0)
        return Graded("correct" if strict else "tied" if credit else "wrong", credit, strict, credit)

    def aggregate(self, credits: Mapping[Unit, float], graded: Mapping[Unit, Graded], loaded: Loaded) -> Metrics:
        figures = means_by(credits, lambda unit: unit.subset)
        parts = {name: figures[name] for name in self.pairs if name in figures and not lacks(loaded, name)}
        partial = {name: figures[name] for name in self.pairs if name in figures and lacks(loaded, name)}
        if len(parts) < len(self.pairs):
            return Metrics(None, parts, partial | {"overall, subsets here": mean(figures.values())})
        headline = mean(parts.values())
        if adversarial := [figure for name, figure in parts.items() if name in PAIRS and name != "Natural"]:
            parts["Adversarial"] = mean(adversarial)
        return Metrics(headline, parts, partial)


def LLMBarProcessed() -> LLMBar:  # noqa: N802
    return LLMBar(name="llmbar-processed", pairs=PROCESSED)


def statistics(loaded: Loaded, ballots: Ballots) -> dict[str, float]:
    """What upstream's ``statistics.json`` says of one evaluator on one subset, as fractions (upstream: percentages).

    "False" is the pair as it is, "True" the swapped one. A tie picks the output shown second, no answer is wrong. The
    kappas are upstream's to the letter, which tells output 1 from everything else, and so compare {1, 0} with {1, 2}.
    Raises InputError unless every pair was judged in both orders.
    """
    labels: list[int] = []
    picks: dict[bool, list[int | None]] = {False: [], True: []}
    for unit in loaded.units:
        games = games_of(ballots.get(unit.id, ()))
        if set(games) != {False, True}:
            raise InputError(f"item {unit.id!r}: got {len(games)} orders; expected ballots in both")
        labels.append((loaded.items[unit.id].best or 0) + 1)
        for swapped, game in games.items():
            picks[swapped].append(None if game is None else _pick(game, swapped))
    right = {swapped: [pick == label for pick, label in zip(p, labels, strict=True)] for swapped, p in picks.items()}
    ones = {swapped: [1 if pick == 1 else 0 for pick in p] for swapped, p in picks.items()}
    kappas = {swapped: cohen_kappa(ones[swapped], labels) for swapped in (False, True)}
    return {
        "correct_False": mean(right[False]),
        "correct_True": mean(right[True]),
        "correct_average": (sum(right[False]) + sum(right[True])) / 2 / len(labels),
        "correct_both": mean(a and b for a, b in zip(right[False], right[True], strict=True)),
        "equal": mean(a == b for a, b in zip(picks[False], picks[True], strict=True)),
        "kappa_False": kappas[False],
        "kappa_True": kappas[True],
        "kappa_average": (kappas[False] + kappas[True]) / 2,
        "kappa_agreement": cohen_kappa(ones[False], ones[True]),
    }


def cohen_kappa(left: Sequence[int], right: Sequence[int]) -> float:
    """Agreement of two raters beyond chance; NaN where chance alone makes them agree always."""
    n = len(left)
    counts = Counter(left), Counter(right)
    by_chance = sum(counts[0][label] * counts[1][label] for label in {*left, *right}) / (n * n)
    agreed = sum(a == b for a, b in zip(left, right, strict=True)) / n
    return (agreed - by_chance) / (1 - by_chance) if by_chance < 1 else float("nan")


def _credit(game: Means, best: int) -> float:
    return 1.0 if game[best] > game[1 - best] else 0.5 if game[best] == game[1 - best] else 0.0


def _pick(game: Means, swapped: bool) -> int:
    """Output 1 or 2; on a tie the one shown second."""
    first, second = game
    return 1 if first > second or (first == second and swapped) else 2


def subset_of(file: Path) -> str:
    """The name of the nearest folder that is a subset, "" if none is."""
    known = PAIRS.keys() | PROCESSED.keys()
    return next((part for part in reversed(file.parts) if part in known), "")


def pair_item(row: Mapping[str, Any], where: str, subset: str, place: int) -> Item:
    """The item of the row at ``place`` of its subset, in the data or in an evaluator's result. Raises InputError."""
    require(row, where, "input", "output_1", "output_2", "label")
    if row["label"] not in (1, 2):
        raise InputError(f"{where}: got the label {row['label']!r}; expected 1 or 2")
    return make_item(
        where,
        id=f"{subset}/{place}",
        query=row["input"],
        responses=[row["output_1"], row["output_2"]],
        best=row["label"] - 1,
        subset=subset,
    )


def _items(file: Path) -> list[Item]:
    return [pair_item(row, where, subset_of(file), place) for place, (where, row) in enumerate(read_rows(file))]
