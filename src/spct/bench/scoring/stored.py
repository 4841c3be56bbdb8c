"""A run directory as answers to a benchmark: its items, its ballots, what they cost. Live and imported runs alike."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from spct.bench.scoring.ballots import ScoreKind, ballots_of, missing_share, unread_of
from spct.bench.selection import PartOf, selected
from spct.bench.suites import load_benchmark
from spct.bench.suites.benchmark import Ballots, Benchmark, Loaded
from spct.errors import InputError
from spct.items import fingerprint
from spct.run import RunStore
from spct.run.damage import as_damage
from spct.run.stored import stored_scale, stored_settings
from spct.types import Item, Usage
from spct.voting.guided import sample_ratings
from spct.voting.ratings import Place
from spct.voting.rows import missing_of

IMPORTED = {"rewardbench2-k8": "rewardbench2", "judgebench": "judgebench", "llmbar": "llmbar"}
"""The benchmark that a recording of a kind is of, where nobody says otherwise."""


@dataclass(frozen=True, slots=True)
class Spent:
    """What a run cost: tokens, seconds of judging (None where nobody measured), completions and the invalid ones."""

    usage: Usage
    seconds: float | None
    completions: int
    invalid: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StoredBench:
    """A run's finished items as a benchmark's data, with the ballots on them. ``unfinished`` items are left out.

    ``ratings`` are those of the meta RM ``meta``, by item and sample. ``scale`` is that of the scores, None if unknown.
    ``unread`` is as ``unread_of`` gives it.
    """

    label: str
    settings: Mapping[str, Any]
    benchmark: Benchmark
    loaded: Loaded
    ballots: Ballots
    spent: Spent
    scored: ScoreKind = "scores"
    unfinished: int = 0
    ratings: Mapping[str, Mapping[int, float]] = field(default_factory=dict)
    meta: str | None = None
    scale: tuple[float, float] | None = None
    unread: Mapping[str, tuple[int, int]] | None = None

    def missing_of(self, id: str) -> tuple[float, int]:
        """How many of an item's samples stayed invalid, and how many there are; answers, by a rubric or of a jury."""
        if self.unread is not None:
            return self.unread[id]
        rows = [ballot.scores_N for ballot in self.ballots[id]]
        return missing_of(rows), len(rows)

    @property
    def missing_share(self) -> float:
        """The share of all samples, or answers, that stayed invalid."""
        if self.unread is None:
            return missing_share(self.ballots)
        counts = [self.unread[id] for id in self.loaded.items]
        asked = sum(of_item for _, of_item in counts)
        return sum(missing for missing, _ in counts) / asked if asked else 0.0

    @property
    def complete(self) -> bool:
        """Whether everything that the run set out to judge is here."""
        wanted = self.settings.get("data")
        return self.unfinished == 0 and wanted in (None, self.loaded.data_hash)


def open_stored(
    directory: Path, benchmark: Benchmark | None = None, *, scored: ScoreKind | None = None, label: str | None = None
) -> StoredBench:
    """Read a run. ``benchmark`` None is the run's own, "items" if it has none; ``scored`` defaults to the run's rule.

    Raises RunError where there is no run, InputError where its items are not the benchmark's or no item is finished.
    """
    with contextlib.closing(RunStore.open(directory)) as store:
        settings, judging = stored_settings(store)
        benchmark = benchmark or load_benchmark(_named(settings))
        scored = scored or ("expected" if settings.get("rule") == "expected" else "scores")
        items, unfinished = finished_items(store)
        if not items:
            raise InputError(f"{directory}: no item of this run is finished; go on with it by --resume first")
        loaded = benchmark.assemble(items)
        ballots = ballots_of(store, scored=scored)
        unread = unread_of(store)
        spent = _spent(store)
        scale = stored_scale(store, judging)
        meta = settings.get("meta") or next(iter(store.metas()), None)
        ratings = {} if meta is None else ratings_of(store, str(meta))
    kept = {id: ballots.get(id, []) for id in loaded.items}
    name = label or _label(settings) or directory.name
    whole = StoredBench(
        name, settings, benchmark, loaded, kept, spent, scored, unfinished, ratings, meta, scale, unread
    )
    if whole.complete and not settings.get("limit") and not settings.get("subset"):
        return whole
    return replace(whole, benchmark=PartOf(benchmark))


