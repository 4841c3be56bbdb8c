"""A part of a benchmark to judge: named subsets, or a random sample that keeps the subsets' proportions.

Units of one prompt in one subset stay together. What is left out counts as missing, so no overall is computed from it.
"""

from __future__ import annotations

import difflib
import random
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from spct.bench.suites.assembly import cluster_of
from spct.bench.suites.benchmark import About, Ballots, Benchmark, Graded, Loaded, Metrics, Unit
from spct.errors import InputError
from spct.types import Item


@dataclass(frozen=True)
class PartOf:
    """A benchmark of which only a part was judged: the same in all but that no figure of it is whole.

    Loaders of benchmarks without published row counts cannot tell a sample from everything; a run knows.
    """

    whole: Benchmark

    @property
    def name(self) -> str:
        return self.whole.name

    @property
    def about(self) -> About:
        return self.whole.about

    @property
    def linear(self) -> bool:
        return self.whole.linear

    def load(self, path: Path) -> Loaded:
        return self.whole.load(path)

    def assemble(self, items: Iterable[Item], notes: Sequence[str] = ()) -> Loaded:
        return self.whole.assemble(items, notes)

    def grade(self, unit: Unit, loaded: Loaded, ballots: Ballots) -> Graded:
        return self.whole.grade(unit, loaded, ballots)

    def aggregate(self, credits: Mapping[Unit, float], graded: Mapping[Unit, Graded], loaded: Loaded) -> Metrics:
        found = self.whole.aggregate(credits, graded, loaded)
        head = {} if found.headline is None else {"overall, over what was judged": found.headline}
        return Metrics(None, {}, {**head, **found.parts, **found.partial})


def selected(
    benchmark: Benchmark, loaded: Loaded, *, subsets: Sequence[str] = (), limit: int | None = None, seed: int = 0
) -> Loaded:
    """The data with only these subsets (exact names, or all that begin with NAME/) and about ``limit`` items.

    Items come in file order. At least one prompt of every subset is kept, so a small limit may be exceeded. Raises
    InputError for a subset that is not there.
    """
    keep = set(loaded.items)
    if subsets:
        named = [unit for unit in questions(loaded) if _is_of(unit.subset, subsets)]
        _check_there(loaded, subsets)
        keep = {id for unit in named for id in unit.items}
    if limit is not None and limit < len(keep):
        keep = _sampled(loaded, keep, limit, seed)
    if len(keep) == len(loaded.items):
        return loaded
    return benchmark.assemble([item for id, item in loaded.items.items() if id in keep], loaded.notes)


def questions(loaded: Loaded) -> Sequence[Unit]:
    """The units; of data without any (lone responses, no truth) each item as one, so that a part of it can be judged."""
    if loaded.units:
        return loaded.units
    return [Unit(id, (id,), str(item.extra.get("subset") or ""), cluster_of(item)) for id, item in loaded.items.items()]


def _is_of(subset: str, names: Sequence[str]) -> bool:
    return any(subset == name or subset.startswith(f"{name}/") for name in names)


def _check_there(loaded: Loaded, names: Sequence[str]) -> None:
    there = list(dict.fromkeys(unit.subset for unit in questions(loaded)))
    for name in names:
        if not any(_is_of(subset, [name]) for subset in there):
            near = difflib.get_close_matches(name, there, n=5, cutoff=0.4) or there[:12]
            raise InputError(f"--subset {name!r}: the data have no such subset; expected e.g. {', '.join(near)}")


def _sampled(loaded: Loaded, keep: set[str], limit: int, seed: int) -> set[str]:
    """Prompts drawn per subset until its share of the limit is full; shares by largest remainder."""
    bundles: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for unit in questions(loaded):
        if ids := keep.intersection(unit.items):
            bundles[unit.subset][unit.cluster] |= ids
    sizes = {subset: len(set().union(*groups.values())) for subset, groups in bundles.items()}
    chosen: set[str] = set()
    for subset, share in _shares(sizes, limit).items():
        order = sorted(bundles[subset])
        random.Random(f"{seed}:{subset}").shuffle(order)
        taken: set[str] = set()
        for cluster in order:
            if taken and len(taken | bundles[subset][cluster]) > share:
                continue
            taken |= bundles[subset][cluster]
        chosen |= taken
    return chosen


def _shares(sizes: Mapping[str, int], limit: int) -> dict[str, int]:
    total = sum(sizes.values())
    exact = {subset: limit * size / total for subset, size in sizes.items()}
    shares = {subset: int(share) for subset, share in exact.items()}
    by_rest = sorted(exact, key=lambda subset: (shares[subset] - exact[subset], subset))
    for subset in by_rest[: limit - sum(shares.values())]:
        shares[subset] += 1
    return shares
