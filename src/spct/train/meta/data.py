"""Which judgments a meta RM learns and which are held out, and both as token rows in the form it reads when it rates.

The split is by query: all judgments of a query, in whichever run and of whichever responses, are on one side. Failure
rule: nothing labelled, or one class only, is a TrainingError; a judgment that does not fit the context an InputError,
unless such are dropped.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import pyarrow as pa

from spct.classifiers.torch_model import chat_ids
from spct.errors import InputError, RejectedError, TrainingError
from spct.items import fingerprint
from spct.meta.prompt import turns_of
from spct.templates import Template
from spct.train.common.binary import SCHEMA as LABELLED
from spct.train.common.models import Trainable
from spct.train.meta.recipe import MetaRecipe
from spct.train.meta.runs import FATES, JudgedRun, Labelled
from spct.voting.orders import keyed_hash

SCHEMA = pa.schema([*LABELLED, ("run", pa.int32()), ("position", pa.int32()), ("index", pa.int32())])


@dataclass(frozen=True, slots=True)
class MetaSplit:
    """The runs, of which the first ``train_runs`` are learned from, and the clusters ``heldout``, which are not.

    Held-out judgments are those of the other runs, and where there are none, of these clusters. ``digest`` is of everything
    that is learned or held out. ``counts`` are by run.
    """

    runs: Sequence[JudgedRun]
    train_runs: int
    heldout: frozenset[str]
    digest: str
    counts: Mapping[str, Mapping[str, int]]

    def part(self, name: str) -> Generator[tuple[int, Labelled], None, None]:
        """The judgments of "train" or "heldout", each with the place of its run."""
        for place, run in enumerate(self.runs):
            for one in run.labelled():
                if name == self._side(place, one):
                    yield place, one

    def _side(self, place: int, one: Labelled) -> str | None:
        if place >= self.train_runs:
            return "heldout"
        if one.cluster not in self.heldout:
            return "train"
        return None if self.train_runs < len(self.runs) else "heldout"


def split_runs(recipe: MetaRecipe, runs: Sequence[JudgedRun]) -> MetaSplit:
    """Split the judgments of ``runs``, which are those of the recipe's runs and held-out runs, in that order.

    Raises TrainingError if there is nothing to learn, or no wrong or no right judgment on one of the sides.
    """
    train_runs = len(recipe.runs)
    clusters: dict[str, None] = {}
    counts: dict[str, dict[str, int]] = {}
    digest = hashlib.blake2b(digest_size=32)
    for place, run in enumerate(runs):
        counted: Counter[str] = Counter()
        for one in run.labelled(counted):
            if place >= train_runs or not recipe.heldout_runs:
                clusters[one.cluster] = None
            said = (place, one.cluster, fingerprint(one.item), one.judgment.order, one.judgment.text)
            digest.update(repr((*said, one.correct)).encode())
        counts[run.name] = {fate: counted[fate] for fate in FATES}
    chosen = clusters if recipe.heldout_runs else _drawn(list(clusters), recipe.heldout, recipe.seed)
    split = MetaSplit(runs, train_runs, frozenset(chosen), digest.hexdigest(), counts)
    _check_classes(split)
    return split


def write_part(
    split: MetaSplit, name: str, recipe: MetaRecipe, trainable: Trainable, prompt: Template | None
) -> tuple[Iterator[Mapping[str, Any]], Callable[[], dict[str, int]]]:
    """The token rows of one side, read under ``prompt``, and their counts once they have been read. Raises InputError."""
    counts: Counter[str] = Counter()

    def rows() -> Iterator[Mapping[str, Any]]:
        clusters = set()
        with contextlib.closing(split.part(name)) as judgments:  # before the runs are, whatever is raised here
            for (place, _), group in groupby(judgments, key=lambda pair: (pair[0], pair[1].position)):
                labelled = [one for _, one in group]
                for one, ids in zip(labelled, _encoded(split.runs[place], labelled, trainable, prompt), strict=True):
                    if not _fits(one, len(ids), recipe, trainable.context_tokens):
                        counts["too_long"] += 1
                        continue
                    clusters.add(one.cluster)
                    counts.update(judgments=1, correct=int(one.correct), tokens=len(ids))
                    counts["longest"] = max(counts["longest"], len(ids))
                    where = {"run": place, "position": one.position, "index": one.judgment.index}
                    yield {"input_ids": ids, "label": float(one.correct), **where}
        counts["queries"] = len(clusters)
        if not 0 < counts["correct"] < counts["judgments"]:
            raise TrainingError(_one_class(name, counts["correct"], counts["judgments"], counts["too_long"]))

    names = ("judgments", "correct", "queries", "tokens", "longest", "too_long")
    return rows(), lambda: {key: counts[key] for key in names}


def _encoded(
    run: JudgedRun, labelled: Sequence[Labelled], trainable: Trainable, prompt: Template | None
) -> list[list[int]]:
    item, special = labelled[0].item, trainable.encoder.control_tokens
    cases = run.cases(item, [one.judgment for one in labelled], special)
    try:
        return [chat_ids(trainable.tokenizer, turns_of(case, prompt, special), trainable.name) for case in cases]
    except RejectedError as error:
        raise InputError(f"{run.name}: {error}; train another base model") from error


def _fits(one: Labelled, tokens: int, recipe: MetaRecipe, context: int) -> bool:
    if tokens > context and recipe.on_long == "stop":
        raise InputError(
            f"item {one.item.id!r}: prompt and judgment have {tokens:,} tokens, and the context is {context:,}; raise "
            "max_tokens if the model can, or leave such judgments out with on_long: drop"
        )
    return tokens <= context


def _drawn(clusters: list[str], share: float, seed: int) -> list[str]:
    """A share of the queries, at least one of them, whichever order they come in."""
    by_lot = sorted(clusters, key=lambda cluster: keyed_hash(seed, "heldout", cluster))
    return by_lot[: max(1, round(share * len(clusters)))] if clusters else []


def _check_classes(split: MetaSplit) -> None:
    if not sum(row["correct"] + row["incorrect"] for row in split.counts.values()):
        lines = "; ".join(f"{name}: {_counted(row)}" for name, row in split.counts.items())
        raise TrainingError(
            f"no labelled judgment to learn from ({lines}); give runs over items with best, rewards or a label"
        )
    for name in ("train", "heldout"):
        labels = [one.correct for _, one in split.part(name)]
        if not 0 < sum(labels) < len(labels):
            raise TrainingError(_one_class(name, sum(labels), len(labels), 0))


def _one_class(name: str, correct: int, count: int, too_long: int) -> str:
    what = {"train": "to learn from", "heldout": "held out"}[name]
    left = f", {too_long:,} more are too long" if too_long else ""
    return (
        f"of {count:,} judgments {what} {correct:,} are correct{left}; expected some of each kind: give more runs, a larger "
        "heldout, or heldout_runs"
    )


def _counted(row: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {fate}" for fate, count in row.items() if count) or "no judgment"