def part_of(run: StoredBench, most: int) -> StoredBench:
    """The run over about ``most`` of its items, drawn as ``--limit`` draws them; the run itself where it has no more.

    What it spent stays that of the whole.
    """
    if len(run.loaded.items) <= most:
        return run
    benchmark = run.benchmark if isinstance(run.benchmark, PartOf) else PartOf(run.benchmark)
    loaded = selected(run.benchmark, run.loaded, limit=most)
    return replace(run, benchmark=benchmark, loaded=loaded, ballots={id: run.ballots[id] for id in loaded.items})


def common_part(a: StoredBench, b: StoredBench) -> tuple[StoredBench, StoredBench, dict[str, tuple[str, ...]]]:
    """Both runs with the items that are the same in both, content and ground truth, and the ids left out by reason.

    Raises InputError if there is no such item.
    """
    first, second = a.loaded.items, b.loaded.items
    left_out = {
        "only in A": tuple(id for id in first if id not in second),
        "only in B": tuple(id for id in second if id not in first),
        "not the same in both": tuple(id for id in first if id in second and _mark(first[id]) != _mark(second[id])),
    }
    dropped = {id for ids in left_out.values() for id in ids}
    if not dropped:
        return a, b, {}
    if not first.keys() - dropped:
        raise InputError(
            f"{a.label} and {b.label}: got no item that is the same in both; expected runs over the same items"
        )
    cut = [_without(run, dropped) for run in (a, b)]
    return cut[0], cut[1], {reason: ids for reason, ids in left_out.items() if ids}


def _mark(item: Item) -> tuple[object, ...]:
    return fingerprint(item), item.best, item.rewards_N, item.truth, item.extra.get("subset")


def _without(run: StoredBench, dropped: Collection[str]) -> StoredBench:
    kept = {id: item for id, item in run.loaded.items.items() if id not in dropped}
    if len(kept) == len(run.loaded.items):
        return run
    benchmark = run.benchmark if isinstance(run.benchmark, PartOf) else PartOf(run.benchmark)
    loaded = benchmark.assemble(kept.values(), run.loaded.notes)
    return replace(run, benchmark=benchmark, loaded=loaded, ballots={id: run.ballots[id] for id in loaded.items})


def finished_items(store: RunStore) -> tuple[list[Item], int]:
    """The items with a verdict, in input order, and how many were begun and have none."""
    finished = {position for position, _ in store.verdict_rows()}
    rows = list(store.items())
    items = [item for position, item in rows if position in finished]
    return items, len(rows) - len(items)


def _named(settings: Mapping[str, Any]) -> str:
    """The benchmark that the run was made for; that of plain items where it was made for none."""
    return str(settings.get("benchmark") or IMPORTED.get(str(settings.get("imported"))) or "items")


def _label(settings: Mapping[str, Any]) -> str:
    """The model, with the kind of judge in front unless the model's name says it."""
    model, judge = str(settings.get("model") or ""), settings.get("judge")
    return model if judge in (None, "grm") or model.startswith("null:") else f"{judge} {model}".strip()


def _spent(store: RunStore) -> Spent:
    seconds = store.meta("seconds")
    invalid = store.problem_counts()
    return Spent(store.usage(), float(seconds) if seconds else None, store.count("judgments"), invalid)


def ratings_of(store: RunStore, meta: str) -> dict[str, dict[int, float]]:
    """The rating that the meta RM called ``meta`` gave each sample of a run, by item; samples without one are left out."""
    names = dict(store.item_ids())
    valid: dict[int, list[Place]] = defaultdict(list)
    for position, place, _, scores, _ in store.score_rows():
        if scores is not None:
            valid[position].append(place)
    with as_damage(str(store.directory)):
        rated = store.all_ratings(meta)
        return {names[position]: sample_ratings(valid[position], ratings) for position, ratings in rated}
