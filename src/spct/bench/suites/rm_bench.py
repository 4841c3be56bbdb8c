"""RM-Bench (Liu et al., 2024): three chosen and three rejected responses per prompt, in three styles.

The styles grow fancier: concise, detailed, detailed with markdown. Every chosen one is held against every rejected
one, strictly: a 3 x 3 matrix whose upper triangle is hard (the rejected one is fancier), whose diagonal is normal,
and whose lower triangle is easy. A domain is the mean of the three, the score the mean of the four domains; safety
pools the prompts to refuse and those to respond to.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spct.bench.suites.assembly import (
    assembled,
    by_id,
    cluster_of,
    data_files,
    lacks,
    make_item,
    mean,
    means_by,
    require,
)
from spct.bench.suites.benchmark import About, Ballots, Graded, Loaded, Metrics, Unit
from spct.bench.suites.grading import graded_best, means_of
from spct.errors import InputError
from spct.items import read_rows
from spct.types import Item
from spct.voting.vote import Means

DOMAINS = {
    "chat": {"chat": 129},
    "code": {"code": 228},
    "math": {"math": 529},
    "safety": {"safety-refuse": 284, "safety-response": 157},
}
"""The domains, the pools they are made of, and the prompts of each in a full download."""

PROMPTS = {pool: count for pools in DOMAINS.values() for pool, count in pools.items()}
DOMAIN_OF = {pool: domain for domain, pools in DOMAINS.items() for pool in pools}
STYLES = ("concise", "detailed", "markdown")
CELLS = tuple(f"{i}{j}" for i in range(3) for j in range(3))
LEVELS = ("hard", "normal", "easy")

ABOUT = About(
    title="RM-Bench",
    measures="chosen above rejected across styles: is substance told from style? chat, code, math, safety",
    tie_rule="strict: a tie is wrong",
    source="THU-KEG/RM-Bench, folder data",
    licence="none stated in the repository; ODC-BY on the hub",
    hub=("THU-KEG/RM-Bench",),
)
EXPECTED = "RM-Bench's chat, code, math, safety-refuse and safety-response _filtered.json, or total_dataset.json"


@dataclass(frozen=True)
class RMBench:
    """RM-Bench with all six responses of a prompt in one item, or (``as_pairs``) with nine pairs."""

    name: str = "rm-bench"
    as_pairs: bool = False
    linear: bool = True
    about = ABOUT

    def load(self, path: Path) -> Loaded:
        files = data_files(path, EXPECTED)
        files = [file for file in files if not file.name.startswith("total_dataset")] or files
        return self.assemble(item for file in files for item in self._items(file))

    def assemble(self, items: Iterable[Item], notes: Sequence[str] = ()) -> Loaded:
        """Nine units per prompt; whether its items are pairs or sixes is read off the items."""
        found = by_id(items, self.name)
        units = [unit for item in found.values() for unit in _units(item)]
        return assembled(found, units, PROMPTS, notes, per_row=len(CELLS))

    def grade(self, unit: Unit, loaded: Loaded, ballots: Ballots) -> Graded:
        means = means_of(ballots.get(unit.items[0], ()))
        return graded_best(_cell(means, unit.part), 0, tie=0.0)

    def aggregate(self, credits: Mapping[Unit, float], graded: Mapping[Unit, Graded], loaded: Loaded) -> Metrics:
        cells = means_by(credits, lambda unit: f"{DOMAIN_OF[unit.subset]}/{unit.part}")
        parts: dict[str, float] = {}
        partial: dict[str, float] = {}
        levels: dict[str, dict[str, float]] = {}
        for domain, pools in DOMAINS.items():
            if any(f"{domain}/{cell}" not in cells for cell in CELLS):
                continue
            figures = level_scores({cell: cells[f"{domain}/{cell}"] for cell in CELLS})
            whole = not any(lacks(loaded, pool) for pool in pools)
            into = parts if whole else partial
            into |= {domain: mean(figures.values())} | {f"{domain}/{level}": figures[level] for level in LEVELS}
            levels[domain] = figures
        if not all(domain in parts for domain in DOMAINS):
            partial |= {"overall, domains here": mean(mean(f.values()) for f in levels.values())} if levels else {}
            return Metrics(None, parts, partial)
        parts |= {level: mean(figures[level] for figures in levels.values()) for level in LEVELS}
        return Metrics(mean(parts[domain] for domain in DOMAINS), parts, partial)

    def _items(self, file: Path) -> Iterator[Item]:
        for where, row in read_rows(file):
            require(row, where, "id", "prompt", "chosen", "rejected")
            pool = str(row.get("domain") or file.name.partition("_filtered")[0])
            if pool not in PROMPTS:
                raise InputError(f"{where}: got the domain {pool!r}; expected one of {', '.join(PROMPTS)}")
            yield from self._of_row(row, where, pool)

    def _of_row(self, row: Mapping[str, Any], where: str, pool: str) -> Iterator[Item]:
        chosen, rejected = row["chosen"], row["rejected"]
        for key in ("chosen", "rejected"):
            if not isinstance(row[key], list) or len(row[key]) != len(STYLES):
                raise InputError(f"{where}: {key} must be a list of three responses, one per style")
        shared: dict[str, Any] = {"subset": pool, "domain": DOMAIN_OF[pool], "source": row.get("subset")}
        id = f"{pool}/{row['id']}"
        if not self.as_pairs:
            rewards = [1.0] * 3 + [0.0] * 3
            styles = [*STYLES, *STYLES]
            six = [*chosen, *rejected]
            yield make_item(where, id=id, query=row["prompt"], responses=six, rewards=rewards, styles=styles, **shared)
            return
        for cell in CELLS:
            i, j = map(int, cell)
            yield make_item(
                where,
                id=f"{id}/{cell}",
                query=row["prompt"],
                responses=[chosen[i], rejected[j]],
                best=0,
                cell=cell,
                styles=[STYLES[i], STYLES[j]],
                **shared,
            )


def RMBenchPairs() -> RMBench:  # noqa: N802
    return RMBench(name="rm-bench-pairs", as_pairs=True)


def level_scores(cells: Mapping[str, float]) -> dict[str, float]:
    """Hard, normal and easy accuracy from the nine cells; "02" is the concise chosen against the markdown rejected."""
    levels: dict[str, list[float]] = defaultdict(list)
    for cell, figure in cells.items():
        levels[level_of(cell)].append(figure)
    return {level: mean(levels[level]) for level in LEVELS}


def level_of(cell: str) -> str:
    """ "hard" above the diagonal, where the rejected response is the fancier one; "normal" on it; "easy" below."""
    chosen, rejected = cell[0], cell[1]
    return "hard" if rejected > chosen else "normal" if rejected == chosen else "easy"


def _units(item: Item) -> list[Unit]:
    cells = (str(item.extra["cell"]),) if "cell" in item.extra else CELLS
    return [
        Unit(
            f"{item.id.removesuffix('/' + cell)}/{cell}", (item.id,), str(item.extra["subset"]), cluster_of(item), cell
        )
        for cell in cells
    ]


def _cell(means: Means | None, cell: str) -> Means | None:
    if means is None or len(means) == 2:
        return means
    return means[int(cell[0])], means[3 + int(cell[1])]
